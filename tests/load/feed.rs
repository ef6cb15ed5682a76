//! From posting a message to its frame: how long every listener waits, beside plain sockets with as many bytes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::Effort;
use crate::desk::Desk;
use crate::limits::{FRAME_BYTES, Limits};
use crate::measure::{Timings, on_one_thread};
use crate::report::Report;
use crate::socket::Socket;

/// How many messages are posted per measurement, and how far apart.
const POSTS: usize = 100;
const PACE: Duration = Duration::from_millis(50);
/// How many messages are posted before those that count.
const WARM_UP: usize = 5;
/// How long a listener waits for anything, the other listeners' arrival included.
const PATIENCE: Duration = Duration::from_mins(1);
/// What a message says before its number.
const MARKER: &str = "feed-turn-";

/// When each message came, by its turn.
type Heard = Vec<Option<Instant>>;

pub(crate) fn run(desk: &Desk, limits: &Limits, effort: &Effort, report: &mut Report) {
    for &listeners in &effort.listeners {
        let (timings, megabytes) = frames(desk, listeners);
        report.timings("feed", "frame", listeners, &timings);
        report.note("feed", "service holds", listeners, "megabytes", megabytes);
        report.timings("feed", "plain sockets", listeners, &plain(limits.sockets(), listeners));
    }
}

/// Everybody hears every message.
fn frames(desk: &Desk, listeners: usize) -> (Timings, f64) {
    let query = desk.open_queries(1).remove(0);
    on_one_thread(async {
        let post = async {
            let mut client = desk.client();
            client.connect().await.unwrap();
            let mut said = Vec::with_capacity(WARM_UP + POSTS);
            for turn in 0..WARM_UP + POSTS {
                said.push(Instant::now());
                let content = format_args!("{MARKER}{turn}");
                assert!(client.say(query.id, &query.donor_token, content).await, "a message was not posted");
                tokio::time::sleep(PACE).await;
            }
            (said, desk.resident_megabytes())
        };
        let listen = |live| listen(desk.address(), desk.staff_token(), live);
        let ((said, megabytes), heard) = tell(listeners, listen, post).await;
        (delays(&said[WARM_UP..], heard.iter().map(|times| &times[WARM_UP..])), megabytes)
    })
}

/// The machine's own limit: as many bytes to as many sockets, with no database, no protocol and no decision in between.
fn plain(address: SocketAddr, listeners: usize) -> Timings {
    on_one_thread(async {
        let speak = async {
            let mut speaker = TcpStream::connect(address).await.unwrap();
            speaker.set_nodelay(true).unwrap();
            speaker.write_u8(b's').await.unwrap();
            let mut said = Vec::with_capacity(POSTS);
            for _ in 0..POSTS {
                tokio::time::sleep(PACE).await;
                said.push(Instant::now());
                speaker.write_u8(b'.').await.unwrap();
            }
            said
        };
        let (said, heard) = tell(listeners, |live| listen_plainly(address, live), speak).await;
        delays(&said, heard.iter().map(Vec::as_slice))
    })
}

/// Has many listen, speaks when all are live, and returns what they heard.
async fn tell<S, F>(
    listeners: usize,
    listen: impl Fn(mpsc::Sender<()>) -> F,
    speak: impl Future<Output = S>,
) -> (S, Vec<Heard>)
where
    F: Future<Output = io::Result<Heard>>,
{
    let (live, mut lives) = mpsc::channel(listeners);
    let hear = (0..listeners).map(|_| listen(live.clone())).collect::<FuturesUnordered<_>>();
    let speak_to_all = async {
        for _ in 0..listeners {
            lives.recv().await.expect("a listener goes live");
        }
        speak.await
    };
    let (said, heard): (_, Vec<_>) = tokio::join!(speak_to_all, hear.collect());
    (said, heard.into_iter().map(|heard| heard.expect("a listener goes on")).collect())
}

fn delays<'a>(said: &[Instant], heard: impl Iterator<Item = &'a [Option<Instant>]>) -> Timings {
    let (mut taken, mut missing) = (Vec::new(), 0);
    for times in heard {
        for (said, heard) in said.iter().zip(times) {
            match heard {
                Some(at) => taken.push(at.duration_since(*said)),
                None => missing += 1,
            }
        }
    }
    Timings::new(taken, PACE * u32::try_from(said.len()).unwrap(), missing)
}

/// Hears until the last message came, or nothing comes any more.
async fn listen(address: SocketAddr, token: &str, live: mpsc::Sender<()>) -> io::Result<Heard> {
    let mut socket = Socket::open(address, 1, "/api/v1/ws").await?;
    socket.say(&format!(r#"{{"type":"hello","token":"{token}"}}"#)).await?;
    let mut heard = vec![None; WARM_UP + POSTS];
    while heard[WARM_UP + POSTS - 1].is_none() {
        let Ok(frame) = tokio::time::timeout(PATIENCE, socket.hear()).await else { break };
        let (frame, at) = (frame?, Instant::now());
        if let Some(turn) = turn(frame) {
            heard[turn].get_or_insert(at);
        } else if frame.contains(r#""type":"live""#) {
            live.send(()).await.map_err(io::Error::other)?;
        }
    }
    Ok(heard)
}

/// The number of the message that a frame tells.
fn turn(frame: &str) -> Option<usize> {
    let (_, rest) = frame.split_once(MARKER)?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

async fn listen_plainly(address: SocketAddr, live: mpsc::Sender<()>) -> io::Result<Heard> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    socket.write_u8(b'l').await?;
    socket.read_u8().await?;
    live.send(()).await.map_err(io::Error::other)?;
    let (mut heard, mut frame) = (vec![None; POSTS], [0; FRAME_BYTES]);
    for time in &mut heard {
        socket.read_exact(&mut frame).await?;
        time.replace(Instant::now());
    }
    Ok(heard)
}
