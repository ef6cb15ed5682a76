//! Every rule of a donor query.

use super::{DonorQuery, DonorQueryCommand, DonorQueryError, DonorQueryEvent};

/// Turns a command into facts, or says which rule it would break.
pub fn decide(_query: &DonorQuery, _command: DonorQueryCommand) -> Result<Vec<DonorQueryEvent>, DonorQueryError> {
    Err(DonorQueryError::NotFound)
}

impl DonorQuery {
    /// The state after a fact. Never refuses.
    #[must_use]
    pub fn evolve(self, _event: DonorQueryEvent) -> Self {
        self
    }
}
