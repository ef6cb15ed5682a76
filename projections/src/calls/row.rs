//! A call session as its readers see it, folded from its facts.

use aggregates::call_session::CallSessionEvent;
use aggregates::ids::{CallId, CallRequestId, DonorId, QueryId, RoomName, UserId};
use aggregates::people::Actor;
use aggregates::recorded::{Event, Position, RecordedEvent, StreamId};
use aggregates::vocabulary::{CallMode, CallStatus, EndReason};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::columns::{id, optional_id, optional_word, word};

/// A call session.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRow {
    /// The call.
    pub call_id: CallId,
    /// The query it is about.
    pub query_id: QueryId,
    /// The donor it is held with.
    pub donor_id: DonorId,
    /// The staff member who began it; absent if the donor did.
    pub admin_id: Option<UserId>,
    /// The request it answers.
    pub request_id: Option<CallRequestId>,
    /// Its room.
    pub room_name: RoomName,
    /// The address of the room.
    pub room_url: String,
    /// The provider that made the room.
    pub provider: String,
    /// How it is held.
    pub mode: CallMode,
    /// Where it stands.
    pub status: CallStatus,
    /// When somebody first joined.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// When the room closes by itself.
    pub expires_at: DateTime<Utc>,
    /// When the room was made.
    pub created_at: DateTime<Utc>,
    /// When the last fact about it happened.
    pub updated_at: DateTime<Utc>,
    /// The last fact that was applied.
    pub position: Position,
}

impl CallRow {
    /// The row after a fact; facts that it has seen already and facts about other things leave it alone. `None` while the
    /// call was not created yet.
    #[must_use]
    pub fn after(before: Option<Self>, recorded: &RecordedEvent) -> Option<Self> {
        let (StreamId::CallSession(call), Event::CallSession(event)) = (recorded.stream, &recorded.event) else {
            return before;
        };
        let mut row = match before {
            Some(row) if row.position >= recorded.position => return Some(row),
            Some(row) => row,
            None => Self::created(call, event)?,
        };
        row.updated_at = row.apply(event);
        row.position = recorded.position;
        Some(row)
    }

    fn created(call_id: CallId, event: &CallSessionEvent) -> Option<Self> {
        let CallSessionEvent::CallCreated {
            query,
            donor_id,
            request,
            room,
            room_url,
            provider,
            mode,
            by,
            expires_at,
            at,
        } = event
        else {
            return None;
        };
        Some(Self {
            call_id,
            query_id: *query,
            donor_id: donor_id.clone(),
            admin_id: match by {
                Actor::Staff(staff) => Some(staff.id),
                Actor::Donor { .. } | Actor::System => None,
            },
            request_id: *request,
            room_name: room.clone(),
            room_url: room_url.clone(),
            provider: provider.clone(),
            mode: *mode,
            status: CallStatus::Created,
            started_at: None,
            ended_at: None,
            end_reason: None,
            expires_at: *expires_at,
            created_at: *at,
            updated_at: *at,
            position: Position::START,
        })
    }

    /// Takes in a fact, and says when it happened.
    fn apply(&mut self, event: &CallSessionEvent) -> DateTime<Utc> {
        match event {
            CallSessionEvent::CallCreated { at, .. } => *at,
            CallSessionEvent::CallStarted { at, .. } => {
                self.status = CallStatus::Started;
                *self.started_at.get_or_insert(*at)
            }
            CallSessionEvent::CallEnded { reason, at, .. } => {
                self.status = CallStatus::Ended;
                self.ended_at = Some(*at);
                self.end_reason = Some(*reason);
                *at
            }
        }
    }
}

impl FromRow<'_, PgRow> for CallRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            call_id: id(row, "call_id", CallId::new)?,
            query_id: id(row, "query_id", QueryId::new)?,
            donor_id: DonorId::new(row.try_get::<String, _>("donor_id")?),
            admin_id: optional_id(row, "admin_id", UserId::new)?,
            request_id: optional_id(row, "request_id", CallRequestId::new)?,
            room_name: RoomName::new(row.try_get::<String, _>("room_name")?),
            room_url: row.try_get("room_url")?,
            provider: row.try_get("provider")?,
            mode: word(row, "mode", CallMode::parse)?,
            status: word(row, "status", CallStatus::parse)?,
            started_at: row.try_get("started_at")?,
            ended_at: row.try_get("ended_at")?,
            end_reason: optional_word(row, "end_reason", EndReason::parse)?,
            expires_at: row.try_get("expires_at")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            position: Position(row.try_get("position")?),
        })
    }
}
