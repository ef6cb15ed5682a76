//! People, ids and one sample of every fact. Ada and Ben work on queries, Cleo is their super admin.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::call_session::CallSessionEvent;
use crate::donor_query::DonorQueryEvent;
use crate::donor_query::command::{NewCall, OpenQuery};
use crate::donor_query::event::Author;
use crate::ids::{CallId, CallRequestId, ChatId, DonorId, MessageId, QueryId, RoomName, UserId};
use crate::people::{Actor, DonorSession, Role, Staff};
use crate::personal::Personal;
use crate::recorded::{Event, Metadata, Position, RecordedEvent, StreamId};
use crate::staff_chat::StaffChatEvent;
use crate::vocabulary::{CallMode, EndReason, MessageType};

/// When everything happens: 2026-03-01T12:00:00Z.
pub const NOON: DateTime<Utc> = DateTime::from_timestamp(1_772_366_400, 0).expect("a date this century");
/// The query.
pub const QUERY: QueryId = QueryId::new(17);
/// The call.
pub const CALL: CallId = CallId::new(5);
/// The chat of two staff members.
pub const CHAT: ChatId = ChatId::new(21);
/// The call request.
pub const REQUEST: CallRequestId = CallRequestId::new(9);
/// What the donor or a staff member says.
pub const MESSAGE: MessageId = MessageId::new(101);
/// What the desk says.
pub const NOTICE: MessageId = MessageId::new(102);
/// The message that shows the call request.
pub const REQUEST_MESSAGE: MessageId = MessageId::new(103);
/// The message that shows a call nobody requested.
pub const CALL_MESSAGE: MessageId = MessageId::new(104);
/// Where the call is held.
pub const ROOM_URL: &str = "https://calls.example/quiet-otter";

/// A while after [`NOON`].
pub fn noon_plus(seconds: i64) -> DateTime<Utc> {
    NOON + TimeDelta::seconds(seconds)
}

/// A staff member.
pub fn ada() -> Staff {
    Staff { id: UserId::new(1), name: "Ada".to_owned(), role: Role::Admin }
}

/// Another staff member.
pub fn ben() -> Staff {
    Staff { id: UserId::new(2), name: "Ben".to_owned(), role: Role::Admin }
}

/// A super admin.
pub fn cleo() -> Staff {
    Staff { id: UserId::new(3), name: "Cleo".to_owned(), role: Role::SuperAdmin }
}

/// The donor's identity.
pub fn donor_id() -> DonorId {
    DonorId::new("donor-7")
}

/// The donor as somebody who acts.
pub fn donor() -> Actor {
    Actor::Donor { id: donor_id() }
}

/// A staff member as somebody who acts.
pub fn staff(by: &Staff) -> Actor {
    Actor::Staff(by.as_ref())
}

/// Text that is known.
pub fn text(words: &str) -> Personal<String> {
    Personal::Known(words.to_owned())
}

/// What opening the query takes; without first words.
pub fn opening() -> OpenQuery {
    OpenQuery {
        donor: text("Dana Donor"),
        donor_id: donor_id(),
        session: DonorSession(Uuid::from_u128(7)),
        test: "Blood pressure".to_owned(),
        stage: "Calibration".to_owned(),
        device: "Cuff 3".to_owned(),
        content: None,
        at: NOON,
    }
}

/// A video call with its room.
pub fn new_call() -> NewCall {
    NewCall {
        id: CALL,
        room: RoomName::new("quiet-otter"),
        room_url: ROOM_URL.to_owned(),
        provider: "builtin".to_owned(),
        mode: CallMode::Video,
        expires_at: noon_plus(3600),
    }
}

/// The donor asked for help.
pub fn opened() -> DonorQueryEvent {
    let OpenQuery { donor, donor_id, session, test, stage, device, content: _, at } = opening();
    DonorQueryEvent::QueryOpened { donor, donor_id, session, test, stage, device, at }
}

/// Somebody took the query.
pub fn accepted_by(by: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryAccepted { by: by.as_ref(), at: NOON }
}

/// The query waits for an answer.
pub fn marked_pending_reply(by: Actor) -> DonorQueryEvent {
    DonorQueryEvent::QueryMarkedPendingReply { by, at: NOON }
}

/// The query is being worked on.
pub fn marked_in_progress(by: Actor) -> DonorQueryEvent {
    DonorQueryEvent::QueryMarkedInProgress { by, at: NOON }
}

/// Whoever held the query handed it over.
pub fn transferred(by: &Staff, to: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryTransferred {
        by: by.as_ref(),
        from: Some(by.as_ref()),
        to: to.as_ref(),
        note: Some(text("Speaks Dutch")),
        at: NOON,
    }
}

/// The target of a transfer was reminded.
pub fn reminded(by: &Staff, to: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryReminded { by: by.as_ref(), to: to.as_ref(), at: NOON }
}

/// Staff resolved the query.
pub fn resolved_by(by: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryResolved { by: by.as_ref(), at: NOON }
}

/// The donor closed the query.
pub fn closed_by_donor() -> DonorQueryEvent {
    DonorQueryEvent::QueryClosedByDonor { at: NOON }
}

/// The query was opened again.
pub fn reopened(by: &Staff, holder: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryReopened { by: by.as_ref(), holder: holder.as_ref(), at: NOON }
}

/// The stage was corrected.
pub fn edited_by(by: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryEdited {
        by: by.as_ref(),
        donor: None,
        test: None,
        stage: Some("Measurement".to_owned()),
        device: None,
        at: NOON,
    }
}

/// The query was removed.
pub fn deleted_by(by: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::QueryDeleted { by: by.as_ref(), at: NOON }
}

/// Somebody said [`MESSAGE`].
pub fn said(author: Author, message_type: MessageType, words: &str) -> DonorQueryEvent {
    DonorQueryEvent::MessagePosted {
        message: MESSAGE,
        author,
        recipient: None,
        message_type,
        content: text(words),
        call: None,
        request: None,
        at: NOON,
    }
}

/// The desk said [`NOTICE`].
pub fn told(words: &str) -> DonorQueryEvent {
    DonorQueryEvent::MessagePosted {
        message: NOTICE,
        author: Author::System,
        recipient: None,
        message_type: MessageType::System,
        content: text(words),
        call: None,
        request: None,
        at: NOON,
    }
}

/// The desk rewrote one of its messages.
pub fn revised(message: MessageId, message_type: MessageType, words: &str, call: Option<CallId>) -> DonorQueryEvent {
    DonorQueryEvent::MessageRevised { message, message_type, content: text(words), call, at: NOON }
}

/// The donor asked for a video call.
pub fn call_requested() -> DonorQueryEvent {
    DonorQueryEvent::CallRequested { request: REQUEST, mode: CallMode::Video, message: REQUEST_MESSAGE, at: NOON }
}

/// Staff accepted the request.
pub fn request_accepted_by(by: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::CallRequestAccepted { request: REQUEST, call: CALL, by: by.as_ref(), at: NOON }
}

/// Staff declined the request.
pub fn request_rejected_by(by: &Staff) -> DonorQueryEvent {
    DonorQueryEvent::CallRequestRejected { request: REQUEST, by: by.as_ref(), at: NOON }
}

/// The request was withdrawn.
pub fn request_cancelled(by: Actor) -> DonorQueryEvent {
    DonorQueryEvent::CallRequestCancelled { request: REQUEST, by, at: NOON }
}

/// A call began that this message shows.
pub fn call_attached(message: MessageId, by: Actor) -> DonorQueryEvent {
    let NewCall { id, room, mode, .. } = new_call();
    DonorQueryEvent::CallAttached { call: id, room, mode, message, by, at: NOON }
}

/// The call is over.
pub fn call_detached(reason: EndReason, by: Actor) -> DonorQueryEvent {
    DonorQueryEvent::CallDetached { call: CALL, reason, by, at: NOON }
}

/// A room was made for the call.
pub fn call_created() -> CallSessionEvent {
    let NewCall { id: _, room, room_url, provider, mode, expires_at } = new_call();
    CallSessionEvent::CallCreated {
        query: QUERY,
        donor_id: donor_id(),
        request: Some(REQUEST),
        room,
        room_url,
        provider,
        mode,
        by: staff(&ada()),
        expires_at,
        at: NOON,
    }
}

/// Somebody joined the call.
pub fn call_started() -> CallSessionEvent {
    CallSessionEvent::CallStarted { by: donor(), at: NOON }
}

/// The call session is over.
pub fn call_ended(reason: EndReason) -> CallSessionEvent {
    CallSessionEvent::CallEnded { reason, by: staff(&ada()), at: NOON }
}

/// A staff member said [`MESSAGE`] to a colleague.
pub fn chat_said(by: &Staff, to: &Staff, words: &str) -> StaffChatEvent {
    let (by, to) = (by.as_ref(), to.as_ref());
    StaffChatEvent::ChatMessagePosted { message: MESSAGE, by, to, content: text(words), at: NOON }
}

/// One sample of every fact of all aggregates. They are no history: each stands for itself.
pub fn samples() -> Vec<Event> {
    let of_query = [
        opened(),
        accepted_by(&ada()),
        marked_pending_reply(donor()),
        marked_in_progress(staff(&ada())),
        transferred(&ada(), &ben()),
        reminded(&ada(), &ben()),
        resolved_by(&ada()),
        closed_by_donor(),
        reopened(&ben(), &ada()),
        edited_by(&ada()),
        deleted_by(&cleo()),
        said(Author::Donor, MessageType::Query, "The cuff does not inflate"),
        revised(REQUEST_MESSAGE, MessageType::CallEnded, "VIDEO call ended", Some(CALL)),
        call_requested(),
        request_accepted_by(&ada()),
        request_rejected_by(&ada()),
        request_cancelled(donor()),
        call_attached(REQUEST_MESSAGE, staff(&ada())),
        call_detached(EndReason::HungUp, donor()),
    ];
    let of_call = [call_created(), call_started(), call_ended(EndReason::Expired)];
    let of_chat = Event::StaffChat(chat_said(&ada(), &ben(), "Lunch at one?"));
    of_query.map(Event::DonorQuery).into_iter().chain(of_call.map(Event::CallSession)).chain([of_chat]).collect()
}

/// A fact of [`QUERY`], [`CALL`] or [`CHAT`] as the first of the log, caused by the desk itself.
pub fn recorded(event: Event) -> RecordedEvent {
    let (stream, query) = match &event {
        Event::DonorQuery(_) => (StreamId::DonorQuery(QUERY), QUERY),
        Event::CallSession(_) => (StreamId::CallSession(CALL), QUERY),
        Event::StaffChat(_) => (StreamId::StaffChat(CHAT), CHAT.place()),
    };
    RecordedEvent {
        position: Position(1),
        event_id: Uuid::from_u128(1),
        stream,
        query,
        sequence: 1,
        recorded_at: NOON,
        event,
        metadata: Metadata::of(&Actor::System, "request-1"),
    }
}
