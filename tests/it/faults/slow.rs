//! Clients that do not read: they are let go with a reason, come back where they stopped, and have missed nothing.

use futures_util::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::plan;
use crate::support::app::Client;
use crate::support::desk::query_of;
use crate::support::socketio;
use crate::world::{LIMIT, World, metric};

/// How much is said before a client that reads nothing has to be noticed: more than all buffers on the way hold.
const MOST: usize = 6_000;

/// How much is said at a time.
const AT_ONCE: usize = 8;

/// Somebody who talks a lot about one query.
struct Chatterbox {
    client: Client,
    query: i64,
    said: usize,
}

impl Chatterbox {
    async fn new(world: &World) -> Self {
        let client = Client::new(&world.nodes[0].direct_url()).with_token(&world.desk().ada);
        let opened = client.post("/api/v1/donor-queries", &query_of("d-1")).await.expect(201);
        Self { client, query: opened.at("/data/id").as_i64().unwrap(), said: 0 }
    }

    /// Talks until a node has let somebody go: at its hub, or at the mouth that speaks Socket.IO, where it takes longer.
    async fn talk_until_somebody_is_let_go(&mut self, world: &World, at: &str) {
        let count = format!("feed_slow_consumers_total{{at=\"{at}\"}}");
        while metric(&world.nodes[0], &count).await == 0.0 {
            assert!(self.said < MOST, "nobody was let go after {} long messages", self.said);
            self.talk(10 * AT_ONCE).await;
        }
    }

    async fn talk(&mut self, times: usize) {
        let path = format!("/api/v1/messages/admin/{}", self.query);
        let talk = |number: usize| {
            let content = format!("{number} {}", "blah ".repeat(1_900));
            let (client, path) = (&self.client, &path);
            async move { client.post(path, &json!({ "content": content })).await.expect(201) }
        };
        let said: Vec<_> =
            stream::iter(self.said..self.said + times).map(talk).buffer_unordered(AT_ONCE).collect().await;
        self.said += said.len();
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn listen(world: &World, after: i64) -> Socket {
    let url = format!("{}/api/v1/ws", world.nodes[0].direct_url().replacen("http", "ws", 1));
    let (mut socket, _) = connect_async(url).await.unwrap();
    let hello = json!({ "type": "hello", "token": &*world.desk().ada, "after": after });
    socket.send(Message::text(hello.to_string())).await.unwrap();
    socket
}

/// Hears facts, each the next one, up to a position or until the server closes; then code and reason.
async fn hear(socket: &mut Socket, cursor: &mut i64, through: i64) -> Option<(u16, String)> {
    while *cursor < through {
        match timeout(LIMIT, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => {
                let line: Value = serde_json::from_str(&text).unwrap();
                if line["type"] == "event" {
                    assert_eq!(line["position"], *cursor + 1, "a gap or a repetition");
                    *cursor += 1;
                }
            }
            Message::Close(Some(CloseFrame { code, reason })) => return Some((code.into(), reason.to_string())),
            _ => {}
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_not_read_is_let_go_and_resumes() {
    let world = World::start(plan(1)).await;
    let mut chatterbox = Chatterbox::new(&world).await;
    let (mut socket, mut cursor) = (listen(&world, 0).await, 0);
    hear(&mut socket, &mut cursor, 1).await;
    chatterbox.talk_until_somebody_is_let_go(&world, "hub").await;

    let (code, reason) = hear(&mut socket, &mut cursor, i64::MAX).await.unwrap();
    assert_eq!((code, reason), (1013, format!("slow consumer, resume after {cursor}")));
    let mut socket = listen(&world, cursor).await;
    chatterbox.talk(1).await;
    let head = world.open_log().head().await.unwrap().0;
    assert_eq!(hear(&mut socket, &mut cursor, head).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_socketio_client_is_let_go_and_comes_back_with_nothing_missed() {
    let world = World::start(plan(1)).await;
    let mut chatterbox = Chatterbox::new(&world).await;
    let base = world.nodes[0].direct_url();
    let mut auth = json!({ "token": &*world.desk().ada, "queries": [chatterbox.query] });
    let mut socket = socketio::connect(&base, &auth).await;
    socket.event("position").await;
    socket.freeze(true);
    chatterbox.talk_until_somebody_is_let_go(&world, "socketio").await;
    socket.freeze(false);

    let reason = timeout(LIMIT, socket.disconnected()).await.unwrap();
    let mut heard = socket.take_heard();
    let names: Vec<_> = heard.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"closing"), "{reason}: {names:?}");
    auth["after"] = heard.last().unwrap().1["position"].clone();
    let mut socket = socketio::connect(&base, &auth).await;
    heard.extend(timeout(LIMIT, socket.until("resumed")).await.unwrap());
    let messages = heard.iter().filter(|(name, _)| name == "newMessage");
    let positions: Vec<_> = messages.map(|(_, told)| told["position"].as_i64().unwrap()).collect();
    let said: Vec<i64> =
        sqlx::query_scalar("select posted_position from read.messages where sender_type = 'ADMIN' order by 1")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(positions, said);
}
