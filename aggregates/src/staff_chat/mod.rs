//! What two staff members say to each other without any query: one chat per pair, which begins with its first message.

pub mod command;
pub mod decide;
pub mod error;
pub mod event;
pub mod members;
pub mod state;
#[cfg(test)]
mod tests;

pub use command::StaffChatCommand;
pub use error::StaffChatError;
pub use event::StaffChatEvent;
pub use members::ChatMembers;
pub use state::StaffChat;

/// The code that gives a stored state its meaning: a snapshot made by other code is worthless.
pub const SOURCE: &[&str] = &[include_str!("state.rs"), include_str!("members.rs"), include_str!("event.rs")];

crate::behind_cqrs_es::aggregate!(StaffChat, StaffChatCommand, StaffChatEvent, StaffChatError);
