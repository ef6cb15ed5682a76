//! Connections end when they have nothing to say, and only then.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use proof_concierge::app::serve::{Bounds, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::eventually::eventually;

const LIMIT: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: desk\r\n\r\n";
const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nhost: desk\r\n\r\n";

/// A server with one answer that comes at once and one that waits to be let go.
struct Server {
    address: SocketAddr,
    asked: Arc<Notify>,
    answer: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn server(bounds: Bounds) -> Server {
    let (asked, answer, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
    let (was_asked, may_answer) = (Arc::clone(&asked), Arc::clone(&answer));
    let slow = async move || {
        was_asked.notify_one();
        may_answer.notified().await;
        "at last"
    };
    let who = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
    let router = Router::new().route("/", get(who)).route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(run(Arc::new(listener), router, bounds, stop.clone()));
    Server { address, asked, answer, stop, task }
}

fn patient(milliseconds: u64) -> Bounds {
    let head_patience = Duration::from_millis(milliseconds);
    Bounds { head_patience, last_call: Duration::ZERO, connections: 0, connections_per_address: 0 }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Reads until the server closes.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A server that closes while something is unread resets the connection, which is an end as well.
    let _ = timeout(LIMIT, socket.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8(bytes).unwrap()
}

/// Reads one answer, which ends with this text.
async fn answer(socket: &mut TcpStream, end: &str) {
    let (mut seen, mut bytes) = (String::new(), [0; 512]);
    while !seen.ends_with(end) {
        let count = timeout(LIMIT, socket.read(&mut bytes)).await.expect("an answer").unwrap();
        assert!(count > 0, "the server closed after {seen:?}");
        seen.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = server(patient(50)).await;
    rest(&mut server.connect().await).await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let server = server(patient(200)).await;
    let started = Instant::now();
    let (mut reader, mut writer) = server.connect().await.into_split();
    // A line now and then does not buy more time.
    let drip = tokio::spawn(async move {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        let mut sent = writer.write_all(b"GET / HTTP/1.1\r\n").await;
        while sent.is_ok() {
            turns.tick().await;
            sent = writer.write_all(b"x-drop: 1\r\n").await;
        }
    });
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, reader.read_to_end(&mut bytes)).await.expect("the server closes");
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(!String::from_utf8(bytes).unwrap().starts_with("HTTP/1.1 200"));
    drop(reader);
    timeout(LIMIT, drip).await.expect("the writer notices").unwrap();
}

#[tokio::test]
async fn a_connection_is_kept_alive_but_not_for_ever() {
    let server = server(patient(500)).await;
    let mut socket = server.connect().await;
    let own = socket.local_addr().unwrap().to_string();
    for _ in 0..3 {
        socket.write_all(REQUEST).await.unwrap();
        answer(&mut socket, &own).await;
    }
    assert_eq!(rest(&mut socket).await, "");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_head() {
    let server = server(patient(50)).await;
    let mut socket = server.connect().await;
    socket.write_all(SLOW).await.unwrap();
    server.asked.notified().await;
    // Another connection runs out of time meanwhile, so this one had the time to.
    rest(&mut server.connect().await).await;
    server.answer.notify_one();
    answer(&mut socket, "at last").await;
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let server = server(Bounds { connections_per_address: 2, ..patient(60_000) }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for socket in [&mut first, &mut second] {
        let own = socket.local_addr().unwrap().to_string();
        socket.write_all(REQUEST).await.unwrap();
        answer(socket, &own).await;
    }
    assert_eq!(rest(&mut server.connect().await).await, "");
    let own = first.local_addr().unwrap().to_string();
    first.write_all(REQUEST).await.unwrap();
    answer(&mut first, &own).await;
}

#[tokio::test]
async fn a_stop_waits_for_what_was_asked_and_for_nothing_else() {
    let server = server(patient(60_000)).await;
    let (mut silent, mut asking) = (server.connect().await, server.connect().await);
    asking.write_all(SLOW).await.unwrap();
    server.asked.notified().await;
    server.stop.cancel();
    rest(&mut silent).await;
    assert!(!server.task.is_finished());
    server.answer.notify_one();
    assert!(rest(&mut asking).await.ends_with("at last"));
    timeout(LIMIT, server.task).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn what_is_asked_while_the_server_stops_is_answered() {
    let server = server(Bounds { last_call: Duration::from_secs(1), ..patient(60_000) }).await;
    let mut kept = server.connect().await;
    let own = kept.local_addr().unwrap().to_string();
    kept.write_all(REQUEST).await.unwrap();
    answer(&mut kept, &own).await;
    server.stop.cancel();
    // Nobody new comes in any more by then.
    eventually(LIMIT, async || TcpStream::connect(server.address).await.is_err(), |refused| *refused).await;
    kept.write_all(REQUEST).await.unwrap();
    assert!(rest(&mut kept).await.ends_with(&own));
    timeout(LIMIT, server.task).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_node_that_waits_for_its_database_stops_when_it_is_asked_to() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = format!("postgres://desk@{}/desk", silent.local_addr().unwrap());
    let mut node = Command::new(env!("CARGO_BIN_EXE_concierge"))
        .arg("serve")
        .env("CONCIERGE_LISTEN", "127.0.0.1:0")
        .env("DATABASE_URL", database)
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("JWT_SECRET", "a secret that only tests use, 32 bytes")
        .env("CONCIERGE_MASTER_KEY", "0123456789abcdef".repeat(4))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let _asked = timeout(LIMIT, silent.accept()).await.expect("the node asks its database").unwrap();
    let id = node.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert!(timeout(LIMIT, node.wait()).await.expect("the node stops").unwrap().success());
}
