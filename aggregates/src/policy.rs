//! Whenever this fact, then that: follow-ups as plain data, carried out by somebody else.

use crate::call_session::CallSessionCommand;
use crate::donor_query::{DonorQueryCommand, DonorQueryEvent};
use crate::ids::{CallId, DonorId, QueryId};
use crate::recorded::RecordedEvent;

/// A thing only one stream may hold at a time. The log enforces it in the same transaction as the facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The one open query of a donor.
    OpenQueryOf(DonorId),
}

impl Claim {
    /// The key the log stores.
    pub fn key(&self) -> String {
        match self {
            Self::OpenQueryOf(donor) => format!("open-query:{donor}"),
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
pub fn claim_change(_event: &DonorQueryEvent, _donor: &DonorId) -> Option<ClaimChange> {
    None
}

/// The command for the call session that goes with a fact of its query. Both are appended together.
///
/// `command` is the one that led to the fact: it carries the room of a call that begins.
pub fn companion(
    _query: QueryId,
    _donor: &DonorId,
    _command: &DonorQueryCommand,
    _event: &DonorQueryEvent,
) -> Option<(CallId, CallSessionCommand)> {
    None
}

/// A follow-up outside the desk, at least once.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {}

/// The follow-ups of a fact.
pub fn effects(_recorded: &RecordedEvent) -> Vec<Effect> {
    Vec::new()
}
