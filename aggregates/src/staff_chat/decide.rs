//! Every rule of a chat.

use super::{ChatMembers, StaffChat, StaffChatCommand, StaffChatError, StaffChatEvent};
use crate::vocabulary::MessageType;

/// Turns a command into facts, or says which rule it would break.
pub fn decide(chat: &StaffChat, command: StaffChatCommand) -> Result<Vec<StaffChatEvent>, StaffChatError> {
    match (chat, command) {
        (_, StaffChatCommand::PostChatMessage { by, to, .. }) if by.id == to.id => Err(StaffChatError::Oneself),
        (_, StaffChatCommand::PostChatMessage { message_type, .. }) if message_type != MessageType::Chat => {
            Err(StaffChatError::NeedsQuery(message_type))
        }
        (StaffChat::Begun(members), StaffChatCommand::PostChatMessage { by, to, .. })
            if *members != ChatMembers::of(by.id, to.id) =>
        {
            Err(StaffChatError::OtherMembers)
        }
        (
            StaffChat::Absent | StaffChat::Begun(_),
            StaffChatCommand::PostChatMessage { message, by, to, message_type: _, content, at },
        ) => Ok(vec![StaffChatEvent::ChatMessagePosted { message, by, to, content, at }]),
    }
}
