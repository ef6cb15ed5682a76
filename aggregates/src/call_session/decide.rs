//! Every rule of a call session.

use super::{CallSession, CallSessionCommand, CallSessionError, CallSessionEvent};

/// Turns a command into facts, or says which rule it would break.
pub fn decide(_call: &CallSession, _command: CallSessionCommand) -> Result<Vec<CallSessionEvent>, CallSessionError> {
    Err(CallSessionError::NotFound)
}

impl CallSession {
    /// The state after a fact. Never refuses.
    #[must_use]
    pub fn evolve(self, _event: CallSessionEvent) -> Self {
        self
    }
}
