//! Outward services, one module each: a client that tries once and says what came of it.
//!
//! No client of mail or push retries or remembers: whoever calls keeps what is to be sent, and tries again when
//! [`Outcome::Later`] says so. Without keys for a service its stand-in takes its place and writes to the [`Outbox`].

pub mod calls;
pub mod mail;
pub mod push;

mod facts;
mod outbox;
mod outcome;
mod wire;

use thiserror::Error;

pub use self::facts::{MessageFacts, QueryFacts};
pub use self::outbox::{KeptMail, KeptNote, MailDetails, NoteDetails, Outbox};
pub use self::outcome::Outcome;

/// Why a service cannot be used as configured.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A setting is missing or makes no sense.
    #[error("{0}")]
    Invalid(String),
}
