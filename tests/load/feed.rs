//! From posting a message to its frame: how long every listener waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::Effort;
use crate::desk::Desk;
use crate::measure::Timings;

/// How many messages are posted per measurement, and how far apart.
const POSTS: usize = 100;
/// How many messages are posted before those that count.
const WARM_UP: usize = 5;
/// What a message's frame measures with its WebSocket header.
const BARE_BYTES: usize = 400;
const PACE: Duration = Duration::from_millis(50);

pub(crate) async fn run(desk: &Desk, effort: &Effort) {
    println!("feed (from before the POST to the frame at each listener, all listeners hear every frame)");
    for &listeners in &effort.listeners {
        let (live, mut lives) = mpsc::channel(listeners);
        let mut sockets = JoinSet::new();
        for _ in 0..listeners {
            sockets.spawn(listen(desk.web_socket_url(), desk.staff_token().to_owned(), live.clone()));
        }
        for _ in 0..listeners {
            lives.recv().await.expect("a listener did not go live");
        }
        let begin = Instant::now();
        let posted = post(desk).await;
        let mut taken = Vec::with_capacity(POSTS * listeners);
        while let Some(heard) = sockets.join_next().await {
            for (text, at) in heard.unwrap() {
                let frame: Value = serde_json::from_str(&text).unwrap();
                let start = frame["data"]["content"].as_str().and_then(|content| posted.get(content));
                taken.extend(start.map(|start| at.duration_since(*start)));
            }
        }
        let missing = POSTS * listeners - taken.len();
        Timings::new(taken, begin.elapsed(), missing).print("frame", listeners);
        bare(listeners).await.print("bare write and read", listeners);
        println!("{:<28} {:>5} service holds {:.0} MB", "", listeners, desk.resident_megabytes());
    }
    println!();
}

/// The machine's own limit: the same number of bytes written to as many plain sockets and read there, with no database,
/// no protocol and no decision in between.
async fn bare(listeners: usize) -> Timings {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut readers = JoinSet::new();
    let mut writers = Vec::with_capacity(listeners);
    let (say, heard) = watch::channel(());
    for _ in 0..listeners {
        readers.spawn(async move {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let mut frame = [0; BARE_BYTES];
            let mut times = Vec::with_capacity(POSTS);
            while socket.read_exact(&mut frame).await.is_ok() {
                times.push(Instant::now());
            }
            times
        });
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut heard = heard.clone();
        writers.push(tokio::spawn(async move {
            while heard.changed().await.is_ok() {
                socket.write_all(&[b'x'; BARE_BYTES]).await.unwrap();
            }
        }));
    }
    let begin = Instant::now();
    let mut said = Vec::with_capacity(POSTS);
    for _ in 0..POSTS {
        tokio::time::sleep(PACE).await;
        said.push(Instant::now());
        say.send_replace(());
    }
    tokio::time::sleep(PACE).await;
    drop(say);
    let times = readers.join_all().await;
    let taken: Vec<_> =
        times.iter().flat_map(|times| times.iter().zip(&said).map(|(at, said)| at.duration_since(*said))).collect();
    let missing = POSTS * listeners - taken.len();
    Timings::new(taken, begin.elapsed(), missing)
}

/// Posts messages at an even pace; the time just before each.
async fn post(desk: &Desk) -> HashMap<String, Instant> {
    let client = desk.client();
    let opened = client.open().await.expect("a query opens");
    let mut posted = HashMap::new();
    for turn in 0..WARM_UP + POSTS {
        let text = format!("{} says {turn}", opened.id);
        if turn >= WARM_UP {
            posted.insert(text.clone(), Instant::now());
        }
        assert!(client.say(opened.id, &opened.donor_token, &text).await, "a message was not posted");
        tokio::time::sleep(PACE).await;
    }
    posted
}

/// Hears every message and when it came. Nothing else is done meanwhile: the listeners share the machine with what they
/// measure.
async fn listen(url: String, token: String, live: mpsc::Sender<()>) -> Vec<(Utf8Bytes, Instant)> {
    let config = WebSocketConfig::default().read_buffer_size(4_096);
    let (mut socket, _) = tokio_tungstenite::connect_async_with_config(url, Some(config), true).await.unwrap();
    socket.send(Message::text(json!({"type": "hello", "token": token}).to_string())).await.unwrap();
    let mut heard = Vec::with_capacity(WARM_UP + POSTS);
    while heard.len() < WARM_UP + POSTS {
        let next = socket.next().await;
        let at = Instant::now();
        let Some(Ok(Message::Text(text))) = next else { break };
        if text.contains("\"MessagePosted\"") {
            heard.push((text, at));
        } else if text.contains("\"type\":\"live\"") {
            live.send(()).await.unwrap();
        }
    }
    heard
}
