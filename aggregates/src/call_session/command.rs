//! What is asked of a call session.

use chrono::{DateTime, Utc};

use crate::donor_query::command::NewCall;
use crate::ids::{CallRequestId, DonorId, QueryId};
use crate::people::Actor;
use crate::vocabulary::EndReason;

/// A wish that [`super::decide::decide`] turns into facts or refuses.
#[derive(Clone, Debug, PartialEq)]
pub enum CallSessionCommand {
    /// Records the room that was made.
    CreateCall {
        /// The query the call is about.
        query: QueryId,
        /// The donor it is held with.
        donor_id: DonorId,
        /// The request it answers, if a donor asked.
        request: Option<CallRequestId>,
        /// The call and its room.
        call: NewCall,
        /// Who began it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// Says that somebody joined.
    StartCall {
        /// Who says so.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// Ends the call.
    EndCall {
        /// Why.
        reason: EndReason,
        /// Who ends it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
}
