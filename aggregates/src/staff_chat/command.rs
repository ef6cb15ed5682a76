//! What is asked of a chat.

use chrono::{DateTime, Utc};

use super::ChatMembers;
use crate::ids::MessageId;
use crate::people::StaffRef;
use crate::personal::Personal;
use crate::vocabulary::MessageType;

/// A wish that [`super::decide::decide`] turns into facts or refuses.
#[derive(Clone, Debug, PartialEq)]
pub enum StaffChatCommand {
    /// Says something to a colleague.
    PostChatMessage {
        /// The message.
        message: MessageId,
        /// Who says it.
        by: StaffRef,
        /// Who is to read it.
        to: StaffRef,
        /// What it is meant to be.
        message_type: MessageType,
        /// What is said.
        content: Personal<String>,
        /// When.
        at: DateTime<Utc>,
    },
}

impl StaffChatCommand {
    /// Whose chat it is about.
    pub const fn members(&self) -> ChatMembers {
        match self {
            Self::PostChatMessage { by, to, .. } => ChatMembers::of(by.id, to.id),
        }
    }
}
