//! What many idle Socket.IO listeners cost: each has entered the namespace with a token, answers pings and hears nothing.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, mpsc};

use crate::Effort;
use crate::desk::Desk;
use crate::measure::on_one_thread;
use crate::report::Report;
use crate::socket::Socket;

const PATH: &str = "/api/v1/socket.io/?EIO=4&transport=websocket";
/// How many connect at the same time.
const AT_ONCE: usize = 64;
/// How many sockets one loopback address has; the desk allows an address 4,096 connections.
const PER_ADDRESS: usize = 3_000;
/// How long all of them are idle before memory is looked at.
const IDLE: Duration = Duration::from_secs(5);

pub(crate) fn run(desk: &mut Desk, effort: &Effort, report: &mut Report) {
    // A service that did nothing else: what it holds is theirs.
    desk.kill();
    desk.start();
    let before = desk.resident_megabytes();
    let after = on_one_thread(held_by(desk, effort.sockets));
    let each = (after - before) * 1_024.0 / effort.sockets as f64;
    for (measure, value) in [("megabytes", after), ("before", before), ("kilobytes_each", each)] {
        report.note("socketio", "idle listeners", effort.sockets, measure, value);
    }
    println!("socketio  {} idle listeners: {after:.0} MB, {each:.1} KB each", effort.sockets);
}

/// What the service holds, in megabytes, while so many listen.
async fn held_by(desk: &Desk, count: usize) -> f64 {
    let (entered, mut entries) = mpsc::channel(count);
    let doors = Semaphore::new(AT_ONCE);
    let mut sockets: FuturesUnordered<_> =
        (0..count).map(|number| listen(desk, number, &doors, entered.clone())).collect();
    let look = async {
        for _ in 0..count {
            entries.recv().await.expect("a listener enters");
        }
        tokio::time::sleep(IDLE).await;
        desk.resident_megabytes()
    };
    tokio::select! {
        megabytes = look => megabytes,
        Some(left) = sockets.next() => panic!("a listener left: {left:?}"),
    }
}

/// Enters and answers pings, for ever.
async fn listen(desk: &Desk, number: usize, doors: &Semaphore, entered: mpsc::Sender<()>) -> io::Result<()> {
    let source = u8::try_from(2 + number / PER_ADDRESS).map_err(io::Error::other)?;
    let door = doors.acquire().await.map_err(io::Error::other)?;
    let mut socket = Socket::open(desk.address(), source, PATH).await?;
    expect(&mut socket, "0{").await?;
    socket.say(&format!(r#"40/notifications,{{"token":"{}"}}"#, desk.staff_token())).await?;
    expect(&mut socket, "40/notifications,{").await?;
    drop(door);
    entered.send(()).await.map_err(io::Error::other)?;
    loop {
        packet(&mut socket).await?;
    }
}

async fn expect(socket: &mut Socket, begin: &str) -> io::Result<()> {
    let packet = packet(socket).await?;
    if packet.starts_with(begin) { Ok(()) } else { Err(io::Error::other(format!("{packet} in place of {begin}"))) }
}

/// The next packet that is not a ping, which is answered at once.
async fn packet(socket: &mut Socket) -> io::Result<String> {
    loop {
        match socket.hear().await? {
            "2" => socket.say("3").await?,
            packet => return Ok(packet.to_owned()),
        }
    }
}
