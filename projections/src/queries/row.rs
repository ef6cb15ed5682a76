//! A donor query as its readers see it, folded from its facts.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{DonorId, QueryId, UserId};
use aggregates::people::DonorSession;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Position, RecordedEvent};
use aggregates::vocabulary::{MessageType, QueryStatus};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::columns::{id, optional_id};
use crate::standing::Standing;

/// How many characters of the last message a list shows.
pub(crate) const PREVIEW_CHARS: usize = 140;

/// A donor query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRow {
    /// The query.
    pub query_id: QueryId,
    /// The donor's name or address.
    pub donor: String,
    /// The donor's identity.
    pub donor_id: DonorId,
    /// Which donor tokens may read it.
    pub donor_session: DonorSession,
    /// The test the donor is in the middle of.
    pub test: String,
    /// The stage of that test.
    pub stage: String,
    /// The device the donor holds.
    pub device: String,
    /// Status, holder, pending request and active call.
    pub standing: Standing,
    /// The name of the target of the last transfer, as it was then.
    pub transferred_to: Option<String>,
    /// The target of the last transfer.
    pub transferred_to_user_id: Option<UserId>,
    /// Who made the last transfer.
    pub transferred_by_id: Option<UserId>,
    /// The note of the last transfer.
    pub transfer_note: Option<String>,
    /// Who resolved it; absent while it is open or if the donor closed it.
    pub resolved_by_id: Option<UserId>,
    /// Whether the donor closed it.
    pub closed_by_donor: bool,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When the last fact about it happened.
    pub updated_at: DateTime<Utc>,
    /// The length of its stream; its `ETag`.
    pub version: i64,
    /// The last fact that was applied.
    pub position: Position,
    /// How many messages its conversation has, the desk's own included.
    pub message_count: i64,
    /// The beginning of what a person said last, at most 140 characters.
    pub last_message: Option<String>,
    /// When a person said something last.
    pub last_message_at: Option<DateTime<Utc>>,
    /// Since when the donor has waited for words from staff; absent if it is the donor's turn or the query is closed.
    pub waiting_since: Option<DateTime<Utc>>,
}

impl QueryRow {
    /// The row after a fact; facts that it has seen already and facts about other things leave it alone.
    ///
    /// `None` while the query was not opened yet. The projector, a rebuild and a look into the past all fold with this.
    #[must_use]
    pub fn after(before: Option<Self>, recorded: &RecordedEvent) -> Option<Self> {
        let Event::DonorQuery(event) = &recorded.event else { return before };
        let mut row = match before {
            Some(row) if row.position >= recorded.position => return Some(row),
            Some(row) => row,
            None => Self::opened(recorded.query, event)?,
        };
        row.standing.apply(event);
        row.updated_at = row.apply(event);
        row.version = recorded.sequence;
        row.position = recorded.position;
        Some(row)
    }

    fn opened(query_id: QueryId, event: &DonorQueryEvent) -> Option<Self> {
        let DonorQueryEvent::QueryOpened { donor, donor_id, session, test, stage, device, at } = event else {
            return None;
        };
        Some(Self {
            query_id,
            donor: donor.as_str().to_owned(),
            donor_id: donor_id.clone(),
            donor_session: *session,
            test: test.clone(),
            stage: stage.clone(),
            device: device.clone(),
            standing: Standing::OPENED,
            transferred_to: None,
            transferred_to_user_id: None,
            transferred_by_id: None,
            transfer_note: None,
            resolved_by_id: None,
            closed_by_donor: false,
            created_at: *at,
            updated_at: *at,
            version: 0,
            position: Position::START,
            message_count: 0,
            last_message: None,
            last_message_at: None,
            waiting_since: Some(*at),
        })
    }

    /// Takes in what [`Standing`] does not cover, and says when it happened.
    fn apply(&mut self, event: &DonorQueryEvent) -> DateTime<Utc> {
        match event {
            DonorQueryEvent::QueryMarkedPendingReply { at, .. } => {
                self.waiting_since.get_or_insert(*at);
                *at
            }
            DonorQueryEvent::QueryMarkedInProgress { at, .. } | DonorQueryEvent::QueryDeleted { at, .. } => {
                self.waiting_since = None;
                *at
            }
            DonorQueryEvent::QueryTransferred { by, to, note, at, .. } => {
                self.transferred_to = Some(to.name.clone());
                self.transferred_to_user_id = Some(to.id);
                self.transferred_by_id = Some(by.id);
                self.transfer_note = note.as_ref().map(|note| note.as_str().to_owned());
                *at
            }
            DonorQueryEvent::QueryResolved { by, at } => self.closed(Some(by.id), *at),
            DonorQueryEvent::QueryClosedByDonor { at } => self.closed(None, *at),
            DonorQueryEvent::QueryReopened { at, .. } => {
                self.resolved_by_id = None;
                self.closed_by_donor = false;
                *at
            }
            DonorQueryEvent::QueryEdited { donor, test, stage, device, at, .. } => {
                replace(&mut self.donor, donor.as_ref().map(Personal::as_str));
                replace(&mut self.test, test.as_deref());
                replace(&mut self.stage, stage.as_deref());
                replace(&mut self.device, device.as_deref());
                *at
            }
            DonorQueryEvent::MessagePosted { author, message_type, content, at, .. } => {
                self.message_count += 1;
                if matches!(message_type, MessageType::Query | MessageType::Chat) {
                    self.said(author, content.as_str(), *at);
                }
                *at
            }
            DonorQueryEvent::QueryOpened { at, .. }
            | DonorQueryEvent::QueryAccepted { at, .. }
            | DonorQueryEvent::QueryReminded { at, .. }
            | DonorQueryEvent::MessageRevised { at, .. }
            | DonorQueryEvent::CallRequested { at, .. }
            | DonorQueryEvent::CallRequestAccepted { at, .. }
            | DonorQueryEvent::CallRequestRejected { at, .. }
            | DonorQueryEvent::CallRequestCancelled { at, .. }
            | DonorQueryEvent::CallAttached { at, .. }
            | DonorQueryEvent::CallDetached { at, .. } => *at,
        }
    }

    fn closed(&mut self, by: Option<UserId>, at: DateTime<Utc>) -> DateTime<Utc> {
        self.resolved_by_id = by;
        self.closed_by_donor = by.is_none();
        self.waiting_since = None;
        at
    }

    fn said(&mut self, author: &Author, content: &str, at: DateTime<Utc>) {
        match author {
            Author::Staff(_) => self.waiting_since = None,
            Author::Donor if self.standing.status == QueryStatus::Resolved => {}
            Author::Donor => {
                self.waiting_since.get_or_insert(at);
            }
            Author::System => return,
        }
        self.last_message = Some(content.chars().take(PREVIEW_CHARS).collect());
        self.last_message_at = Some(at);
    }
}

fn replace(field: &mut String, correction: Option<&str>) {
    if let Some(correction) = correction {
        correction.clone_into(field);
    }
}

impl FromRow<'_, PgRow> for QueryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            query_id: id(row, "query_id", QueryId::new)?,
            donor: row.try_get("donor")?,
            donor_id: DonorId::new(row.try_get::<String, _>("donor_id")?),
            donor_session: DonorSession(row.try_get("donor_session")?),
            test: row.try_get("test")?,
            stage: row.try_get("stage")?,
            device: row.try_get("device")?,
            standing: Standing::from_row(row)?,
            transferred_to: row.try_get("transferred_to")?,
            transferred_to_user_id: optional_id(row, "transferred_to_user_id", UserId::new)?,
            transferred_by_id: optional_id(row, "transferred_by_id", UserId::new)?,
            transfer_note: row.try_get("transfer_note")?,
            resolved_by_id: optional_id(row, "resolved_by_id", UserId::new)?,
            closed_by_donor: row.try_get("closed_by_donor")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
            position: Position(row.try_get("position")?),
            message_count: row.try_get("message_count")?,
            last_message: row.try_get("last_message")?,
            last_message_at: row.try_get("last_message_at")?,
            waiting_since: row.try_get("waiting_since")?,
        })
    }
}
