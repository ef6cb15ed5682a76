//! What a fact looks like on the live feed, and who may see it.
//!
//! Pure: a frame depends on its fact alone, so a replayed frame and a live one are the same bytes. A new event stops the
//! build in three places here: when it happened, what it says, and whether donors may know.

use std::iter;

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::{Author, is_for_donor};
use aggregates::ids::{QueryId, UserId};
use aggregates::people::{Actor, StaffRef};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Position, RecordedEvent, StreamId};
use aggregates::staff_chat::StaffChatEvent;
use aggregates::vocabulary::MessageType;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Who hears a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Room {
    /// Every staff member.
    Staff,
    /// One staff member.
    Member(UserId),
    /// The donor of one query.
    Query(QueryId),
}

/// One fact as the feed tells it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// Always `event`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "event")]
    kind: &'static str,
    /// The place of the fact in the log: the cursor to resume after.
    #[schema(value_type = i64)]
    position: Position,
    /// What happened.
    #[schema(value_type = String, example = "QueryAccepted")]
    event: &'static str,
    /// The query it is about; absent if it is what a colleague said to the reader, or the reader to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    query_id: Option<QueryId>,
    /// The version of the query with this fact, as in its `ETag`; absent if the fact belongs to something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// The call session the fact belongs to; absent if it belongs to something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_session_id: Option<i64>,
    /// When it happened, in UTC with milliseconds.
    #[schema(format = DateTime)]
    at: String,
    /// Who did it: `kind` is `staff` (with `id` and `name`), `donor` (with `id`) or `system`.
    #[schema(value_type = Object)]
    actor: Value,
    /// What else the fact says; differs by `event`.
    #[schema(value_type = Object)]
    data: Value,
}

impl Frame {
    /// Where the fact stands in the log.
    pub fn position(&self) -> Position {
        self.position
    }
}

/// The frames of a fact: exactly one for staff, and one for the donor's room if the donor may know. What two staff members
/// say to each other is for each of them alone.
pub fn frames(recorded: &RecordedEvent) -> Vec<(Room, Frame)> {
    let data = data(&recorded.event);
    let (version, call_session_id) = match recorded.stream {
        StreamId::DonorQuery(_) => (Some(recorded.sequence), None),
        StreamId::CallSession(call) => (None, Some(call.get())),
        StreamId::StaffChat(_) => (None, None),
    };
    let told = Frame {
        kind: "event",
        position: recorded.position,
        event: recorded.event.name(),
        query_id: recorded.about(),
        version,
        call_session_id,
        at: time(happened_at(&recorded.event)),
        actor: actor(&recorded.metadata.actor()),
        data,
    };
    if let Event::StaffChat(StaffChatEvent::ChatMessagePosted { by, to, .. }) = &recorded.event {
        return vec![(Room::Member(by.id), told.clone()), (Room::Member(to.id), told)];
    }
    let for_donor = for_donor(&recorded.event, &told.data);
    let donor = for_donor.map(|data| (Room::Query(recorded.query), Frame { data, ..told.clone() }));
    iter::once((Room::Staff, told)).chain(donor).collect()
}

/// What a donor may know of what staff are told: nothing, all, or less.
fn for_donor(event: &Event, told: &Value) -> Option<Value> {
    use DonorQueryEvent as Query;
    match event {
        Event::DonorQuery(Query::QueryReminded { .. }) | Event::StaffChat(_) => None,
        Event::DonorQuery(Query::MessagePosted { author, recipient, .. })
            if !is_for_donor(*author == Author::Donor, *recipient) =>
        {
            None
        }
        Event::DonorQuery(Query::QueryTransferred { by, to, .. }) => Some(json!({ "by": staff(by), "to": staff(to) })),
        Event::DonorQuery(Query::QueryDeleted { .. }) => Some(json!({ "deleted": true })),
        Event::DonorQuery(
            Query::QueryOpened { .. }
            | Query::QueryAccepted { .. }
            | Query::QueryMarkedPendingReply { .. }
            | Query::QueryMarkedInProgress { .. }
            | Query::QueryResolved { .. }
            | Query::QueryClosedByDonor { .. }
            | Query::QueryReopened { .. }
            | Query::QueryEdited { .. }
            | Query::MessagePosted { .. }
            | Query::MessageRevised { .. }
            | Query::CallRequested { .. }
            | Query::CallRequestAccepted { .. }
            | Query::CallRequestRejected { .. }
            | Query::CallRequestCancelled { .. }
            | Query::CallAttached { .. }
            | Query::CallDetached { .. },
        )
        | Event::CallSession(
            CallSessionEvent::CallCreated { .. }
            | CallSessionEvent::CallStarted { .. }
            | CallSessionEvent::CallEnded { .. },
        ) => Some(told.clone()),
    }
}

/// What a fact says beside who, when and where.
fn data(event: &Event) -> Value {
    match event {
        Event::DonorQuery(event) => query_data(event),
        Event::CallSession(event) => call_data(event),
        Event::StaffChat(event) => chat_data(event),
    }
}

fn query_data(event: &DonorQueryEvent) -> Value {
    use DonorQueryEvent as Query;
    match event {
        Query::QueryOpened { donor, donor_id, test, stage, device, session: _, at: _ } => {
            json!({ "donor": donor.as_str(), "donorId": donor_id, "test": test, "stage": stage, "device": device })
        }
        Query::QueryAccepted { by, .. } | Query::QueryResolved { by, .. } => json!({ "by": staff(by) }),
        Query::QueryMarkedPendingReply { by, .. } | Query::QueryMarkedInProgress { by, .. } => {
            json!({ "by": actor(by) })
        }
        Query::QueryTransferred { by, from, to, note, at: _ } => {
            let note = note.as_ref().map(Personal::as_str);
            json!({ "by": staff(by), "from": from.as_ref().map(staff), "to": staff(to), "note": note })
        }
        Query::QueryReminded { by, to, .. } => json!({ "by": staff(by), "to": staff(to) }),
        Query::QueryClosedByDonor { .. } => json!({}),
        Query::QueryReopened { by, holder, .. } => json!({ "by": staff(by), "holder": staff(holder) }),
        Query::QueryEdited { by, donor, test, stage, device, at: _ } => {
            let donor = donor.as_ref().map(Personal::as_str);
            json!({ "by": staff(by), "donor": donor, "test": test, "stage": stage, "device": device })
        }
        Query::QueryDeleted { by, .. } => json!({ "by": staff(by), "deleted": true }),
        Query::MessagePosted { message, author: said_by, recipient, message_type, content, call, request, at: _ } => {
            json!({
                "messageId": message,
                "author": author(said_by),
                "recipientId": recipient,
                "messageType": message_type,
                "content": content.as_str(),
                "callSessionId": call,
                "callRequestId": request,
            })
        }
        Query::MessageRevised { message, message_type, content, call, at: _ } => {
            let content = content.as_str();
            json!({ "messageId": message, "messageType": message_type, "content": content, "callSessionId": call })
        }
        Query::CallRequested { request, mode, message, at: _ } => {
            json!({ "callRequestId": request, "mode": mode, "messageId": message })
        }
        Query::CallRequestAccepted { request, call, by, at: _ } => {
            json!({ "callRequestId": request, "callSessionId": call, "by": staff(by) })
        }
        Query::CallRequestRejected { request, by, at: _ } => json!({ "callRequestId": request, "by": staff(by) }),
        Query::CallRequestCancelled { request, by, at: _ } => json!({ "callRequestId": request, "by": actor(by) }),
        Query::CallAttached { call, room, mode, message, by, at: _ } => {
            json!({ "callSessionId": call, "roomName": room, "mode": mode, "messageId": message, "by": actor(by) })
        }
        Query::CallDetached { call, reason, by, at: _ } => {
            json!({ "callSessionId": call, "reason": reason, "by": actor(by) })
        }
    }
}

fn call_data(event: &CallSessionEvent) -> Value {
    match event {
        CallSessionEvent::CallCreated {
            query: _,
            donor_id: _,
            request,
            room,
            room_url,
            provider,
            mode,
            by,
            expires_at,
            at: _,
        } => json!({
            "callRequestId": request,
            "roomName": room,
            "roomUrl": room_url,
            "provider": provider,
            "mode": mode,
            "by": actor(by),
            "expiresAt": time(*expires_at),
        }),
        CallSessionEvent::CallStarted { by, at: _ } => json!({ "by": actor(by) }),
        CallSessionEvent::CallEnded { reason, by, at: _ } => json!({ "reason": reason, "by": actor(by) }),
    }
}

fn chat_data(event: &StaffChatEvent) -> Value {
    match event {
        StaffChatEvent::ChatMessagePosted { message, by, to, content, at: _ } => json!({
            "messageId": message,
            "by": staff(by),
            "to": staff(to),
            "messageType": MessageType::Chat,
            "content": content.as_str(),
        }),
    }
}

/// When a fact happened, as opposed to when it was recorded.
pub(super) fn happened_at(event: &Event) -> DateTime<Utc> {
    use DonorQueryEvent as Query;
    match event {
        Event::DonorQuery(
            Query::QueryOpened { at, .. }
            | Query::QueryAccepted { at, .. }
            | Query::QueryMarkedPendingReply { at, .. }
            | Query::QueryMarkedInProgress { at, .. }
            | Query::QueryTransferred { at, .. }
            | Query::QueryReminded { at, .. }
            | Query::QueryResolved { at, .. }
            | Query::QueryClosedByDonor { at }
            | Query::QueryReopened { at, .. }
            | Query::QueryEdited { at, .. }
            | Query::QueryDeleted { at, .. }
            | Query::MessagePosted { at, .. }
            | Query::MessageRevised { at, .. }
            | Query::CallRequested { at, .. }
            | Query::CallRequestAccepted { at, .. }
            | Query::CallRequestRejected { at, .. }
            | Query::CallRequestCancelled { at, .. }
            | Query::CallAttached { at, .. }
            | Query::CallDetached { at, .. },
        )
        | Event::CallSession(
            CallSessionEvent::CallCreated { at, .. }
            | CallSessionEvent::CallStarted { at, .. }
            | CallSessionEvent::CallEnded { at, .. },
        )
        | Event::StaffChat(StaffChatEvent::ChatMessagePosted { at, .. }) => *at,
    }
}

/// A time in UTC with milliseconds.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn staff(staff: &StaffRef) -> Value {
    json!({ "id": staff.id, "name": staff.name })
}

fn actor(actor: &Actor) -> Value {
    match actor {
        Actor::Staff(staff) => json!({ "kind": "staff", "id": staff.id, "name": staff.name }),
        Actor::Donor { id } => json!({ "kind": "donor", "id": id }),
        Actor::System => json!({ "kind": "system" }),
    }
}

fn author(author: &Author) -> Value {
    match author {
        Author::Staff(staff) => json!({ "kind": "staff", "id": staff.id, "name": staff.name }),
        Author::Donor => json!({ "kind": "donor" }),
        Author::System => json!({ "kind": "system" }),
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
