//! The words of the wire contract that the domain itself uses.

use serde::{Deserialize, Serialize};

macro_rules! wire_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word of the wire in any letter case.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(word))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_words!(
    /// Where a query stands, as the contract names it.
    QueryStatus {
        /// Staff are to act, or nobody has accepted it yet.
        InProgress = "IN_PROGRESS",
        /// The donor wrote last and waits for an answer.
        PendingReply = "PENDING_REPLY",
        /// Closed, by staff or by the donor.
        Resolved = "RESOLVED",
        /// Handed to another staff member who has not taken it up yet.
        Transferred = "TRANSFERRED",
    }
);

wire_words!(
    /// What a message is.
    MessageType {
        /// A question or an answer that moves the query's status.
        Query = "QUERY",
        /// Conversation that leaves the status alone.
        Chat = "CHAT",
        /// Said by the desk itself.
        System = "SYSTEM",
        /// A call began.
        CallStarted = "CALL_STARTED",
        /// A call ended.
        CallEnded = "CALL_ENDED",
    }
);

wire_words!(
    /// How a call is held.
    CallMode {
        /// Camera and microphone.
        Video = "VIDEO",
        /// Microphone only.
        Audio = "AUDIO",
        /// Shared screen with microphone.
        Screen = "SCREEN",
    }
);

impl CallMode {
    /// The word of clients that know two types of calls, `video` and `audio`: a shared screen is seen like a camera.
    pub const fn call_type(self) -> &'static str {
        match self {
            Self::Video | Self::Screen => "video",
            Self::Audio => "audio",
        }
    }
}

wire_words!(
    /// Where a call session stands.
    CallStatus {
        /// The room exists, nobody has joined.
        Created = "CREATED",
        /// Somebody joined.
        Started = "STARTED",
        /// Over.
        Ended = "ENDED",
    }
);

wire_words!(
    /// Where a call request stands.
    CallRequestStatus {
        /// Nobody answered yet.
        Pending = "PENDING",
        /// A call was opened for it.
        Accepted = "ACCEPTED",
        /// Staff declined.
        Rejected = "REJECTED",
        /// Withdrawn by the donor, or by the end of the query.
        Cancelled = "CANCELLED",
    }
);

wire_words!(
    /// Why a call ended.
    EndReason {
        /// A participant hung up.
        HungUp = "HUNG_UP",
        /// The query was resolved.
        QueryResolved = "QUERY_RESOLVED",
        /// The query was handed to somebody else.
        QueryTransferred = "QUERY_TRANSFERRED",
        /// The donor closed the query.
        QueryClosed = "QUERY_CLOSED",
        /// The query was deleted.
        QueryDeleted = "QUERY_DELETED",
        /// The room's time was up.
        Expired = "EXPIRED",
        /// The provider says that everybody left.
        Abandoned = "ABANDONED",
        /// The provider failed.
        Failed = "FAILED",
    }
);
