//! What came of one attempt to send something.

use std::time::Duration;

/// What came of one attempt. The reasons name codes and never hold secrets, addresses or words of people, so that they may
/// be stored and shown to staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service took it.
    Sent {
        /// The service's own name for it, if it gave one.
        id: Option<String>,
    },
    /// The device is gone for good and should be forgotten.
    Gone,
    /// Not now; the same may succeed later.
    Later {
        /// How long the service wants to be left alone, if it said so.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// Never like this: it is of no use to try again before somebody has changed something.
    Failed {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// Not now, and the service did not say when.
    pub(super) fn later(why: impl Into<String>) -> Self {
        Self::Later { after: None, why: why.into() }
    }
}
