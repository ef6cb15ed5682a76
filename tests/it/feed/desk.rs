//! A node that serves nothing but the feed, and clients of it. Facts go straight into the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{DonorId, MessageId, QueryId};
use aggregates::people::{Actor, DonorSession, Role};
use aggregates::recorded::{Event, Metadata, Position, RecordedEvent, StreamId};
use aggregates::testing::{NOON, text};
use aggregates::vocabulary::MessageType;
use futures_util::{SinkExt, StreamExt};
use projections::queries::{self, QueryRow};
use proof_concierge::accounts::{self, Accounts};
use proof_concierge::app::serve::{Bounds, run};
use proof_concierge::config::{Config, DonorAccess};
use proof_concierge::database::{self, Purpose};
use proof_concierge::log::{Append, Log, StreamAppend};
use proof_concierge::projector::{Freshness, Projector};
use proof_concierge::push::{self, Push, PushSettings, SeatLimits, Sources};
use proof_concierge::relay;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::app::Client;
use crate::support::database::{TestDatabase, database};
use crate::support::eventually::eventually;
use crate::support::node::{self, config};

/// How long anything may take before the test fails.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A node without commands.
pub(super) struct Desk {
    pub(super) push: Push,
    pub(super) accounts: Accounts,
    pub(super) stop: CancellationToken,
    log: Log,
    reads: PgPool,
    address: SocketAddr,
    config: Config,
    database: TestDatabase,
}

/// One WebSocket of the feed.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came through a socket.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// A line of JSON.
    Line(Value),
    /// The server closed it: code and reason.
    Closed(u16, String),
}

impl Desk {
    /// A desk with generous limits.
    pub(super) async fn open() -> Self {
        Self::with_replay_limit(1_000_000).await
    }

    /// A desk that tells at most so many facts that were missed.
    pub(super) async fn with_replay_limit(replay_limit: i64) -> Self {
        Self::with(replay_limit, SeatLimits::default()).await
    }

    /// A desk where one client at a time can listen.
    pub(super) async fn with_one_seat() -> Self {
        Self::with(1_000_000, SeatLimits { total: 1, ..SeatLimits::default() }).await
    }

    async fn with(replay_limit: i64, seats: SeatLimits) -> Self {
        let database = database().await;
        let config = config(&database);
        let log = Log::open_database(&config).unwrap();
        let bus = node::bus(&config).await;
        let reads = database::pool(&config.database_url, Purpose::Read, 4).unwrap();
        let freshness = Freshness::new(log.clone(), reads.clone());
        let accounts = Accounts::open(reads.clone(), &config.jwt_secret).await.unwrap();
        accounts::seed(&accounts, &[("ada", "Ada", Role::Admin, "a password for tests")]).await.unwrap();

        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let owner = database::options(&config.database_url, Purpose::Project).unwrap();
        tracker.spawn(relay::run(log.clone(), bus.clone(), owner, stop.clone()));
        tracker.spawn(relay::hint(log.clone(), bus.clone(), stop.clone()));
        let projector = Projector::new(log.clone(), bus.clone(), &config.database_url, freshness.clone(), 1).unwrap();
        tracker.spawn(projector.run(stop.clone()));
        let sources = Sources { log: log.clone(), bus, freshness, accounts: accounts.clone(), reads: reads.clone() };
        let settings = PushSettings { replay_limit, trusted_proxies: 0, donor_access: DonorAccess::Token, seats };
        let push = Push::start(sources, settings, &tracker, &stop);
        let address = serve(push.clone()).await;
        Self { push, accounts, stop, log, reads, address, config, database }
    }

    /// Nobody, calling another node of the same desk that has just started.
    pub(super) async fn another_node(&self) -> Client {
        let (log, bus) = (self.log_of_another_node(), node::bus(&self.config).await);
        let freshness = Freshness::new(log.clone(), self.reads.clone());
        let accounts = Accounts::open(self.reads.clone(), &self.config.jwt_secret).await.unwrap();
        let sources = Sources { log, bus, freshness, accounts, reads: self.reads.clone() };
        let settings = PushSettings {
            replay_limit: 1_000_000,
            trusted_proxies: 0,
            donor_access: DonorAccess::Token,
            seats: SeatLimits::default(),
        };
        let push = Push::start(sources, settings, &TaskTracker::new(), &self.stop);
        Client::new(&format!("http://{}", serve(push).await))
    }

    /// A token of the only staff member.
    pub(super) async fn staff_token(&self) -> String {
        self.accounts.log_in("ada", "a password for tests").await.unwrap().1
    }

    /// A token of the donor who opens [`opened_by`] queries with the same number.
    pub(super) fn donor_token(&self, donor: u128) -> String {
        self.accounts.donor_token(&donor_id(donor), DonorSession(uuid::Uuid::from_u128(donor)))
    }

    /// Adds facts to a query that is at a version, and waits until the feed has told them.
    pub(super) async fn append(&self, query: QueryId, expected: i64, events: Vec<DonorQueryEvent>) {
        let position = append(&self.log, query, expected, events).await;
        eventually(LIMIT, async || self.push.hub().passed(), |passed| *passed >= position).await;
    }

    /// The log, for writers of their own.
    pub(super) fn log(&self) -> Log {
        self.log.clone()
    }

    /// The log as another node opens it, with nothing in memory.
    pub(super) fn log_of_another_node(&self) -> Log {
        node::log(&self.database)
    }

    /// Says what is said after a restore, for nodes that start from now on.
    pub(super) async fn take_back(&self) {
        sqlx::query("update log_epoch set epoch = gen_random_uuid()").execute(&self.database.pool).await.unwrap();
    }

    /// A query as a read shows it now.
    pub(super) async fn read(&self, query: QueryId) -> Option<QueryRow> {
        queries::find(&self.reads, query).await.unwrap()
    }

    /// A client of the feed's plain routes.
    pub(super) fn client(&self, token: &str) -> Client {
        Client::new(&format!("http://{}", self.address)).with_token(token)
    }

    /// A socket that said hello, after its answer.
    pub(super) async fn listen(&self, token: &str, after: Option<i64>) -> Socket {
        let mut socket = self.connect().await;
        socket.say(&json!({ "type": "hello", "token": token, "after": after })).await;
        let hello = socket.line().await;
        assert_eq!(hello["type"], "hello", "{hello}");
        socket
    }

    /// A connection that speaks no HTTP yet, with as small a buffer as the system allows.
    pub(super) async fn connect_bare(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        timeout(LIMIT, socket.connect(self.address)).await.unwrap().unwrap()
    }

    /// A socket that said nothing yet.
    pub(super) async fn connect(&self) -> Socket {
        let url = self.socket_url("/api/v1/ws");
        let (stream, _) = timeout(LIMIT, tokio_tungstenite::connect_async(url)).await.unwrap().unwrap();
        Socket { stream }
    }

    /// Where a path of this node is for a WebSocket.
    pub(super) fn socket_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }
}

async fn serve(push: Push) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bounds = Bounds { head_patience: LIMIT, last_call: Duration::ZERO, connections: 0, connections_per_address: 0 };
    tokio::spawn(run(Arc::new(listener), push::router(push), bounds, CancellationToken::new()));
    address
}

impl Socket {
    /// Sends a line.
    pub(super) async fn say(&mut self, line: &Value) {
        self.stream.send(Message::text(line.to_string())).await.unwrap();
    }

    /// The next line or the close.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            match timeout(LIMIT, self.stream.next()).await.expect("the feed says something") {
                Some(Ok(Message::Text(text))) => return Heard::Line(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return Heard::Closed(code.into(), reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("the socket broke: {other:?}"),
            }
        }
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Value {
        match self.hear().await {
            Heard::Line(line) => line,
            Heard::Closed(code, reason) => panic!("closed with {code}: {reason}"),
        }
    }

    /// The next line about a fact. Heartbeats do not count as patience.
    pub(super) async fn fact(&mut self) -> Value {
        let fact = async {
            loop {
                let line = self.line().await;
                if line["type"] == "event" {
                    return line;
                }
            }
        };
        timeout(LIMIT, fact).await.expect("the feed tells a fact")
    }

    /// Everything up to and including the line of a type.
    pub(super) async fn until(&mut self, wanted: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.line().await);
            if lines.last().is_some_and(|line| line["type"] == wanted) {
                return lines;
            }
        }
    }
}

/// Adds facts to a query that is at a version, and returns where the last one stands.
pub(super) async fn append(log: &Log, query: QueryId, expected: i64, events: Vec<DonorQueryEvent>) -> Position {
    append_all(log, query, expected, events).await.last().unwrap().position
}

/// Adds facts to a query that is at a version, and returns them.
pub(super) async fn append_all(
    log: &Log,
    query: QueryId,
    expected: i64,
    events: Vec<DonorQueryEvent>,
) -> Vec<RecordedEvent> {
    let events = events.into_iter().map(Event::DonorQuery).collect();
    let stream = StreamAppend { stream: StreamId::DonorQuery(query), query, expected, events };
    let append = Append {
        streams: vec![stream],
        subject: DonorId::new(format!("donor of {query}")),
        metadata: Metadata::of(&Actor::System, "request-1"),
        key: None,
    };
    log.append(append).await.unwrap().events
}

/// A donor's first words.
pub(super) fn opened_by(donor: u128) -> DonorQueryEvent {
    DonorQueryEvent::QueryOpened {
        donor: text("Dee"),
        donor_id: donor_id(donor),
        session: DonorSession(uuid::Uuid::from_u128(donor)),
        test: "Blood pressure".to_owned(),
        stage: "Before".to_owned(),
        device: "Cuff".to_owned(),
        at: NOON,
    }
}

/// A message with a number for its id.
pub(super) fn message(number: i64, words: &str) -> DonorQueryEvent {
    DonorQueryEvent::MessagePosted {
        message: MessageId::new(number),
        author: Author::Donor,
        recipient: None,
        message_type: MessageType::Chat,
        content: text(words),
        call: None,
        request: None,
        at: NOON,
    }
}

fn donor_id(donor: u128) -> DonorId {
    DonorId::new(format!("donor-{donor}"))
}
