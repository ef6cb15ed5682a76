//! Whenever this fact, then that: follow-ups as plain data, carried out by somebody else.
//!
//! What is written together with the fact comes first: [`claim_change`], [`chat_claim`] and [`companion`]. What happens
//! outside the desk afterwards is in [`effects`].

mod effects;
#[cfg(test)]
mod tests;

pub use effects::{Alert, Audience, Effect, Letter, Timer, effects};

use crate::call_session::CallSessionCommand;
use crate::donor_query::command::NewCall;
use crate::donor_query::{DonorQueryCommand, DonorQueryEvent};
use crate::ids::{CallId, DonorId, QueryId};
use crate::people::Actor;
use crate::staff_chat::{ChatMembers, StaffChatEvent};

/// A thing only one stream may hold at a time. The log enforces it in the same transaction as the facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The one open query of a donor.
    OpenQueryOf(DonorId),
    /// The one chat of two staff members.
    ChatOf(ChatMembers),
}

impl Claim {
    /// The key the log stores.
    pub fn key(&self) -> String {
        match self {
            Self::OpenQueryOf(donor) => format!("open-query:{donor}"),
            Self::ChatOf(members) => format!("chat:{members}"),
        }
    }
}

/// What a fact does to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// The stream takes it; refused if another stream holds it.
    Take(Claim),
    /// The stream lets go of it.
    Release(Claim),
}

/// The claim that a fact takes or lets go of, given whose query it is.
///
/// Letting go of what another stream holds by now changes nothing: a query may be deleted long after it was resolved.
pub fn claim_change(event: &DonorQueryEvent, donor: &DonorId) -> Option<ClaimChange> {
    let claim = Claim::OpenQueryOf(donor.clone());
    match event {
        DonorQueryEvent::QueryOpened { .. } | DonorQueryEvent::QueryReopened { .. } => Some(ClaimChange::Take(claim)),
        DonorQueryEvent::QueryResolved { .. }
        | DonorQueryEvent::QueryClosedByDonor { .. }
        | DonorQueryEvent::QueryDeleted { .. } => Some(ClaimChange::Release(claim)),
        DonorQueryEvent::QueryAccepted { .. }
        | DonorQueryEvent::QueryMarkedPendingReply { .. }
        | DonorQueryEvent::QueryMarkedInProgress { .. }
        | DonorQueryEvent::QueryTransferred { .. }
        | DonorQueryEvent::QueryReminded { .. }
        | DonorQueryEvent::QueryEdited { .. }
        | DonorQueryEvent::MessagePosted { .. }
        | DonorQueryEvent::MessageRevised { .. }
        | DonorQueryEvent::CallRequested { .. }
        | DonorQueryEvent::CallRequestAccepted { .. }
        | DonorQueryEvent::CallRequestRejected { .. }
        | DonorQueryEvent::CallRequestCancelled { .. }
        | DonorQueryEvent::CallAttached { .. }
        | DonorQueryEvent::CallDetached { .. } => None,
    }
}

/// The claim that a fact of a chat takes: for good, so that two people never have another one.
pub fn chat_claim(event: &StaffChatEvent) -> ClaimChange {
    match event {
        StaffChatEvent::ChatMessagePosted { by, to, .. } => {
            ClaimChange::Take(Claim::ChatOf(ChatMembers::of(by.id, to.id)))
        }
    }
}

/// The command for the call session that goes with a fact of its query. Both are appended together.
///
/// `command` is the one that led to the fact: it carries the room of a call that begins.
pub fn companion(
    query: QueryId,
    donor: &DonorId,
    command: &DonorQueryCommand,
    event: &DonorQueryEvent,
) -> Option<(CallId, CallSessionCommand)> {
    let create = |request, call: &NewCall, by, at| {
        let donor_id = donor.clone();
        Some((call.id, CallSessionCommand::CreateCall { query, donor_id, request, call: call.clone(), by, at }))
    };
    match (event, command) {
        (
            DonorQueryEvent::CallRequestAccepted { request, by, at, .. },
            DonorQueryCommand::AcceptCallRequest { call, .. },
        ) => create(Some(*request), call, Actor::Staff(by.clone()), *at),
        (DonorQueryEvent::CallAttached { by, at, .. }, DonorQueryCommand::StartCall { call, .. }) => {
            create(None, call, by.clone(), *at)
        }
        (DonorQueryEvent::CallDetached { call, reason, by, at }, _) => {
            Some((*call, CallSessionCommand::EndCall { reason: *reason, by: by.clone(), at: *at }))
        }
        (
            DonorQueryEvent::QueryOpened { .. }
            | DonorQueryEvent::QueryAccepted { .. }
            | DonorQueryEvent::QueryMarkedPendingReply { .. }
            | DonorQueryEvent::QueryMarkedInProgress { .. }
            | DonorQueryEvent::QueryTransferred { .. }
            | DonorQueryEvent::QueryReminded { .. }
            | DonorQueryEvent::QueryResolved { .. }
            | DonorQueryEvent::QueryClosedByDonor { .. }
            | DonorQueryEvent::QueryReopened { .. }
            | DonorQueryEvent::QueryEdited { .. }
            | DonorQueryEvent::QueryDeleted { .. }
            | DonorQueryEvent::MessagePosted { .. }
            | DonorQueryEvent::MessageRevised { .. }
            | DonorQueryEvent::CallRequested { .. }
            | DonorQueryEvent::CallRequestAccepted { .. }
            | DonorQueryEvent::CallRequestRejected { .. }
            | DonorQueryEvent::CallRequestCancelled { .. }
            | DonorQueryEvent::CallAttached { .. },
            _,
        ) => None,
    }
}
