//! Outward services, one module each: a client that tries once and says what came of it.
//!
//! No client here retries or remembers: whoever calls keeps what is to be sent, and tries again when [`Outcome::Later`]
//! says so. Without keys for a service its stand-in takes its place and writes to the [`Outbox`].

pub mod calls;
pub mod mail;
pub mod push;

mod facts;
mod outbox;
mod outcome;

use std::time::Duration;

use thiserror::Error;

pub use self::facts::{MessageFacts, QueryFacts};
pub use self::outbox::{Outbox, Sent};
pub use self::outcome::Outcome;

/// Why a service cannot be used as configured.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A setting is missing or makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// A client that gives up on its own and follows nobody elsewhere: a redirect would carry a key to a stranger.
fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("proof-concierge/", env!("CARGO_PKG_VERSION")))
        .build()
}
