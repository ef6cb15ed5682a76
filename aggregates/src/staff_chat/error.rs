//! Why a chat refuses a command.

use thiserror::Error;

use crate::vocabulary::MessageType;

/// The rule that a command would have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StaffChatError {
    /// Nobody chats with themselves.
    #[error("a message needs somebody else to read it")]
    Oneself,
    /// Among colleagues there is only chat.
    #[error("a message of type {0} needs the query it is about")]
    NeedsQuery(MessageType),
    /// The chat belongs to two others.
    #[error("the chat belongs to other people")]
    OtherMembers,
}
