//! What people ask of a donor query. Time, ids and actors come in with the command.

use chrono::{DateTime, Utc};

use crate::ids::{CallId, CallRequestId, DonorId, MessageId, RoomName, UserId};
use crate::people::{DonorSession, Staff, StaffRef};
use crate::personal::Personal;
use crate::vocabulary::{CallMode, EndReason, MessageType};

/// A wish that [`super::decide::decide`] turns into facts or refuses.
#[derive(Clone, Debug, PartialEq)]
pub enum DonorQueryCommand {
    /// Opens a query, with the donor's first words if there are any.
    OpenQuery(OpenQuery),
    /// Takes the query.
    AcceptQuery {
        /// Who takes it.
        by: Staff,
        /// The message that will tell the conversation.
        notice: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Says that the donor waits for an answer.
    MarkPendingReply {
        /// Who says so.
        by: Staff,
        /// When.
        at: DateTime<Utc>,
    },
    /// Says that the query is being worked on; opens it again if it was closed.
    MarkInProgress {
        /// Who says so.
        by: Staff,
        /// When.
        at: DateTime<Utc>,
    },
    /// Hands the query over.
    TransferQuery {
        /// Who hands it over.
        by: Staff,
        /// Who is to hold it.
        to: StaffRef,
        /// A note for the target.
        note: Option<Personal<String>>,
        /// The message that will tell the conversation.
        notice: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Reminds the target of a transfer.
    RemindQuery {
        /// Who reminds.
        by: Staff,
        /// What the reminder says; a default text if absent.
        text: Option<Personal<String>>,
        /// The message that will carry it.
        notice: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Resolves the query.
    ResolveQuery {
        /// Who resolves it.
        by: Staff,
        /// The message that will tell the conversation.
        notice: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Closes the query for the donor. The caller has proven to be the donor.
    CloseQueryByDonor {
        /// The message that will tell the conversation.
        notice: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Opens a closed query again.
    ReopenQuery {
        /// Who opens it.
        by: Staff,
        /// When.
        at: DateTime<Utc>,
    },
    /// Corrects details.
    EditQuery {
        /// Who corrects them.
        by: Staff,
        /// The donor's name or address, if it changes.
        donor: Option<Personal<String>>,
        /// The test, if it changes.
        test: Option<String>,
        /// The stage, if it changes.
        stage: Option<String>,
        /// The device, if it changes.
        device: Option<String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Removes the query from the desk.
    DeleteQuery {
        /// Who deletes it.
        by: Staff,
        /// When.
        at: DateTime<Utc>,
    },
    /// Says something. The author is whoever the credential names.
    PostMessage {
        /// The new message.
        message: MessageId,
        /// Who says it.
        author: MessageAuthor,
        /// The staff member it is meant for, if it is meant for one.
        recipient: Option<UserId>,
        /// What it is.
        message_type: MessageType,
        /// What is said.
        content: Personal<String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Asks for a call.
    RequestCall {
        /// The new request.
        request: CallRequestId,
        /// How the donor wants to talk.
        mode: CallMode,
        /// The message that will show the request.
        message: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Accepts a call request; the room exists already.
    AcceptCallRequest {
        /// The request; absent means the pending one.
        request: Option<CallRequestId>,
        /// The call and its room.
        call: NewCall,
        /// Who accepts.
        by: Staff,
        /// When.
        at: DateTime<Utc>,
    },
    /// Declines a call request.
    RejectCallRequest {
        /// The request.
        request: CallRequestId,
        /// Who declines.
        by: Staff,
        /// When.
        at: DateTime<Utc>,
    },
    /// Withdraws a call request. The caller has proven to be the donor.
    CancelCallRequest {
        /// The request.
        request: CallRequestId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Begins a call without a request; the room exists already.
    StartCall {
        /// The call and its room.
        call: NewCall,
        /// The message that will show the call.
        message: MessageId,
        /// Who begins it.
        by: Caller,
        /// When.
        at: DateTime<Utc>,
    },
    /// Tells both sides that the call takes long. It goes on.
    RemarkLongCall {
        /// The call.
        call: CallId,
        /// The message that will tell the conversation.
        notice: MessageId,
        /// When.
        at: DateTime<Utc>,
    },
    /// Ends the call.
    EndCall {
        /// The call.
        call: CallId,
        /// Why.
        reason: EndReason,
        /// Who ends it.
        by: Caller,
        /// When.
        at: DateTime<Utc>,
    },
}

/// What opening a query takes.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenQuery {
    /// The donor's name or address.
    pub donor: Personal<String>,
    /// The donor's identity.
    pub donor_id: DonorId,
    /// The lineage of tokens that will read it.
    pub session: DonorSession,
    /// The test.
    pub test: String,
    /// The stage.
    pub stage: String,
    /// The device.
    pub device: String,
    /// The donor's first words with the message that will carry them.
    pub content: Option<(MessageId, Personal<String>)>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A call that is about to begin, with the room a provider made for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCall {
    /// The call.
    pub id: CallId,
    /// Its room.
    pub room: RoomName,
    /// The address of the room.
    pub room_url: String,
    /// The provider that made the room.
    pub provider: String,
    /// How it is held.
    pub mode: CallMode,
    /// When the room closes by itself.
    pub expires_at: DateTime<Utc>,
}

/// Who begins or ends a call, with what the rules need to know about them.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// A staff member.
    Staff(Staff),
    /// The donor whose query it is.
    Donor,
    /// The desk itself: a timer, or what a provider reported.
    System,
}

/// Who says something, with what the rules need to know about them.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageAuthor {
    /// A staff member.
    Staff(Staff),
    /// The donor whose query it is.
    Donor,
    /// The desk itself, on behalf of a staff member if one asked for it.
    System,
}
