//! What the rules of a chat need to know, and how a fact changes it. It never grows with what is said.

use serde::{Deserialize, Serialize};

use super::{ChatMembers, StaffChatEvent};

/// A chat by its stage of life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum StaffChat {
    /// Nothing was said yet.
    #[default]
    Absent,
    /// These two talk.
    Begun(ChatMembers),
}

impl StaffChat {
    /// The state after a fact. Never refuses: whoever began it, it stays theirs.
    #[must_use]
    pub fn evolve(self, event: StaffChatEvent) -> Self {
        match (self, event) {
            (Self::Absent, StaffChatEvent::ChatMessagePosted { by, to, .. }) => {
                Self::Begun(ChatMembers::of(by.id, to.id))
            }
            (begun @ Self::Begun(_), StaffChatEvent::ChatMessagePosted { .. }) => begun,
        }
    }
}
