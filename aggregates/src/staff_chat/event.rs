//! What happened in a chat. Names, fields and versions are the storage format.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::MessageId;
use crate::people::StaffRef;
use crate::personal::Personal;

/// A fact about one chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StaffChatEvent {
    /// A staff member said something to another.
    ChatMessagePosted {
        /// The message.
        message: MessageId,
        /// Who said it.
        by: StaffRef,
        /// For whom.
        to: StaffRef,
        /// What was said.
        content: Personal<String>,
        /// When.
        at: DateTime<Utc>,
    },
}

impl StaffChatEvent {
    /// The variant's name, as stored in `event_type` and used in subjects and frames.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ChatMessagePosted { .. } => "ChatMessagePosted",
        }
    }

    /// The version of the stored format.
    pub const fn version(&self) -> &'static str {
        match self {
            Self::ChatMessagePosted { .. } => "1.0",
        }
    }
}

impl DomainEvent for StaffChatEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        self.version().to_owned()
    }
}
