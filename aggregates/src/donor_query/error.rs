//! Why a donor query refuses a command.

use thiserror::Error;

use crate::ids::{CallId, CallRequestId};
use crate::people::StaffRef;
use crate::vocabulary::MessageType;

/// The rule that a command would have broken, with its facts.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DonorQueryError {
    /// No such query, or it was deleted.
    #[error("query not found")]
    NotFound,
    /// The id was used before.
    #[error("query already exists")]
    AlreadyOpened,
    /// Somebody holds it.
    #[error("query is already accepted: it is already assigned to {}", .0.name)]
    AlreadyHeld(StaffRef),
    /// It was handed to somebody else.
    #[error("cannot accept a transferred query: it is already assigned to {}", .0.name)]
    HeldByTransferee(StaffRef),
    /// It is closed.
    #[error("cannot {action} a resolved query")]
    Closed {
        /// What was asked for, as a verb.
        action: &'static str,
    },
    /// It is not closed.
    #[error("query is still open")]
    StillOpen,
    /// Only the holder, or a super admin, may do this.
    #[error("query is held by {}", .0.name)]
    NotHolder(StaffRef),
    /// Nobody holds it, and this takes a holder or a super admin.
    #[error("query is not assigned to you")]
    Unassigned,
    /// Only a super admin may do this.
    #[error("only a super admin may {action} a query")]
    NotSuperAdmin {
        /// What was asked for, as a verb.
        action: &'static str,
    },
    /// It would be handed to the one who holds it.
    #[error("query is already assigned to {}", .0.name)]
    SameHolder(StaffRef),
    /// There is no transfer to be reminded of.
    #[error("query is not transferred")]
    NotTransferred,
    /// The donor's request waits for an answer already.
    #[error("a call request is already pending")]
    RequestPending(CallRequestId),
    /// The donor asked for a call a moment ago.
    #[error("a call was requested a moment ago, try again in {seconds} seconds")]
    RequestTooSoon {
        /// How many seconds are left, rounded up.
        seconds: i64,
    },
    /// No such request waits for an answer.
    #[error("call request not found or no longer pending")]
    NoSuchRequest,
    /// A call is going on.
    #[error("there is already an active call for this query")]
    CallActive(CallId),
    /// Staff may not speak as the desk or as a call.
    #[error("message type {0} is reserved for the desk itself")]
    ReservedMessageType(MessageType),
}
