//! A proxy before PostgreSQL that understands enough of the protocol to count what a node asks for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A client's first words may ask for TLS, which is answered by a single letter.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// How often a connection waited for the server.
    pub(super) round_trips: u64,
    /// How many transactions were committed that wrote something.
    pub(super) commits: u64,
    /// How many rows statements wrote, as the server said; what functions wrote is not among them.
    pub(super) rows: u64,
    /// How often each statement was executed.
    pub(super) statements: BTreeMap<String, u64>,
}

/// A running proxy, which goes on as long as the test's runtime. Cheap to clone.
///
/// A node without anything to do looks for work now and then. Such looks depend on time, so they are learned while the node
/// is idle and not counted later: statements that return nothing, or that returned something even then.
#[derive(Clone, Debug, Default)]
pub(super) struct Postgres(Arc<Mutex<Tally>>);

#[derive(Debug, Default)]
struct Tally {
    work: Work,
    is_learning: bool,
    /// Statements of an idle node, and whether they returned anything.
    looks: HashMap<String, bool>,
}

impl Postgres {
    /// Starts a proxy before the server in `url`, and returns its address.
    pub(super) async fn before(url: &str) -> (Self, SocketAddr) {
        let proxy = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, counting) = (listener.local_addr().unwrap(), proxy.clone());
        let server = url.split(['@', '/']).nth(3).unwrap().to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                counting.connect(client, server);
            }
        });
        (proxy, address)
    }

    /// What is executed from now on, until the next [`Self::take`], is what an idle node does.
    pub(super) fn learn(&self) {
        *self.0.lock().unwrap() = Tally { is_learning: true, ..Tally::default() };
    }

    /// How many statements were executed since the last [`Self::take`].
    pub(super) fn executed(&self) -> u64 {
        self.0.lock().unwrap().work.statements.values().sum()
    }

    /// What was done since the last time.
    pub(super) fn take(&self) -> Work {
        let mut tally = self.0.lock().unwrap();
        tally.is_learning = false;
        std::mem::take(&mut tally.work)
    }

    fn connect(&self, client: TcpStream, server: TcpStream) {
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let conversation = Arc::new(Mutex::new(Conversation { tally: self.clone(), ..Conversation::default() }));
        tokio::spawn(carry(from_client, to_server, conversation.clone(), Conversation::client_says));
        tokio::spawn(carry(from_server, to_client, conversation, Conversation::server_says));
    }
}

/// Hands on what one side says, after listening to it.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    conversation: Arc<Mutex<Conversation>>,
    listen: fn(&mut Conversation, &[u8]),
) {
    let mut buffer = vec![0; 64 * 1_024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        listen(&mut conversation.lock().unwrap(), &buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// One connection.
#[derive(Debug, Default)]
struct Conversation {
    tally: Postgres,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
    /// Whether the client said more than its first words, which have no type.
    has_started: bool,
    expects_letter: bool,
    prepared: HashMap<String, String>,
    bound: String,
    /// What was executed and not answered yet.
    asked: VecDeque<String>,
    /// Whether anything was carried out since the server was ready the last time.
    has_executed: bool,
    /// What was done since the last transaction ended.
    unit: Unit,
}

/// A transaction, or a statement outside of one.
#[derive(Debug, Default)]
struct Unit {
    round_trips: u64,
    has_committed: bool,
    /// Each statement with how many rows it returned or wrote, and whether it wrote.
    statements: Vec<(String, u64, bool)>,
}

impl Conversation {
    fn client_says(&mut self, bytes: &[u8]) {
        self.from_client.extend(bytes);
        if !self.has_started && !self.start() {
            return;
        }
        for (kind, body) in messages(&mut self.from_client) {
            let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let mut text = || texts.next().unwrap_or_default();
            match kind {
                b'P' => {
                    let name = text();
                    self.prepared.insert(name, text());
                }
                b'B' => {
                    text();
                    self.bound = self.prepared.get(&text()).cloned().unwrap_or_default();
                }
                b'E' => self.asked.push_back(self.bound.clone()),
                b'Q' => self.asked.push_back(text()),
                _ => {}
            }
        }
    }

    /// Takes the client's first words away; whether they were all there.
    fn start(&mut self) -> bool {
        if self.from_client.starts_with(&SSL_REQUEST) {
            self.from_client.drain(..SSL_REQUEST.len());
            self.expects_letter = true;
        }
        let Some(length) = self.from_client.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) else {
            return false;
        };
        self.has_started = self.from_client.len() >= length;
        if self.has_started {
            self.from_client.drain(..length);
        }
        self.has_started
    }

    fn server_says(&mut self, bytes: &[u8]) {
        let bytes = if std::mem::take(&mut self.expects_letter) { &bytes[1..] } else { bytes };
        self.from_server.extend(bytes);
        for (kind, body) in messages(&mut self.from_server) {
            match kind {
                b'C' => self.done(&String::from_utf8_lossy(&body)),
                // As many rows as were asked for; there may be more.
                b's' => self.done("SELECT 1"),
                b'Z' => {
                    self.asked.clear();
                    // A statement that was only prepared will not be again.
                    self.unit.round_trips += u64::from(std::mem::take(&mut self.has_executed));
                    if body == b"I" {
                        self.tally.0.lock().unwrap().book(std::mem::take(&mut self.unit));
                    }
                }
                _ => {}
            }
        }
    }

    /// A statement was carried out.
    fn done(&mut self, tag: &str) {
        let Some(statement) = self.asked.pop_front() else { return };
        self.has_executed = true;
        let mut words = tag.trim_end_matches('\0').split(' ');
        let verb = words.next().unwrap_or_default();
        self.unit.has_committed |= verb == "COMMIT";
        if !["BEGIN", "COMMIT", "ROLLBACK"].contains(&verb) {
            let rows = words.next_back().and_then(|rows| rows.parse().ok()).unwrap_or(0);
            let has_written = ["INSERT", "UPDATE", "DELETE"].contains(&verb) && rows > 0;
            self.unit.statements.push((statement, rows, has_written));
        }
    }
}

impl Tally {
    fn book(&mut self, unit: Unit) {
        let Unit { round_trips, has_committed, statements } = unit;
        if self.is_learning {
            for (statement, rows, _) in &statements {
                *self.looks.entry(statement.clone()).or_default() |= *rows > 0;
            }
        } else if !statements.is_empty() && statements.iter().all(|(statement, rows, _)| self.is_look(statement, *rows))
        {
            return;
        }
        let has_written = statements.iter().any(|(statement, _, wrote)| *wrote || statement.contains("append_batch("));
        self.work.round_trips += round_trips;
        self.work.commits += u64::from(has_written || has_committed);
        for (statement, rows, wrote) in statements {
            self.work.rows += if wrote { rows } else { 0 };
            *self.work.statements.entry(statement).or_default() += 1;
        }
    }

    fn is_look(&self, statement: &str, rows: u64) -> bool {
        self.looks.get(statement).is_some_and(|returned| *returned || rows == 0)
    }
}

/// Takes the whole messages off the front of a buffer: a type, four bytes of length, and the rest.
fn messages(buffer: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let (mut taken, mut at) = (Vec::new(), 0);
    while let Some((kind, rest)) = buffer[at..].split_first()
        && let Some(length) = rest.first_chunk().map(|length| u32::from_be_bytes(*length) as usize)
        && rest.len() >= length
    {
        taken.push((*kind, rest[4..length].to_vec()));
        at += 1 + length;
    }
    buffer.drain(..at);
    taken
}
