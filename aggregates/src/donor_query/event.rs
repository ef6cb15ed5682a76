//! What happened to a donor query.
//!
//! A variant's name, fields and version are the storage format: they are never renamed or re-used.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{CallId, CallRequestId, DonorId, MessageId, RoomName, UserId};
use crate::people::{Actor, DonorSession, StaffRef};
use crate::personal::Personal;
use crate::vocabulary::{CallMode, EndReason, MessageType};

/// A fact about one donor query. Every variant says who (`by`, `author`) and when (`at`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DonorQueryEvent {
    /// A donor asked for help.
    QueryOpened {
        /// The donor's name or address.
        donor: Personal<String>,
        /// The donor's identity in the system they come from.
        donor_id: DonorId,
        /// The lineage of tokens that may read this query.
        session: DonorSession,
        /// The test the donor is in the middle of.
        test: String,
        /// The stage of that test.
        stage: String,
        /// The device the donor holds.
        device: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// A staff member took the query, or the target of a transfer took it up.
    QueryAccepted {
        /// Who holds the query from now on.
        by: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// The query waits for an answer to the donor.
    QueryMarkedPendingReply {
        /// The donor whose question did it, or the staff member who said so.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// The query is being worked on.
    QueryMarkedInProgress {
        /// The staff member who answered or said so.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// The query was handed over; `to` holds it from now on.
    QueryTransferred {
        /// Who handed it over.
        by: StaffRef,
        /// Who held it before, if anybody did.
        from: Option<StaffRef>,
        /// Who holds it now.
        to: StaffRef,
        /// A note for the target.
        note: Option<Personal<String>>,
        /// When.
        at: DateTime<Utc>,
    },
    /// The target of a transfer was reminded of it.
    QueryReminded {
        /// Who reminded.
        by: StaffRef,
        /// Who was reminded.
        to: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// Staff resolved the query.
    QueryResolved {
        /// Who resolved it.
        by: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// The donor closed the query.
    QueryClosedByDonor {
        /// When.
        at: DateTime<Utc>,
    },
    /// A closed query was opened again; `holder` holds it from now on.
    QueryReopened {
        /// Who opened it again.
        by: StaffRef,
        /// Who holds it: the one who held it before, else `by`.
        holder: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// Details were corrected; an absent field stayed as it was.
    QueryEdited {
        /// Who corrected them.
        by: StaffRef,
        /// The donor's name or address.
        donor: Option<Personal<String>>,
        /// The test.
        test: Option<String>,
        /// The stage.
        stage: Option<String>,
        /// The device.
        device: Option<String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// The query was removed from the desk. The facts stay.
    QueryDeleted {
        /// Who deleted it.
        by: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// Something was said.
    MessagePosted {
        /// The message.
        message: MessageId,
        /// Who said it.
        author: Author,
        /// The staff member it is meant for, if it is meant for one.
        recipient: Option<UserId>,
        /// What it is.
        message_type: MessageType,
        /// What was said.
        content: Personal<String>,
        /// The call it is about.
        call: Option<CallId>,
        /// The call request it is about.
        request: Option<CallRequestId>,
        /// When.
        at: DateTime<Utc>,
    },
    /// The desk rewrote one of its own messages: a request became a call, a call ended.
    MessageRevised {
        /// The message.
        message: MessageId,
        /// What it is now.
        message_type: MessageType,
        /// What it says now.
        content: Personal<String>,
        /// The call it is about now.
        call: Option<CallId>,
        /// When.
        at: DateTime<Utc>,
    },
    /// The donor asked for a call.
    CallRequested {
        /// The request.
        request: CallRequestId,
        /// How the donor wants to talk.
        mode: CallMode,
        /// The message that shows the request in the conversation.
        message: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Staff accepted a call request.
    CallRequestAccepted {
        /// The request.
        request: CallRequestId,
        /// The call opened for it.
        call: CallId,
        /// Who accepted.
        by: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// Staff declined a call request.
    CallRequestRejected {
        /// The request.
        request: CallRequestId,
        /// Who declined.
        by: StaffRef,
        /// When.
        at: DateTime<Utc>,
    },
    /// A call request was withdrawn.
    CallRequestCancelled {
        /// The request.
        request: CallRequestId,
        /// The donor, or whoever ended the query.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// A call about this query began; there is at most one at a time.
    CallAttached {
        /// The call.
        call: CallId,
        /// Its room.
        room: RoomName,
        /// How it is held.
        mode: CallMode,
        /// The message that shows the call in the conversation.
        message: MessageId,
        /// Who began it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
    /// The call about this query is over.
    CallDetached {
        /// The call.
        call: CallId,
        /// Why it ended.
        reason: EndReason,
        /// Who ended it.
        by: Actor,
        /// When.
        at: DateTime<Utc>,
    },
}

/// Who said a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// A staff member.
    Staff(StaffRef),
    /// The donor whose query it is.
    Donor,
    /// The desk itself.
    System,
}

/// Whether the donor may read a message: what staff or the desk say to a staff member stays among staff.
pub const fn is_for_donor(said_by_donor: bool, recipient: Option<UserId>) -> bool {
    said_by_donor || recipient.is_none()
}

impl DonorQueryEvent {
    /// The variant's name, as stored in `event_type` and used in subjects and frames.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::QueryOpened { .. } => "QueryOpened",
            Self::QueryAccepted { .. } => "QueryAccepted",
            Self::QueryMarkedPendingReply { .. } => "QueryMarkedPendingReply",
            Self::QueryMarkedInProgress { .. } => "QueryMarkedInProgress",
            Self::QueryTransferred { .. } => "QueryTransferred",
            Self::QueryReminded { .. } => "QueryReminded",
            Self::QueryResolved { .. } => "QueryResolved",
            Self::QueryClosedByDonor { .. } => "QueryClosedByDonor",
            Self::QueryReopened { .. } => "QueryReopened",
            Self::QueryEdited { .. } => "QueryEdited",
            Self::QueryDeleted { .. } => "QueryDeleted",
            Self::MessagePosted { .. } => "MessagePosted",
            Self::MessageRevised { .. } => "MessageRevised",
            Self::CallRequested { .. } => "CallRequested",
            Self::CallRequestAccepted { .. } => "CallRequestAccepted",
            Self::CallRequestRejected { .. } => "CallRequestRejected",
            Self::CallRequestCancelled { .. } => "CallRequestCancelled",
            Self::CallAttached { .. } => "CallAttached",
            Self::CallDetached { .. } => "CallDetached",
        }
    }

    /// The version of the stored format. Everything is at 1.0 but what an upcaster lifts (see [`crate::upcast`]).
    pub const fn version(&self) -> &'static str {
        match self {
            Self::CallRequested { .. } => "2.0",
            Self::QueryOpened { .. }
            | Self::QueryAccepted { .. }
            | Self::QueryMarkedPendingReply { .. }
            | Self::QueryMarkedInProgress { .. }
            | Self::QueryTransferred { .. }
            | Self::QueryReminded { .. }
            | Self::QueryResolved { .. }
            | Self::QueryClosedByDonor { .. }
            | Self::QueryReopened { .. }
            | Self::QueryEdited { .. }
            | Self::QueryDeleted { .. }
            | Self::MessagePosted { .. }
            | Self::MessageRevised { .. }
            | Self::CallRequestAccepted { .. }
            | Self::CallRequestRejected { .. }
            | Self::CallRequestCancelled { .. }
            | Self::CallAttached { .. }
            | Self::CallDetached { .. } => "1.0",
        }
    }
}

impl DomainEvent for DonorQueryEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        self.version().to_owned()
    }
}
