//! What can be asked.
//!
//! A read model is a folder: `row` (what is kept), `project` (events to rows) and `query` (rows to answers). The crate
//! knows facts and SQL, and nothing of HTTP, NATS or commands. Its tables can be dropped and filled again from the log
//! at any time.
//!
//! Three rules hold for every projection:
//!
//! * Rows and [`checkpoint`] are written in one transaction, which the caller owns.
//! * A batch is folded in memory and written in a constant number of statements, whatever its length.
//! * Applying a fact twice changes nothing: every row remembers the position it was last changed at.
//!
//! Table names are never qualified: a connection's `search_path` is `read, public`, or `rebuild_<name>, public` while a
//! second copy is being filled beside the live one.
//!
//! To add a read model: a folder here, a variant of [`Projection`], a migration that creates its tables in the schema
//! `read` and its sixteen rows in `projection_checkpoints`.

pub mod board;
pub mod calls;
pub mod checkpoint;
mod columns;
pub mod messages;
mod outage;
pub mod page;
pub mod queries;
pub mod requests;
pub mod standing;

pub use outage::{is_given_up, is_passing};

use aggregates::donor_query::DonorQueryEvent;
use aggregates::recorded::{Event, RecordedEvent};
use sqlx::PgConnection;

/// What the questions are asked on: connections whose `search_path` begins with the read models' schema.
pub type ReadPool = sqlx::PgPool;

/// Why a question got no answer.
pub type ReadError = sqlx::Error;

/// Rows with their ids, each understood on its own: one that makes no sense does not keep the others from being read.
pub type Each<I, T> = Vec<(I, Result<T, ReadError>)>;

/// A read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Donor queries as lists and pages show them: [`queries`].
    Queries,
    /// What was said: [`messages`].
    Messages,
    /// Call sessions: [`calls`].
    Calls,
    /// Donors' requests for a call: [`requests`].
    Requests,
    /// Live counters: [`board`].
    Board,
}

impl Projection {
    /// Every read model.
    pub const ALL: &'static [Self] = &[Self::Queries, Self::Messages, Self::Calls, Self::Requests, Self::Board];

    /// The name in checkpoints, metrics and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Messages => "messages",
            Self::Calls => "calls",
            Self::Requests => "requests",
            Self::Board => "board",
        }
    }

    /// Counts up when the tables must be filled again because the fold changed.
    pub const fn version(self) -> i32 {
        match self {
            Self::Queries | Self::Messages | Self::Calls | Self::Requests | Self::Board => 1,
        }
    }

    /// The tables it owns, unqualified. Nothing else writes them.
    pub const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Queries => &["queries", "query_details", "query_terms"],
            Self::Messages => &["messages", "message_threads"],
            Self::Calls => &["calls"],
            Self::Requests => &["requests"],
            Self::Board => &["board", "board_queries"],
        }
    }

    /// Reads a [`Projection::name`] back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|projection| projection.name() == name)
    }

    /// Applies a batch inside the caller's transaction.
    ///
    /// The events are ordered by position and may come from one or several partitions. A fact that was applied before is
    /// skipped. A fact of a query or a call whose beginning was never seen fails the batch, because events were lost.
    pub async fn project(self, conn: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
        match self {
            Self::Queries => queries::project::project(conn, events).await,
            Self::Messages => messages::project::project(conn, events).await,
            Self::Calls => calls::project::project(conn, events).await,
            Self::Requests => requests::project::project(conn, events).await,
            Self::Board => board::project::project(conn, events).await,
        }
    }
}

/// The facts about queries among all facts.
fn facts_of_queries(events: &[RecordedEvent]) -> Vec<(&RecordedEvent, &DonorQueryEvent)> {
    events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::DonorQuery(event) => Some((recorded, event)),
            Event::CallSession(_) | Event::StaffChat(_) => None,
        })
        .collect()
}

/// The error of a fact whose row should exist and does not: an earlier fact never arrived.
fn orphan(recorded: &RecordedEvent) -> sqlx::Error {
    sqlx::Error::Protocol(format!(
        "{} of {} at position {} came before what it changes",
        recorded.event.name(),
        recorded.stream,
        recorded.position
    ))
}
