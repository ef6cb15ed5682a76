//! The two whose chat it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DonorId, UserId};

/// Two staff members, in no particular order: whoever speaks first, it is the same chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChatMembers {
    lower: UserId,
    higher: UserId,
}

impl ChatMembers {
    /// What the [`subject`](Self::subject) of every chat begins with, and no donor's id may.
    pub const SUBJECT: &'static str = "staff-chat:";

    /// The chat of two people.
    pub const fn of(one: UserId, other: UserId) -> Self {
        if one.get() <= other.get() { Self { lower: one, higher: other } } else { Self { lower: other, higher: one } }
    }

    /// Under whose name the key is kept that seals what they say, in the place of a donor: destroying it erases the chat.
    pub fn subject(&self) -> DonorId {
        DonorId::new(format!("{}{self}", Self::SUBJECT))
    }
}

impl fmt::Display for ChatMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lower, self.higher)
    }
}
