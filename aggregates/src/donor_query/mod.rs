//! One donor's question, from opening to closing, with its conversation and its requests for calls.
//!
//! [`decide`] holds every rule; [`state`] is what the rules need to know and never grows with the conversation; `wording`
//! is what the desk writes into the conversation by itself.

pub mod command;
pub mod decide;
pub mod error;
pub mod event;
pub mod state;
#[cfg(test)]
mod tests;
mod wording;

pub use command::DonorQueryCommand;
pub use error::DonorQueryError;
pub use event::DonorQueryEvent;
pub use state::DonorQuery;
pub use wording::call_requested;

/// The code that gives a stored state its meaning: a snapshot made by other code is worthless.
pub const SOURCE: &[&str] = &[include_str!("state.rs"), include_str!("event.rs")];

crate::behind_cqrs_es::aggregate!(DonorQuery, DonorQueryCommand, DonorQueryEvent, DonorQueryError);
