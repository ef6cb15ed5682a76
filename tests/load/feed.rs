//! From posting a message to its frame: how long every listener waits, beside plain sockets with as many bytes.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use std::{io, thread};

use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Effort;
use crate::client::find;
use crate::desk::Desk;
use crate::ears::{Told, hear};
use crate::limits::{FRAME_BYTES, Limits};
use crate::measure::{Timings, on_one_thread};
use crate::report::Report;
use crate::socket::{Socket, header};

/// How many messages are posted per measurement, and how far apart.
const POSTS: usize = 100;
const PACE: Duration = Duration::from_millis(50);
/// How many messages are posted before those that count.
const WARM_UP: usize = 5;
/// How long listeners wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);
/// What a message says before its number.
const MARKER: &str = "feed-turn-";

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
    let sockets = open(listeners, || listener(desk.address(), desk.staff_token()));
    let post = async || {
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
    let cut = |bytes: &[u8], _| {
        let (begin, length) = header(bytes)?;
        bytes.get(begin..begin + length).map(|frame| Told { length: begin + length, turn: turn(frame) })
    };
    let (heard, (said, megabytes)) = thread::scope(|scope| {
        let hearing = scope.spawn(|| hear(sockets, WARM_UP + POSTS, PATIENCE, cut));
        let said = on_one_thread(post());
        (hearing.join().unwrap(), said)
    });
    (delays(&said[WARM_UP..], heard.iter().map(|times| &times[WARM_UP..])), megabytes)
}

/// The machine's own limit: as many bytes to as many sockets, with no database, no protocol and no decision in between.
fn plain(address: SocketAddr, listeners: usize) -> Timings {
    let sockets = open(listeners, || plain_listener(address));
    let speak = async || {
        let mut speaker = tokio::net::TcpStream::connect(address).await.unwrap();
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
    let cut =
        |bytes: &[u8], told| (bytes.len() >= FRAME_BYTES).then_some(Told { length: FRAME_BYTES, turn: Some(told) });
    let (heard, said) = thread::scope(|scope| {
        let hearing = scope.spawn(|| hear(sockets, POSTS, PATIENCE, cut));
        let said = on_one_thread(speak());
        (hearing.join().unwrap(), said)
    });
    delays(&said, heard.iter().map(Vec::as_slice))
}

/// Listeners that are all live.
fn open<F: Future<Output = io::Result<TcpStream>>>(listeners: usize, listener: impl Fn() -> F) -> Vec<TcpStream> {
    on_one_thread(async {
        let opening = (0..listeners).map(|_| listener()).collect::<FuturesUnordered<_>>();
        opening.try_collect().await.expect("everybody may listen")
    })
}

/// Greets, and is let in.
async fn listener(address: SocketAddr, token: &str) -> io::Result<TcpStream> {
    let mut socket = Socket::open(address, 1, "/api/v1/ws").await?;
    socket.say(&format!(r#"{{"type":"hello","token":"{token}"}}"#)).await?;
    while !socket.hear().await?.contains(r#""type":"live""#) {}
    socket.into_std()
}

async fn plain_listener(address: SocketAddr) -> io::Result<TcpStream> {
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    socket.write_u8(b'l').await?;
    socket.read_u8().await?;
    socket.into_std()
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

/// The number of the message that a frame tells.
fn turn(frame: &[u8]) -> Option<usize> {
    let from = find(frame, MARKER.as_bytes())? + MARKER.len();
    let digits = frame[from..].iter().take_while(|letter| letter.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
