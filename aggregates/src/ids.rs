//! Identities: integers on the wire, distinct types inside.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Wraps a number that was handed out by the id sequence or parsed at the edge.
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// The number as it appears on the wire and in the database.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

integer_id!(
    /// A donor query.
    QueryId
);
integer_id!(
    /// A call session.
    CallId
);
integer_id!(
    /// A donor's request for a call.
    CallRequestId
);
integer_id!(
    /// A message in a query's conversation, or in a chat of two staff members.
    MessageId
);
integer_id!(
    /// A staff account.
    UserId
);

integer_id!(
    /// A chat of two staff members. Chats and queries are numbered from one sequence.
    ChatId
);

impl ChatId {
    /// The number by which the log spreads and finds its facts, where those of a query have the query's.
    pub const fn place(self) -> QueryId {
        QueryId::new(self.0)
    }
}

/// The identity a donor has in the system that sent them: opaque text, never shown to other donors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DonorId(String);

impl DonorId {
    /// Wraps an identifier that was validated at the edge.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The identifier as the donor's own system wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DonorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a call room: at most 128 characters of `[A-Za-z0-9_-]`, unique over all calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomName(String);

impl RoomName {
    /// Wraps a name that a call provider accepted.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as it appears in a room's address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
