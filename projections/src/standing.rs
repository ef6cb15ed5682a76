//! Where a query stands, folded from its facts. The list of queries and the board share this one fold, so that a counter
//! can never disagree with the list it counts.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{CallId, CallRequestId, UserId};
use aggregates::vocabulary::QueryStatus;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::columns::{optional_id, word};

/// Who holds a query, in which status, and what is going on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The status on the wire.
    pub status: QueryStatus,
    /// Who holds it.
    pub assigned_to_id: Option<UserId>,
    /// The call request that waits for an answer.
    pub pending_request_id: Option<CallRequestId>,
    /// The call that is going on.
    pub active_call_id: Option<CallId>,
    /// Whether it was removed from the desk.
    pub deleted: bool,
}

impl Standing {
    /// The standing of a query that was just opened.
    pub(crate) const OPENED: Self = Self {
        status: QueryStatus::InProgress,
        assigned_to_id: None,
        pending_request_id: None,
        active_call_id: None,
        deleted: false,
    };

    /// Whether a fact leaves every standing as it is: most facts are messages.
    pub(crate) const fn ignores(event: &DonorQueryEvent) -> bool {
        matches!(
            event,
            DonorQueryEvent::QueryReminded { .. }
                | DonorQueryEvent::QueryEdited { .. }
                | DonorQueryEvent::MessagePosted { .. }
                | DonorQueryEvent::MessageRevised { .. }
        )
    }

    /// Takes in the next fact about the query.
    pub(crate) fn apply(&mut self, event: &DonorQueryEvent) {
        match event {
            DonorQueryEvent::QueryOpened { .. } => *self = Self::OPENED,
            DonorQueryEvent::QueryAccepted { by, .. } => self.held(QueryStatus::InProgress, by.id),
            DonorQueryEvent::QueryMarkedPendingReply { .. } => self.status = QueryStatus::PendingReply,
            DonorQueryEvent::QueryMarkedInProgress { .. } => self.status = QueryStatus::InProgress,
            DonorQueryEvent::QueryTransferred { to, .. } => self.held(QueryStatus::Transferred, to.id),
            DonorQueryEvent::QueryResolved { .. } | DonorQueryEvent::QueryClosedByDonor { .. } => {
                self.status = QueryStatus::Resolved;
            }
            DonorQueryEvent::QueryReopened { holder, .. } => self.held(QueryStatus::InProgress, holder.id),
            DonorQueryEvent::QueryDeleted { .. } => self.deleted = true,
            DonorQueryEvent::CallRequested { request, .. } => self.pending_request_id = Some(*request),
            DonorQueryEvent::CallRequestAccepted { .. }
            | DonorQueryEvent::CallRequestRejected { .. }
            | DonorQueryEvent::CallRequestCancelled { .. } => self.pending_request_id = None,
            DonorQueryEvent::CallAttached { call, .. } => self.active_call_id = Some(*call),
            DonorQueryEvent::CallDetached { .. } => self.active_call_id = None,
            DonorQueryEvent::QueryReminded { .. }
            | DonorQueryEvent::QueryEdited { .. }
            | DonorQueryEvent::MessagePosted { .. }
            | DonorQueryEvent::MessageRevised { .. } => {}
        }
    }

    fn held(&mut self, status: QueryStatus, by: UserId) {
        self.status = status;
        self.assigned_to_id = Some(by);
    }
}

impl FromRow<'_, PgRow> for Standing {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            status: word(row, "status", QueryStatus::parse)?,
            assigned_to_id: optional_id(row, "assigned_to_id", UserId::new)?,
            pending_request_id: optional_id(row, "pending_request_id", CallRequestId::new)?,
            active_call_id: optional_id(row, "active_call_id", CallId::new)?,
            deleted: row.try_get("deleted")?,
        })
    }
}
