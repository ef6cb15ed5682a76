//! What notes and letters are written from: read by whoever sends them, at the time of sending.

use aggregates::donor_query::event::Author;
use aggregates::ids::{DonorId, QueryId};
use aggregates::vocabulary::{MessageType, QueryStatus};
use chrono::{DateTime, Utc};

/// A query as it is when a note or a letter about it is sent.
#[derive(Clone, Debug)]
pub struct QueryFacts {
    /// The query.
    pub query: QueryId,
    /// The donor's identity.
    pub donor_id: DonorId,
    /// The donor's name.
    pub donor: String,
    /// The test the donor is in.
    pub test: String,
    /// The stage of the test.
    pub stage: String,
    /// The device in use.
    pub device: String,
    /// Where the query stands.
    pub status: QueryStatus,
    /// When that happened which is told.
    pub at: DateTime<Utc>,
    /// The words that go with it: the question of a query that was opened, the note of a transfer, the text of a call
    /// request.
    pub words: Option<String>,
    /// The message that is told, if it is one.
    pub message: Option<MessageFacts>,
}

/// A message as it is when a note about it is sent.
#[derive(Clone, Debug)]
pub struct MessageFacts {
    /// What it says.
    pub content: String,
    /// Who said it.
    pub author: Author,
    /// What kind it is.
    pub message_type: MessageType,
}
