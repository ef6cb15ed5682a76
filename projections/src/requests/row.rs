//! A call request as its readers see it.

use aggregates::ids::{CallId, CallRequestId, MessageId, QueryId, UserId};
use aggregates::recorded::Position;
use aggregates::vocabulary::{CallMode, CallRequestStatus};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::columns::{id, optional_id, word};

/// A call request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRow {
    /// The request.
    pub request_id: CallRequestId,
    /// The query it is about.
    pub query_id: QueryId,
    /// The staff member who accepted or declined it.
    pub admin_id: Option<UserId>,
    /// How the donor wants to talk.
    pub mode: CallMode,
    /// Where it stands.
    pub status: CallRequestStatus,
    /// The message that shows it.
    pub message_id: MessageId,
    /// The call that was opened for it.
    pub call_id: Option<CallId>,
    /// When the donor asked.
    pub created_at: DateTime<Utc>,
    /// When the last fact about it happened.
    pub updated_at: DateTime<Utc>,
    /// The last fact that was applied.
    pub position: Position,
}

impl FromRow<'_, PgRow> for RequestRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            request_id: id(row, "request_id", CallRequestId::new)?,
            query_id: id(row, "query_id", QueryId::new)?,
            admin_id: optional_id(row, "admin_id", UserId::new)?,
            mode: word(row, "mode", CallMode::parse)?,
            status: word(row, "status", CallRequestStatus::parse)?,
            message_id: id(row, "message_id", MessageId::new)?,
            call_id: optional_id(row, "call_id", CallId::new)?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            position: Position(row.try_get("position")?),
        })
    }
}
