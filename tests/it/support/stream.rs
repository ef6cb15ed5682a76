//! A desk of one test: its own database, its own stream, perhaps its own nats-server, and a look at what is where.

use std::path::PathBuf;
use std::time::Duration;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, QueryId};
use aggregates::people::Actor;
use aggregates::recorded::{Event, Metadata, Position, StreamId};
use aggregates::testing::random_history;
use async_nats::jetstream::Context;
use proof_concierge::bus::Bus;
use proof_concierge::config::{Config, Secret};
use proof_concierge::dev::servers::{NatsOptions, PrivateNats};
use proof_concierge::log::{Append, Log, StreamAppend};
use uuid::Uuid;

use super::database::{TestDatabase, database};
use super::eventually::eventually;
use super::node;
use super::servers::scratch;
use crate::world::{nats_program, stream};

/// How long a test waits for what should take milliseconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A log and a bus of one test's own.
pub(crate) struct Desk {
    pub(crate) database: TestDatabase,
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) bus: Bus,
}

/// A desk on the NATS server that all tests share.
pub(crate) async fn desk() -> Desk {
    let database = database().await;
    let config = node::config(&database);
    desk_on(database, config).await
}

/// A desk with a nats-server of its own, to be killed, and the directory it keeps its streams in.
pub(crate) async fn desk_with_nats() -> (Desk, PrivateNats, PathBuf) {
    let data_dir = scratch("nats");
    let options = NatsOptions { data_dir: data_dir.clone(), port: None, program: nats_program() };
    let nats = PrivateNats::start(&options).unwrap();
    let database = database().await;
    let config = Config { nats_url: Secret::new(nats.url()), ..node::config(&database) };
    (desk_on(database, config).await, nats, data_dir.join("store"))
}

async fn desk_on(database: TestDatabase, config: Config) -> Desk {
    let log = Log::open_database(&config).unwrap();
    let bus = connect(&config).await;
    Desk { database, config, log, bus }
}

/// Connects as another node would.
pub(crate) async fn connect(config: &Config) -> Bus {
    let bus = node::bus(config).await;
    let mut link = bus.link();
    tokio::time::timeout(LIMIT, link.wait_for(|link| link.up)).await.expect("NATS is there").unwrap();
    bus
}

impl Desk {
    /// Appends facts of a query behind `expected`.
    pub(crate) async fn append(&self, query: i64, expected: i64, events: Vec<DonorQueryEvent>) -> Position {
        let stream = StreamId::DonorQuery(QueryId::new(query));
        let events = events.into_iter().map(Event::DonorQuery).collect();
        let appended = self.log.append(Append {
            streams: vec![StreamAppend { stream, query: QueryId::new(query), expected, events }],
            subject: DonorId::new(format!("donor-{query}")),
            metadata: Metadata::of(&Actor::System, "request-1"),
            key: None,
        });
        appended.await.unwrap().events.last().expect("something was appended").position
    }

    /// Appends queries, each with a random history of some facts, a few at a time. Returns the last position.
    pub(crate) async fn append_histories(&self, queries: impl IntoIterator<Item = i64>, length: usize) -> Position {
        let mut last = Position::START;
        for query in queries {
            let history = random_history(query.unsigned_abs(), length);
            let mut expected = 0;
            for some in history.chunks(3) {
                last = self.append(query, expected, some.to_vec()).await;
                expected += i64::try_from(some.len()).unwrap();
            }
        }
        last
    }

    /// Places and ids of all facts.
    pub(crate) async fn in_log(&self) -> Vec<(i64, Uuid)> {
        let facts = self.log.read_after(Position::START, i64::MAX).await.unwrap();
        facts.iter().map(|fact| (fact.position.0, fact.event_id)).collect()
    }

    /// JetStream and the name of the desk's stream, without any of the service's code.
    pub(crate) async fn jetstream(&self) -> (Context, String) {
        stream::jetstream(&self.config).await
    }

    /// Places and ids of all messages in the stream; nothing of either for what is not a fact.
    pub(crate) async fn in_stream(&self) -> Vec<(i64, Uuid)> {
        in_stream(&self.config).await
    }

    /// Waits until the stream holds exactly the facts of the log.
    pub(crate) async fn stream_equals_log(&self) {
        let expected = self.in_log().await;
        eventually(LIMIT, async || self.in_stream().await, |seen| *seen == expected).await;
    }
}

/// Places and ids of all messages in a configuration's stream; nothing of either for what is not a fact.
pub(crate) async fn in_stream(config: &Config) -> Vec<(i64, Uuid)> {
    let (context, name) = stream::jetstream(config).await;
    stream::facts_in(&context, &name).await
}
