//! What the rules of a call session need to know.

use serde::{Deserialize, Serialize};

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
