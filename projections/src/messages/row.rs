//! A message as its readers see it.

use aggregates::donor_query::event::Author;
use aggregates::ids::{CallId, CallRequestId, DonorId, MessageId, QueryId, UserId};
use aggregates::recorded::Position;
use aggregates::vocabulary::MessageType;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::columns::{id, optional_id, word};

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// The message.
    pub message_id: MessageId,
    /// The query it is about; none if it belongs to a chat of two staff members.
    pub query_id: Option<QueryId>,
    /// What it says; `[erased]` once its donor was erased, or the chat.
    pub content: String,
    /// What it is.
    pub message_type: MessageType,
    /// What kind of somebody said it.
    pub sender_type: SenderType,
    /// The staff member who said it.
    pub sender_id: Option<UserId>,
    /// The name of who said it: the staff member's as it was then, the donor's as it is now.
    pub sender_name: Option<String>,
    /// The staff member it is meant for.
    pub recipient_id: Option<UserId>,
    /// The donor whose query it is about, whoever said it.
    pub donor_id: Option<DonorId>,
    /// That donor's name or address.
    pub donor_name: Option<String>,
    /// The call it is about.
    pub call_id: Option<CallId>,
    /// The call request it is about.
    pub call_request_id: Option<CallRequestId>,
    /// When it was posted.
    pub created_at: DateTime<Utc>,
    /// When it was posted or last revised.
    pub updated_at: DateTime<Utc>,
    /// The fact that posted it: lists are in this order.
    pub posted_position: Position,
    /// The last fact that was applied.
    pub position: Position,
}

/// What kind of somebody said a message, in the words of the wire contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderType {
    /// Staff.
    Admin,
    /// The donor.
    Donor,
    /// The desk itself.
    System,
}

impl SenderType {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Admin, Self::Donor, Self::System];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::Donor => "DONOR",
            Self::System => "SYSTEM",
        }
    }

    /// Reads the word of the wire in any letter case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(word))
    }
}

impl From<&Author> for SenderType {
    fn from(author: &Author) -> Self {
        match author {
            Author::Staff(_) => Self::Admin,
            Author::Donor => Self::Donor,
            Author::System => Self::System,
        }
    }
}

impl FromRow<'_, PgRow> for MessageRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            message_id: id(row, "message_id", MessageId::new)?,
            query_id: optional_id(row, "query_id", QueryId::new)?,
            content: row.try_get("content")?,
            message_type: word(row, "message_type", MessageType::parse)?,
            sender_type: word(row, "sender_type", SenderType::parse)?,
            sender_id: optional_id(row, "sender_id", UserId::new)?,
            sender_name: row.try_get("sender_name")?,
            recipient_id: optional_id(row, "recipient_id", UserId::new)?,
            donor_id: row.try_get::<Option<String>, _>("donor_id")?.map(DonorId::new),
            donor_name: row.try_get("donor_name")?,
            call_id: optional_id(row, "call_id", CallId::new)?,
            call_request_id: optional_id(row, "call_request_id", CallRequestId::new)?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            posted_position: Position(row.try_get("posted_position")?),
            position: Position(row.try_get("position")?),
        })
    }
}
