//! What happened to a call session. Names, fields and versions are the storage format.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{CallRequestId, DonorId, QueryId, RoomName};
use crate::people::Actor;
use crate::vocabulary::{CallMode, EndReason};

/// A fact about one call session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CallSessionEvent {
    /// A room was made for a call.
    CallCreated {
        /// The query the call is about.
        query: QueryId,
        /// The donor it is held with.
        donor_id: DonorId,
        /// The request it answers, if a donor asked.
        request: Option<CallRequestId>,
        /// The room.
        room: RoomName,
        /// The address of the room.
        room_url: String,
        /// The provider that made the room.
        provider: String,
        /// How the call is held.
        mode: CallMode,
        /// Who began it.
        by: Actor,
        /// When the room closes by itself.
        expires_at: DateTime<Utc>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody joined.
    CallStarted {
        /// Who said so.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// The call is over.
    CallEnded {
        /// Why.
        reason: EndReason,
        /// Who ended it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
}

impl CallSessionEvent {
    /// The variant's name, as stored in `event_type` and used in subjects and frames.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CallCreated { .. } => "CallCreated",
            Self::CallStarted { .. } => "CallStarted",
            Self::CallEnded { .. } => "CallEnded",
        }
    }

    /// The version of the stored format.
    pub const fn version(&self) -> &'static str {
        match self {
            Self::CallCreated { .. } | Self::CallStarted { .. } | Self::CallEnded { .. } => "1.0",
        }
    }
}

impl DomainEvent for CallSessionEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        self.version().to_owned()
    }
}
