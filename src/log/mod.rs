//! The event log: the only writer of facts and the only place that reads them back.
//!
//! Facts go in through [`Log::append`] (one group-committing writer per node, see [`writer`]) and come out sealed
//! ([`StoredEvent`]) or, through [`Log::open`], readable ([`RecordedEvent`]).

use aggregates::ids::{DonorId, QueryId};
use aggregates::recorded::{Event, Metadata, Partition, Position, RecordedEvent, StoredEvent, StreamId};
use tokio::sync::watch;

/// The event store. Cheap to clone.
#[derive(Clone)]
pub struct Log {}

/// Facts to be appended in one transaction: all or nothing.
#[derive(Clone, Debug)]
pub struct Append {
    /// The streams, each with the version that the facts were decided on.
    pub streams: Vec<StreamAppend>,
    /// Whose key seals the personal text.
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
    /// The query it is about.
    pub query: QueryId,
    /// The version the facts were decided on; 0 for a new stream.
    pub expected: i64,
    /// The facts.
    pub events: Vec<Event>,
}

/// Identifies one command of one client for seven days.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandKey {
    /// Who sent it: keys of different people never meet.
    pub scope: String,
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// What was asked: method, path and body.
    pub request_hash: [u8; 32],
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
    #[error("the log is busy")]
    Busy,
    /// The database failed, and nothing was written.
    #[error("the log is unavailable")]
    Unavailable(#[source] LogError),
}

/// Why the log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database said no.
    #[error("database error")]
    Database(#[from] sqlx::Error),
    /// A stored fact could not be understood.
    #[error("event at position {position} is unreadable: {reason}")]
    Unreadable {
        /// Where.
        position: Position,
        /// Why.
        reason: String,
    },
}

/// An answer that was given for a [`CommandKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// The status code.
    pub status: u16,
    /// The body, exactly.
    pub body: Vec<u8>,
}

/// What is known about a [`CommandKey`].
pub enum Recall {
    /// Nobody used it, or its answer was lost: carry out the command and hold on to the guard meanwhile.
    Fresh(KeyGuard),
    /// The command was answered before.
    Answered(RememberedAnswer),
    /// The key belongs to another request.
    Reused,
    /// The command is being carried out and did not end in time.
    InFlight,
}

/// Keeps others with the same key waiting until it is dropped.
pub struct KeyGuard {}

impl Log {
    /// Appends facts. Answers when they are durable.
    pub async fn append(&self, _append: Append) -> Result<Appended, AppendError> {
        unimplemented!()
    }

    /// Looks up a key; waits a bounded time for the same command that is under way on this node.
    pub async fn recall(&self, _key: &CommandKey) -> Result<Recall, LogError> {
        unimplemented!()
    }

    /// Keeps the answer given for a key, sealed with the donor's key if it concerns one.
    pub async fn remember(
        &self,
        _key: &CommandKey,
        _answer: &RememberedAnswer,
        _subject: Option<&DonorId>,
    ) -> Result<(), LogError> {
        unimplemented!()
    }

    /// The facts after a position, in order.
    pub async fn read_after(&self, _after: Position, _limit: i64) -> Result<Vec<StoredEvent>, LogError> {
        unimplemented!()
    }

    /// The facts of one partition after a position and up to another, in order.
    pub async fn read_partition(
        &self,
        _partition: Partition,
        _after: Position,
        _through: Position,
        _limit: i64,
    ) -> Result<Vec<StoredEvent>, LogError> {
        unimplemented!()
    }

    /// The facts about some queries after a position, in order.
    pub async fn read_queries(
        &self,
        _queries: &[QueryId],
        _after: Position,
        _limit: i64,
    ) -> Result<Vec<StoredEvent>, LogError> {
        unimplemented!()
    }

    /// The position of the last fact of each partition at or before a position; [`Position::START`] where there is none.
    pub async fn partition_heads(&self, _through: Position) -> Result<Vec<Position>, LogError> {
        unimplemented!()
    }

    /// The position of the last fact.
    pub async fn head(&self) -> Result<Position, LogError> {
        unimplemented!()
    }

    /// Follows the last position this node appended; a hint to look, never the truth about other nodes.
    pub fn appended(&self) -> watch::Receiver<Position> {
        unimplemented!()
    }

    /// Opens a stored fact: upcasts it and unseals personal text.
    pub async fn open(&self, _stored: &StoredEvent) -> Result<RecordedEvent, LogError> {
        unimplemented!()
    }
}
