//! What the rules of a donor query need to know. It is bounded: the conversation lives in the log, not here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{CallId, CallRequestId, DonorId, MessageId};
use crate::people::{DonorSession, StaffRef};
use crate::vocabulary::{CallMode, QueryStatus};

/// A donor query by its stage of life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum DonorQuery {
    /// Nobody asked yet.
    #[default]
    Absent,
    /// Somebody waits for help.
    Open(OpenState),
    /// Resolved by staff, or closed by the donor.
    Closed(ClosedState),
    /// Removed from the desk.
    Deleted(Origin),
}

/// What never changes about a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Whose query it is.
    pub donor_id: DonorId,
    /// Which tokens may read it.
    pub session: DonorSession,
}

/// An open query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenState {
    /// Whose it is.
    pub origin: Origin,
    /// Where it stands.
    pub phase: Phase,
    /// Who holds it.
    pub holder: Option<StaffRef>,
    /// The request that waits for an answer; a donor has one at a time.
    pub request: Option<LiveRequest>,
    /// The call that is going on; a query has one at a time.
    pub call: Option<LiveCall>,
    /// When the donor last asked for a call, for the cooldown.
    pub last_request_at: Option<DateTime<Utc>>,
}

/// Where an open query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Being worked on, or waiting to be accepted.
    InProgress,
    /// The donor waits for an answer.
    PendingReply,
    /// Handed over and not yet taken up by the one who holds it now.
    Transferred,
}

/// A closed query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosedState {
    /// Whose it is.
    pub origin: Origin,
    /// Who held it when it closed.
    pub holder: Option<StaffRef>,
    /// Who resolved it; absent when the donor closed it.
    pub resolved_by: Option<StaffRef>,
}

/// A call request that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveRequest {
    /// The request.
    pub id: CallRequestId,
    /// How the donor wants to talk.
    pub mode: CallMode,
    /// The message that shows it.
    pub message: MessageId,
}

/// A call that is going on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveCall {
    /// The call.
    pub id: CallId,
    /// How it is held.
    pub mode: CallMode,
    /// The message that shows it.
    pub message: MessageId,
}

impl DonorQuery {
    /// Whose query it is, once it was opened.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Absent => None,
            Self::Open(open) => Some(&open.origin),
            Self::Closed(closed) => Some(&closed.origin),
            Self::Deleted(origin) => Some(origin),
        }
    }

    /// The status on the wire; a query that is absent or deleted has none.
    pub fn status(&self) -> Option<QueryStatus> {
        match self {
            Self::Absent | Self::Deleted(_) => None,
            Self::Open(open) => Some(match open.phase {
                Phase::InProgress => QueryStatus::InProgress,
                Phase::PendingReply => QueryStatus::PendingReply,
                Phase::Transferred => QueryStatus::Transferred,
            }),
            Self::Closed(_) => Some(QueryStatus::Resolved),
        }
    }
}
