//! People who read over one connection that they keep, with a pause between two requests, and write down every request that
//! was not answered: no library repeats anything behind their backs.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Desk, LIMIT, World};
use crate::support::eventually::eventually;

/// How long a reader thinks about an answer.
const PAUSE: Duration = Duration::from_millis(40);

/// How long a reader waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read, in turn.
const PATHS: [&str; 3] = [
    "/api/v1/donor-queries?limit=5",
    "/api/v1/donor-queries/in-progress?limit=5",
    "/api/v1/donor-queries/resolved?limit=5",
];

/// Readers at work.
pub(crate) struct Readers {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    stop: AtomicBool,
    failures: Mutex<Vec<String>>,
}

struct Reader {
    desk: Desk,
    door: usize,
    shared: Arc<Shared>,
}

/// What an answer begins with.
#[derive(Debug, Default)]
struct Head {
    status: String,
    length: usize,
    is_last: bool,
}

impl Readers {
    /// Lets so many staff members read, evenly spread over the doors.
    pub(crate) fn start(world: &World, count: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let readers = (0..count).map(|number| {
            let desk = world.desk();
            let door = number % desk.doors.len();
            Reader { desk, door, shared: Arc::clone(&shared) }.run()
        });
        Self { tasks: readers.collect(), shared }
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn answered(&self, more: usize) {
        let count = || self.shared.answered.load(Ordering::SeqCst);
        let goal = count() + more;
        eventually(LIMIT, async || count(), |count| *count >= goal).await;
    }

    /// Every request that was not answered as it should be.
    pub(crate) async fn finish(self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
        std::mem::take(&mut *self.shared.failures.lock().unwrap())
    }
}

impl Reader {
    async fn run(mut self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            let address = self.desk.doors[self.door].trim_start_matches("http://").to_owned();
            // Nobody is asked where nobody listens.
            if let Ok(socket) = TcpStream::connect(&address).await
                && let Err(error) = self.read_on(BufReader::new(socket), &address).await
            {
                self.shared.failures.lock().unwrap().push(format!("{address}: {error}"));
            }
            self.door = (self.door + 1) % self.desk.doors.len();
        }
    }

    /// Reads until the node asks to be asked no more.
    async fn read_on(&self, mut socket: BufReader<TcpStream>, host: &str) -> Result<(), Error> {
        for path in PATHS.iter().cycle() {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\r\n", self.desk.ada);
            socket.write_all(request.as_bytes()).await?;
            let head = timeout(PATIENCE, answer(&mut socket)).await??;
            if head.status != "200" {
                return Err(Error::other(format!("{path}: {head:?}")));
            }
            self.shared.answered.fetch_add(1, Ordering::SeqCst);
            if head.is_last || self.shared.stop.load(Ordering::SeqCst) {
                break;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Reads one answer to its end.
async fn answer(socket: &mut BufReader<TcpStream>) -> Result<Head, Error> {
    let mut head = Head::default();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            None if line.trim_end().is_empty() => break,
            None => line.split(' ').nth(1).unwrap_or_default().clone_into(&mut head.status),
            Some(("content-length", length)) => head.length = length.parse().map_err(Error::other)?,
            Some(("connection", value)) => head.is_last = value == "close",
            Some(_) => {}
        }
    }
    let mut body = vec![0; head.length];
    socket.read_exact(&mut body).await?;
    Ok(head)
}
