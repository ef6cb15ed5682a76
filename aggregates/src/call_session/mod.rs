//! One call about a query: a room that was created, joined, and left for a reason.
//!
//! Whether a call may begin is the query's rule (one at a time); this aggregate holds the life of the call itself. The
//! two are written together: see [`crate::policy::companion`].

pub mod command;
pub mod decide;
pub mod error;
pub mod event;
pub mod state;
#[cfg(test)]
mod tests;

pub use command::CallSessionCommand;
pub use error::CallSessionError;
pub use event::CallSessionEvent;
pub use state::CallSession;

/// The code that gives a stored state its meaning: a snapshot made by other code is worthless.
pub const SOURCE: &[&str] = &[include_str!("state.rs"), include_str!("event.rs")];

crate::behind_cqrs_es::aggregate!(CallSession, CallSessionCommand, CallSessionEvent, CallSessionError);
