//! What the rules of a donor query need to know, and how a fact changes it.
//!
//! It is bounded: the conversation lives in the log, not here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::DonorQueryEvent as Event;
use crate::ids::{CallId, CallRequestId, DonorId, MessageId};
use crate::people::{Actor, DonorSession, StaffRef};
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
    /// When the donor last asked for a call, withdrew the request, or had it declined: for the cooldown.
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
    /// The request it answers, if the donor asked for it.
    pub answers: Option<AnsweredRequest>,
}

/// A call request that became a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnsweredRequest {
    /// How the donor wanted to talk; the call may be held in another way.
    pub mode: CallMode,
    /// Who accepted it.
    pub accepted_by: StaffRef,
}

impl DonorQuery {
    /// The state after a fact. Never refuses: a fact that makes no sense at this stage of life changes nothing.
    #[must_use]
    pub fn evolve(self, event: Event) -> Self {
        match event {
            Event::QueryOpened { donor_id, session, .. } => self.opened(Origin { donor_id, session }),
            Event::QueryAccepted { by, .. } => self.held_by(by, Phase::InProgress),
            Event::QueryMarkedPendingReply { .. } => self.while_open(|open| open.phase = Phase::PendingReply),
            Event::QueryMarkedInProgress { .. } => self.while_open(|open| open.phase = Phase::InProgress),
            Event::QueryTransferred { to, .. } => self.held_by(to, Phase::Transferred),
            Event::QueryResolved { by, .. } => self.closed(Some(by)),
            Event::QueryClosedByDonor { .. } => self.closed(None),
            Event::QueryReopened { holder, .. } => self.reopened(holder),
            Event::QueryDeleted { .. } => self.deleted(),
            Event::QueryReminded { .. }
            | Event::QueryEdited { .. }
            | Event::MessagePosted { .. }
            | Event::MessageRevised { .. } => self,
            Event::CallRequested { request, mode, message, at } => self.while_open(|open| {
                open.request = Some(LiveRequest { id: request, mode, message });
                open.last_request_at = Some(at);
            }),
            Event::CallRequestAccepted { request, call, by, .. } => {
                self.while_open(|open| open.answer_request(request, call, by))
            }
            Event::CallRequestRejected { request, at, .. }
            | Event::CallRequestCancelled { request, by: Actor::Donor { .. }, at } => {
                self.while_open(|open| open.drop_request(request, Some(at)))
            }
            // Nothing the donor did: another request may follow at once.
            Event::CallRequestCancelled { request, by: Actor::Staff(_) | Actor::System, .. } => {
                self.while_open(|open| open.drop_request(request, None))
            }
            Event::CallAttached { call, mode, message, .. } => {
                self.while_open(|open| open.attach_call(call, mode, message))
            }
            Event::CallDetached { call, .. } => self.while_open(|open| {
                open.call.take_if(|live| live.id == call);
            }),
        }
    }

    /// Whose query it is, once it was opened.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Absent => None,
            Self::Open(open) => Some(&open.origin),
            Self::Closed(closed) => Some(&closed.origin),
            Self::Deleted(origin) => Some(origin),
        }
    }

    /// Who holds the query, or held it when it closed.
    pub fn holder(&self) -> Option<&StaffRef> {
        match self {
            Self::Absent | Self::Deleted(_) => None,
            Self::Open(open) => open.holder.as_ref(),
            Self::Closed(closed) => closed.holder.as_ref(),
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
    fn opened(self, origin: Origin) -> Self {
        match self {
            Self::Absent => Self::Open(OpenState::new(origin, None)),
            Self::Open(_) | Self::Closed(_) | Self::Deleted(_) => self,
        }
    }

    fn reopened(self, holder: StaffRef) -> Self {
        match self {
            Self::Closed(closed) => Self::Open(OpenState::new(closed.origin, Some(holder))),
            Self::Absent | Self::Open(_) | Self::Deleted(_) => self,
        }
    }

    fn closed(self, resolved_by: Option<StaffRef>) -> Self {
        match self {
            Self::Open(open) => Self::Closed(ClosedState { origin: open.origin, holder: open.holder, resolved_by }),
            Self::Absent | Self::Closed(_) | Self::Deleted(_) => self,
        }
    }

    fn deleted(self) -> Self {
        match self {
            Self::Open(OpenState { origin, .. }) | Self::Closed(ClosedState { origin, .. }) => Self::Deleted(origin),
            Self::Absent | Self::Deleted(_) => self,
        }
    }

    fn held_by(self, holder: StaffRef, phase: Phase) -> Self {
        self.while_open(|open| {
            open.holder = Some(holder);
            open.phase = phase;
        })
    }

    fn while_open(mut self, change: impl FnOnce(&mut OpenState)) -> Self {
        if let Self::Open(open) = &mut self {
            change(open);
        }
        self
    }
}

impl Origin {
    /// The donor as somebody who acts.
    pub fn donor(&self) -> Actor {
        Actor::Donor { id: self.donor_id.clone() }
    }
}

impl OpenState {
    fn new(origin: Origin, holder: Option<StaffRef>) -> Self {
        Self { origin, phase: Phase::InProgress, holder, request: None, call: None, last_request_at: None }
    }

    /// The request is off the table; with a time, the donor waits from then on.
    fn drop_request(&mut self, request: CallRequestId, rest_from: Option<DateTime<Utc>>) {
        if self.request.take_if(|pending| pending.id == request).is_some() {
            self.last_request_at = rest_from.or(self.last_request_at);
        }
    }

    /// The request becomes the call that [`OpenState::attach_call`] completes: both facts are appended together.
    fn answer_request(&mut self, request: CallRequestId, call: CallId, accepted_by: StaffRef) {
        if let Some(LiveRequest { mode, message, .. }) = self.request.take_if(|pending| pending.id == request) {
            let answers = Some(AnsweredRequest { mode, accepted_by });
            self.call = Some(LiveCall { id: call, mode, message, answers });
        }
    }

    fn attach_call(&mut self, call: CallId, mode: CallMode, message: MessageId) {
        let answers = self.call.take().filter(|live| live.id == call).and_then(|live| live.answers);
        self.call = Some(LiveCall { id: call, mode, message, answers });
    }
}
