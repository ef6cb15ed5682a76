//! What the rules of a call session need to know, and how a fact changes it.

use serde::{Deserialize, Serialize};

use super::CallSessionEvent;
use crate::ids::{DonorId, QueryId};
use crate::vocabulary::EndReason;

/// A call session by its stage of life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum CallSession {
    /// No room was made yet.
    #[default]
    Absent,
    /// The room exists, nobody joined.
    Created(About),
    /// Somebody joined.
    Started(About),
    /// Over.
    Ended {
        /// What it was about.
        about: About,
        /// Why it ended.
        reason: EndReason,
    },
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The query.
    pub query: QueryId,
    /// The donor.
    pub donor_id: DonorId,
}

impl CallSession {
    /// The state after a fact. Never refuses: a fact that makes no sense at this stage of life changes nothing.
    #[must_use]
    pub fn evolve(self, event: CallSessionEvent) -> Self {
        match (self, event) {
            (Self::Absent, CallSessionEvent::CallCreated { query, donor_id, .. }) => {
                Self::Created(About { query, donor_id })
            }
            (Self::Created(about), CallSessionEvent::CallStarted { .. }) => Self::Started(about),
            (Self::Created(about) | Self::Started(about), CallSessionEvent::CallEnded { reason, .. }) => {
                Self::Ended { about, reason }
            }
            (
                state @ (Self::Created(_) | Self::Started(_) | Self::Ended { .. }),
                CallSessionEvent::CallCreated { .. },
            )
            | (state @ (Self::Absent | Self::Started(_) | Self::Ended { .. }), CallSessionEvent::CallStarted { .. })
            | (state @ (Self::Absent | Self::Ended { .. }), CallSessionEvent::CallEnded { .. }) => state,
        }
    }
}
