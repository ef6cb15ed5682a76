//! Socket.IO frame by frame: what clients of any language see, and what becomes of those that misbehave.

use aggregates::ids::QueryId;
use futures_util::{SinkExt, StreamExt};
use proof_concierge::push::hub::QUEUE;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::cuts::{QUERIES, keep_talking};
use super::desk::{Desk, LIMIT, append_all, message, opened_by};
use crate::support::eventually::eventually;

const ONE: QueryId = QueryId::new(1);
const CUTS: usize = 50;

/// A connection of Engine.IO over a WebSocket.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens a connection and returns it with the handshake.
    async fn open(desk: &Desk) -> Result<(Self, Value), Error> {
        let url = desk.socket_url("/socket.io/?EIO=4&transport=websocket");
        let (stream, _) = timeout(LIMIT, connect_async(url)).await.expect("an answer")?;
        let mut socket = Self(stream);
        let hello = socket.frame().await.expect("a handshake");
        Ok((socket, serde_json::from_str(hello.strip_prefix('0').unwrap()).unwrap()))
    }

    /// Opens a connection and enters the namespace.
    async fn enter(desk: &Desk, auth: &Value) -> Self {
        let (mut socket, _) = Self::open(desk).await.unwrap();
        socket.say(format!("40/notifications,{auth}")).await;
        let entered = socket.frame().await.unwrap();
        assert!(entered.starts_with(r#"40/notifications,{"sid":"#), "{entered}");
        socket
    }

    async fn say(&mut self, frame: String) {
        self.0.send(Message::text(frame)).await.unwrap();
    }

    /// The next frame; pings are answered on the way. `None` once the connection is closed.
    async fn frame(&mut self) -> Option<String> {
        loop {
            match timeout(LIMIT, self.0.next()).await.expect("a frame in time") {
                Some(Ok(Message::Text(text))) if text == "2" => self.say("3".to_owned()).await,
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next event: its name and its argument.
    async fn event(&mut self) -> (String, Value) {
        let frame = self.frame().await.expect("the connection goes on");
        let event = frame.strip_prefix("42/notifications,").unwrap_or_else(|| panic!("no event: {frame}"));
        serde_json::from_str(event).unwrap()
    }

    /// The arguments of the next event of a name.
    async fn event_of(&mut self, wanted: &str) -> Value {
        loop {
            let (name, told) = self.event().await;
            if name == wanted {
                return told;
            }
        }
    }
}

#[tokio::test]
async fn the_frames_are_those_of_the_protocol() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1)]).await;
    let (mut socket, hello) = Socket::open(&desk).await.unwrap();
    assert_eq!((&hello["pingInterval"], &hello["pingTimeout"]), (&json!(25_000), &json!(20_000)));
    socket.say(r#"40/notifications,{"token":"nonsense"}"#.to_owned()).await;
    let refused = socket.frame().await.unwrap();
    assert_eq!(refused, r#"44/notifications,{"message":"unauthorized: invalid token"}"#);

    socket.say(format!("40/notifications,{}", json!({ "token": desk.donor_token(1) }))).await;
    assert!(socket.frame().await.unwrap().starts_with(r#"40/notifications,{"sid":"#));
    let (first, told) = socket.event().await;
    assert_eq!((first.as_str(), &told["position"], told["epoch"].is_string()), ("position", &json!(1), true));
    socket.say(r#"42/notifications,7["joinQueryRoom",{"queryId":1}]"#.to_owned()).await;
    let joined = r#"43/notifications,7[{"success":true,"message":"Joined the room of query 1","queryId":1}]"#;
    assert_eq!(socket.frame().await.unwrap(), joined);
    desk.append(ONE, 1, vec![message(1, "Hello")]).await;
    for name in ["newMessage", "enhancedMessage"] {
        let (told, payload) = socket.event().await;
        assert_eq!((told.as_str(), &payload["content"], &payload["position"]), (name, &json!("Hello"), &json!(2)));
    }
}

#[tokio::test]
async fn a_burst_cuts_nobody_and_nobody_misses_anything() {
    let desk = Desk::open().await;
    let token = desk.staff_token().await;
    let mut in_room = Socket::enter(&desk, &json!({ "token": token, "queries": [1] })).await;
    let mut in_no_room = Socket::enter(&desk, &json!({ "token": token })).await;
    in_room.event_of("position").await;
    in_no_room.event_of("position").await;

    let last = i64::try_from(QUEUE * 3).unwrap();
    let messages = (2..=last).map(|number| message(number, "Hello"));
    let events = std::iter::once(opened_by(1)).chain(messages).collect();
    // Nothing waits between these, so that the tellers cannot keep up with the hub; what the walker repeats is ignored.
    for fact in append_all(&desk.log(), ONE, 0, events).await {
        desk.push.hub().deliver(&fact);
    }
    desk.append(QueryId::new(2), 0, vec![opened_by(2)]).await;

    for position in 2..=last {
        assert_eq!(in_room.event_of("newMessage").await["position"], position);
    }
    assert_eq!(in_room.event_of("newQuery").await["position"], last + 1);
    assert_eq!(in_no_room.event_of("newQuery").await["position"], 1);
    assert_eq!(in_no_room.event_of("newQuery").await["position"], last + 1);
}

#[tokio::test]
async fn a_connection_that_enters_no_namespace_gives_its_seat_back() {
    let desk = Desk::with_one_seat().await;
    let (mut socket, _) = Socket::open(&desk).await.unwrap();
    socket.say("40".to_owned()).await;
    assert_eq!(socket.frame().await.unwrap(), r#"44{"message":"Invalid namespace"}"#);
    let goodbye = socket.frame().await;
    assert!(matches!(goodbye.as_deref(), Some("1") | None), "{goodbye:?}");
    drop(socket);
    eventually(LIMIT, async || Socket::open(&desk).await.is_ok(), |is_in| *is_in).await;
}

#[tokio::test]
async fn a_stopping_node_says_goodbye_and_closes_the_connection() {
    let desk = Desk::open().await;
    let mut socket = Socket::enter(&desk, &json!({ "token": desk.staff_token().await })).await;
    socket.event_of("position").await;
    desk.stop.cancel();
    let closing = json!({ "reason": "going away, resume after 0", "resumeAfter": 0, "position": 0 });
    assert_eq!(socket.event().await, ("closing".to_owned(), closing));
    // The connection ends, with Engine.IO's own goodbye or without: clients come back by themselves after that, which they
    // do not after the end of a namespace.
    let goodbye = socket.frame().await;
    assert!(matches!(goodbye.as_deref(), Some("1") | None), "{goodbye:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_under_load_lose_and_repeat_nothing() {
    let desk = Desk::open().await;
    let token = desk.staff_token().await;
    let (stop, writers) = keep_talking(&desk);
    let queries: Vec<i64> = (1..=QUERIES).collect();
    let mut cursor = 0;
    for _ in 0..CUTS {
        let auth = json!({ "token": token, "after": cursor, "queries": queries });
        let mut socket = Socket::enter(&desk, &auth).await;
        for _ in 0..rand::rng().random_range(0..80) {
            let (name, told) = socket.event().await;
            let position = told["position"].as_i64().unwrap();
            if matches!(name.as_str(), "newQuery" | "newMessage") {
                assert_eq!(position, cursor + 1, "a gap, a repeat or a jump: {name} {told}");
                cursor = position;
            }
        }
    }
    stop.cancel();
    writers.join_all().await;
    assert!(cursor > 0);
}

#[tokio::test]
async fn a_seat_is_taken_by_the_connection_and_given_back_with_it() {
    let desk = Desk::with_one_seat().await;
    let (socket, _) = Socket::open(&desk).await.unwrap();
    let Err(Error::Http(refused)) = Socket::open(&desk).await else { panic!("there is one seat") };
    assert_eq!(refused.status(), 503);
    drop(socket);
    eventually(LIMIT, async || Socket::open(&desk).await.is_ok(), |is_in| *is_in).await;
}

#[tokio::test]
async fn a_connection_that_sends_too_much_is_cut() {
    let desk = Desk::open().await;
    let mut socket = Socket::enter(&desk, &json!({ "token": desk.staff_token().await })).await;
    socket.event_of("position").await;
    socket.say(format!(r#"42/notifications,["joinQueryRoom","{}"]"#, "x".repeat(100_000))).await;
    assert_eq!(socket.frame().await, None);
}
