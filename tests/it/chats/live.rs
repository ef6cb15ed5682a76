//! A chat is heard by its two members, wherever they listen, and by nobody else.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{WORDS, say};
use crate::support::app::Client;
use crate::support::desk::{Desk, desk};
use crate::support::socketio::{Socket, connect};

const LIMIT: Duration = Duration::from_secs(20);

/// A WebSocket of the feed.
struct Listener(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Listener {
    /// Listens to what happens after a position; from now on if there is none.
    async fn start(desk: &Desk, who: &Client, after: Option<i64>) -> Self {
        let (mut socket, _) = connect_async(desk.socket_url()).await.unwrap();
        let hello = json!({ "type": "hello", "token": who.token(), "after": after });
        socket.send(Message::text(hello.to_string())).await.unwrap();
        Self(socket)
    }

    /// Every line up to one that is of this type or tells this event.
    async fn until(&mut self, wanted: &str) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let message = timeout(LIMIT, self.0.next()).await.expect("the feed says something").unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let line: Value = serde_json::from_str(&text).unwrap();
            let is_wanted = line["type"] == wanted || line["event"] == wanted;
            heard.push(line);
            if is_wanted {
                return heard;
            }
        }
    }
}

fn chats(heard: &[Value]) -> Vec<&Value> {
    heard.iter().filter(|line| line["event"] == "ChatMessagePosted").collect()
}

#[tokio::test]
async fn both_hear_it_live_and_when_they_come_back() {
    let desk = desk().await;
    let people = [desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await];
    let mut live = Vec::new();
    for person in &people {
        let mut listener = Listener::start(&desk, person, None).await;
        listener.until("live").await;
        live.push(listener);
    }
    say(&people[0], desk.id_of("ben")).await.expect(201);
    desk.donor("d-1").await;
    for (person, mut listener) in people.iter().zip(live) {
        let told = listener.until("QueryOpened").await;
        let missed = Listener::start(&desk, person, Some(0)).await.until("live").await;
        for heard in [told, missed] {
            let chats = chats(&heard);
            if person.token() == people[2].token() {
                assert!(chats.is_empty(), "a third person hears it: {heard:?}");
            } else {
                assert_eq!(chats.len(), 1, "{heard:?}");
                assert_eq!((&chats[0]["data"]["content"], chats[0].get("queryId")), (&json!(WORDS), None));
            }
        }
    }
}

#[tokio::test]
async fn clients_of_the_old_server_hear_it_as_a_message_without_a_query() {
    let desk = desk().await;
    let (ada, ben, sue) = (desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await);
    let listen = async |who: &Client| -> Socket {
        let mut socket = connect(desk.anonymous().base_url(), &json!({ "token": who.token() })).await;
        socket.event("position").await;
        socket
    };
    let (mut to_ada, mut to_ben, mut to_sue) = (listen(&ada).await, listen(&ben).await, listen(&sue).await);
    say(&ada, desk.id_of("ben")).await.expect(201);
    desk.donor("d-1").await;
    for socket in [&mut to_ada, &mut to_ben] {
        for name in ["newMessage", "enhancedMessage"] {
            let told = socket.event(name).await;
            assert_eq!((&told["content"], &told["queryId"]), (&json!(WORDS), &Value::Null));
            assert_eq!((&told["sender"]["name"], &told["recipientId"]), (&json!("Ada"), &json!(desk.id_of("ben"))));
        }
    }
    let heard = to_sue.until("newQuery").await;
    assert!(heard.iter().all(|(name, _)| name != "newMessage" && name != "enhancedMessage"), "{heard:?}");
}
