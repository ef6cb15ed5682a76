//! From posting a message to its frame: how long every listener waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::Effort;
use crate::desk::Desk;
use crate::measure::Timings;

/// How many messages are posted per measurement, and how far apart.
const POSTS: usize = 100;
const PACE: Duration = Duration::from_millis(50);

/// When the message with a given text was about to be posted.
type Posted = Arc<Mutex<HashMap<String, Instant>>>;

pub(crate) async fn run(desk: &Desk, effort: &Effort) {
    println!("feed (from before the POST to the frame at each listener, all listeners hear every frame)");
    for &listeners in &effort.listeners {
        let posted = Posted::default();
        let (report, mut reports) = mpsc::channel(POSTS * listeners + listeners);
        let mut sockets = JoinSet::new();
        for _ in 0..listeners {
            sockets.spawn(listen(desk.web_socket_url(), desk.staff_token().to_owned(), report.clone()));
        }
        for _ in 0..listeners {
            assert!(matches!(reports.recv().await, Some(Heard::Live)), "a listener did not go live");
        }
        let begin = Instant::now();
        post(desk, &posted).await;
        let mut taken = Vec::with_capacity(POSTS * listeners);
        while taken.len() < POSTS * listeners {
            let heard = tokio::time::timeout(Duration::from_secs(20), reports.recv()).await;
            let Ok(Some(Heard::Frame(query_and_text, at))) = heard else { break };
            if let Some(start) = posted.lock().await.get(&query_and_text) {
                taken.push(at.duration_since(*start));
            }
        }
        let missing = POSTS * listeners - taken.len();
        Timings::new(taken, begin.elapsed(), missing).print("frame", listeners);
        println!("{:<28} {:>5} service holds {:.0} MB", "", listeners, desk.resident_megabytes());
        sockets.shutdown().await;
    }
    println!();
}

async fn post(desk: &Desk, posted: &Posted) {
    let client = desk.client();
    let opened = client.open().await.expect("a query opens");
    for turn in 0..POSTS {
        let text = format!("{} says {turn}", opened.id);
        posted.lock().await.insert(text.clone(), Instant::now());
        assert!(client.say(opened.id, &opened.donor_token, &text).await, "a message was not posted");
        tokio::time::sleep(PACE).await;
    }
}

enum Heard {
    Live,
    Frame(String, Instant),
}

async fn listen(url: String, token: String, report: mpsc::Sender<Heard>) {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text(json!({"type": "hello", "token": token}).to_string())).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let at = Instant::now();
        let Ok(text) = message.to_text() else { continue };
        // Only frames of interest are parsed, so that the listener measures the service and not itself.
        if text.contains("\"MessagePosted\"") {
            let frame: Value = serde_json::from_str(text).unwrap();
            let content = frame["data"]["content"].as_str().unwrap_or_default().to_owned();
            report.send(Heard::Frame(content, at)).await.unwrap();
        } else if text.contains("\"type\":\"live\"") {
            report.send(Heard::Live).await.unwrap();
        }
    }
}
