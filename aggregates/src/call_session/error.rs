//! Why a call session refuses a command.

use thiserror::Error;

/// The rule that a command would have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallSessionError {
    /// No such call.
    #[error("call session not found")]
    NotFound,
    /// The id was used before.
    #[error("call session already exists")]
    AlreadyCreated,
    /// It is over.
    #[error("call has already ended")]
    Ended,
}
