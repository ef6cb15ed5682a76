//! The event log: the only writer of facts and the only place that reads them back.
//!
//! Facts go in through [`Log::append`] (one group-committing [`writer`] per node) and come out sealed ([`StoredEvent`]) or,
//! through [`Log::open`], readable ([`RecordedEvent`]). Personal text is sealed by the [`codec`] on the way.

mod answers;
mod append;
mod cache;
mod codec;
mod fresh;
mod ids;
mod imported;
mod load;
mod read;
mod recent;
mod store;
mod writer;

use std::sync::Arc;

use aggregates::ids::DonorId;
use aggregates::recorded::{Event, Metadata, Position, RecordedEvent, StoredEvent, StreamId};
use aggregates::upcast::upcasters;
use cqrs_es::persist::EventUpcaster;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use answers::{CommandKey, KeyGuard, Recall, RememberedAnswer};
pub use load::{Loaded, Logged};

use crate::config::{Config, ConfigError};
use crate::database::{self, Purpose};
use crate::grouped::GroupError;

/// The event store. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    codec: codec::Codec,
    writer: writer::Writer,
    recent: Arc<recent::Recent>,
    fresh: fresh::Fresh,
    caches: load::Caches,
    ids: ids::Ids,
    in_flight: answers::InFlight,
    upcasters: Vec<Box<dyn EventUpcaster>>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// Facts to be appended in one transaction: all or nothing.
#[derive(Clone, Debug)]
pub struct Append {
    /// The streams, each with the version that the facts were decided on.
    pub streams: Vec<StreamAppend>,
    /// Whose key seals the personal text: a donor's, or that of a chat.
    pub subject: DonorId,
    /// Who, from where, and why.
    pub metadata: Metadata,
    /// The client's key for this command, if it sent one.
    pub key: Option<CommandKey>,
}

/// The facts of one stream.
#[derive(Clone, Debug)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// The query it is about; the [place](aggregates::ids::ChatId::place) of a chat.
    pub query: aggregates::ids::QueryId,
    /// The version the facts were decided on; 0 for a new stream.
    pub expected: i64,
    /// The facts.
    pub events: Vec<Event>,
}

/// What an append did.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The facts, with their positions; those of the first time if this was a replay.
    pub events: Vec<RecordedEvent>,
    /// Whether the key had been used for the same command before, so that nothing new was written.
    pub replayed: bool,
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another command changed the stream first.
    #[error("stream {0} was changed by another command")]
    Conflict(StreamId),
    /// Another stream holds a claim.
    #[error("{key} is held by {holder}")]
    Claimed {
        /// The claim.
        key: String,
        /// Who holds it.
        holder: StreamId,
    },
    /// The key was used for another command.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The queue of the writer is full.
    #[error("too many commands wait to be written")]
    Busy,
    /// The log failed, and nothing was written.
    #[error("the log is unavailable")]
    Unavailable(#[source] LogError),
}

/// Why the log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database said no.
    #[error("database error")]
    Database(#[from] sqlx::Error),
    /// The database said no to a statement that others shared.
    #[error("database error")]
    Shared(#[from] GroupError),
    /// A stored fact could not be understood.
    #[error("event at position {position} is unreadable: {reason}")]
    Unreadable {
        /// Where.
        position: Position,
        /// Why.
        reason: String,
    },
    /// A data key does not open under the configured master key.
    #[error("the master key does not open the stored data keys")]
    WrongMasterKey,
    /// The connection broke while a batch was under way, and the database stayed out of reach.
    #[error("the connection to the database broke; whether the command took effect is unknown")]
    OutcomeUnknown,
    /// The node is stopping.
    #[error("the log is closed")]
    Closed,
}

impl Log {
    /// Opens the log of a database and starts its writer. Connects when first used.
    pub fn open_database(config: &Config) -> Result<Self, LogSetupError> {
        let master_key = config.master_key_bytes()?;
        let pool = database::pool(&config.database_url, Purpose::Read, config.read_connections)?;
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let recent = Arc::<recent::Recent>::default();
        let options = database::options(&config.database_url, Purpose::Append)?;
        let writer = writer::Writer::start(options, Arc::clone(&recent), &tasks);
        Ok(Self {
            inner: Arc::new(Inner {
                codec: codec::Codec::new(pool.clone(), &master_key, &tasks, &closing),
                caches: load::Caches::new(config.cache_capacity),
                ids: ids::Ids::default(),
                in_flight: answers::InFlight::default(),
                upcasters: upcasters(),
                pool,
                writer,
                recent,
                fresh: fresh::Fresh::default(),
                tasks,
                closing,
            }),
        })
    }

    /// Follows the last position this node appended; a hint to look, never the truth about other nodes.
    pub fn appended(&self) -> watch::Receiver<Position> {
        self.inner.writer.appended()
    }

    /// From now on keeps the last facts that this node appends, and forgets those that it kept before.
    pub fn keep_appended(&self) {
        self.inner.recent.begin();
    }

    /// The facts after a position that this node appended a moment ago, in order; none if it did not, or not the next one.
    /// Other nodes may have appended more.
    pub fn just_appended(&self, after: Position, at_most: usize) -> Vec<StoredEvent> {
        self.inner.recent.after(after, at_most)
    }

    /// Refuses a master key that is not the one this database's facts are sealed under.
    pub async fn check_master_key(&self) -> Result<(), LogError> {
        self.inner.codec.check_master_key().await
    }

    /// Takes no more commands, finishes those that wait, and lets go of the database.
    pub async fn close(&self) {
        self.inner.writer.close();
        self.inner.tasks.close();
        self.inner.closing.cancel();
        self.inner.tasks.wait().await;
        self.inner.pool.close().await;
    }

    /// Whether a stored fact still has the bytes it was recorded with.
    pub fn verifies(stored: &StoredEvent, digest: &[u8]) -> bool {
        digest_of(stored).as_slice() == digest
    }
}

/// Why a log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogSetupError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database's address is at fault.
    #[error("the database address is unusable")]
    Database(#[from] sqlx::Error),
}

/// SHA-256 over everything that makes a fact: each part is preceded by its length, so that no two facts share an input.
fn digest_of(event: &StoredEvent) -> [u8; 32] {
    let mut hash = Sha256::new();
    let sequence = event.sequence.to_be_bytes();
    let query = event.query.get().to_be_bytes();
    for part in [
        event.event_id.as_bytes().as_slice(),
        event.aggregate_type.as_bytes(),
        event.aggregate_id.as_bytes(),
        &sequence,
        &query,
        event.event_type.as_bytes(),
        event.event_version.as_bytes(),
        event.payload.get().as_bytes(),
        event.metadata.get().as_bytes(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A random identity (version 4).
fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
