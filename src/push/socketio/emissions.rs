//! What a fact is called on Socket.IO, in the words of the old server and in those its dashboard listens for.
//!
//! Pure. Each emission goes out under all of its names with one payload, a superset of what any client reads; a socket
//! hears an emission once, however many reasons it has to. Nobody is told here what [`frames`](crate::push::frames) keep
//! from them: what goes to a query's room holds nothing that is for staff alone, and no payload holds a token.

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::{Author, is_for_donor};
use aggregates::ids::{CallId, CallRequestId, DonorId, MessageId, UserId};
use aggregates::people::{Actor, StaffRef};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, RecordedEvent, StreamId};
use aggregates::staff_chat::StaffChatEvent;
use aggregates::vocabulary::{CallMode, CallRequestStatus, CallStatus, MessageType, QueryStatus};
use projections::queries::QueryRow;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::push::frames::{happened_at, time};

/// One thing that clients are told.
#[derive(Debug)]
pub(in crate::push) struct Emission {
    /// The events it goes out as, in this order.
    pub(in crate::push) names: &'static [&'static str],
    /// Who hears it.
    pub(in crate::push) to: To,
    /// The only argument of the event: an object with `queryId` (null of a chat), `timestamp` and `position`.
    pub(in crate::push) payload: Box<RawValue>,
}

/// Who hears an emission. Donors hear of their own queries only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::push) enum To {
    /// Every staff member.
    Staff,
    /// One staff member.
    Member(UserId),
    /// Every staff member, and the donor.
    Everybody,
    /// Staff who joined the query, and the donor.
    Room,
    /// Staff who joined the query.
    StaffInRoom,
}

const STATUS: &[&str] = &["queryStatusChange", "queryStatusChanged"];
const TRANSFER: &[&str] = &["queryTransfer", "queryTransferred"];
const MESSAGE: &[&str] = &["newMessage", "enhancedMessage"];
const ASSIGNED: &[&str] = &["queryAssigned"];
const RESOLVED: &[&str] = &["queryResolved"];
const CALL_STATUS: &[&str] = &["callStatusChanged"];
const REQUEST_STATUS: &[&str] = &["callRequestStatusChanged"];

/// Who hears a fact whose events say something about its query that the fact does not; nobody if it says enough.
pub(in crate::push) fn needs_query(event: &Event) -> Option<To> {
    match event {
        Event::DonorQuery(DonorQueryEvent::MessagePosted { author: author @ Author::Donor, recipient, .. }) => {
            Some(message_to(author, *recipient))
        }
        Event::CallSession(CallSessionEvent::CallCreated { .. }) => Some(To::Everybody),
        Event::DonorQuery(_) | Event::CallSession(_) | Event::StaffChat(_) => None,
    }
}

/// The emissions of a fact, in the order of the old server. `query` is the query's row with the fact in it, for facts that
/// [need it](needs_query); without it, the payloads have null there.
pub(in crate::push) fn emissions(recorded: &RecordedEvent, query: Option<&QueryRow>) -> Vec<Emission> {
    let teller = Teller { recorded, query };
    match &recorded.event {
        Event::DonorQuery(event) => teller.of_query(event),
        Event::CallSession(event) => teller.of_call(event),
        Event::StaffChat(event) => teller.of_chat(event),
    }
}

struct Teller<'a> {
    recorded: &'a RecordedEvent,
    query: Option<&'a QueryRow>,
}

impl Teller<'_> {
    fn of_query(&self, event: &DonorQueryEvent) -> Vec<Emission> {
        use DonorQueryEvent as Query;
        match event {
            Query::QueryOpened { donor, test, stage, .. } => vec![self.opened(donor.as_str(), test, stage)],
            Query::QueryAccepted { by, .. } => {
                vec![self.assigned(by, by), self.status(QueryStatus::InProgress, &by.name)]
            }
            Query::QueryMarkedPendingReply { by, .. } => vec![self.status(QueryStatus::PendingReply, name(by))],
            Query::QueryMarkedInProgress { by, .. } => vec![self.status(QueryStatus::InProgress, name(by))],
            Query::QueryTransferred { by, from, to, note, at: _ } => vec![
                self.transferred(by, from.as_ref(), to, note.as_ref()),
                self.assigned(to, by),
                self.status(QueryStatus::Transferred, &by.name),
            ],
            Query::QueryReminded { by, to, .. } => {
                let payload = json!({ "userId": to.id, "remindedBy": person(by) });
                vec![self.tell(&["queryReminder"], To::Member(to.id), payload)]
            }
            Query::QueryResolved { by, .. } => self.resolved(&by.name),
            Query::QueryClosedByDonor { .. } => self.resolved("Donor"),
            Query::QueryReopened { by, holder, .. } => {
                vec![self.assigned(holder, by), self.status(QueryStatus::InProgress, &by.name)]
            }
            Query::QueryEdited { by, donor, test, stage, device, at: _ } => {
                let donor = donor.as_ref().map(Personal::as_str);
                let changes = json!({ "donor": donor, "test": test, "stage": stage, "device": device });
                let payload = json!({ "changes": changes, "updatedBy": by.name });
                vec![self.tell(&["queryUpdated"], To::Everybody, payload)]
            }
            Query::QueryDeleted { .. } => vec![self.tell(&["queryDeleted"], To::Everybody, json!({}))],
            Query::MessagePosted { .. } => self.message(event).into_iter().collect(),
            Query::MessageRevised { message, message_type, content, call, at: _ } => {
                let payload = json!({
                    "id": message,
                    "messageId": message,
                    "messageType": message_type,
                    "content": content.as_str(),
                    "callSessionId": call,
                });
                vec![self.tell(&["messageUpdated"], To::Room, payload)]
            }
            Query::CallRequested { request, mode, message, at: _ } => vec![self.requested(*request, *mode, *message)],
            Query::CallRequestAccepted { request, call, by, at: _ } => {
                vec![self.request(*request, CallRequestStatus::Accepted, &by.name, Some(*call))]
            }
            Query::CallRequestRejected { request, by, at: _ } => {
                vec![self.request(*request, CallRequestStatus::Rejected, &by.name, None)]
            }
            Query::CallRequestCancelled { request, by, at: _ } => {
                vec![self.request(*request, CallRequestStatus::Cancelled, name(by), None)]
            }
            // The facts of the call session tell it, and say more.
            Query::CallAttached { .. } | Query::CallDetached { .. } => Vec::new(),
        }
    }

    fn of_call(&self, event: &CallSessionEvent) -> Vec<Emission> {
        match event {
            CallSessionEvent::CallCreated { by, .. } => {
                let names: &[&str] = match by {
                    Actor::Donor { .. } => &["directCallStarted"],
                    Actor::Staff(_) | Actor::System => &["callStarted"],
                };
                let payload = json!({ "callSession": self.call_session(event), "adminId": staff_id(by) });
                let status = self.call_status(CallStatus::Created, name(by));
                vec![self.tell(names, To::Everybody, payload), self.tell(CALL_STATUS, To::Everybody, status)]
            }
            CallSessionEvent::CallStarted { by, at: _ } => {
                vec![self.tell(CALL_STATUS, To::Everybody, self.call_status(CallStatus::Started, name(by)))]
            }
            CallSessionEvent::CallEnded { reason, by, at: _ } => {
                let call = self.call();
                let ended = json!({ "callId": call, "callSessionId": call, "reason": reason, "endedBy": name(by) });
                let status = self.call_status(CallStatus::Ended, name(by));
                vec![self.tell(&["callEnded"], To::Everybody, ended), self.tell(CALL_STATUS, To::Everybody, status)]
            }
        }
    }

    /// A message as of a query, to each of the two who chat.
    fn of_chat(&self, event: &StaffChatEvent) -> Vec<Emission> {
        let StaffChatEvent::ChatMessagePosted { message, by, to, content, at } = event;
        let payload = json!({
            "id": message,
            "messageId": message,
            "content": content.as_str(),
            "messageType": MessageType::Chat,
            "isFromAdmin": true,
            "senderType": "ADMIN",
            "senderId": by.id,
            "senderName": by.name,
            "sender": person(by),
            "senderIdentifiers": { "senderId": by.id, "donorId": null },
            "recipientId": to.id,
            "callSessionId": null,
            "callRequestId": null,
            "createdAt": time(*at),
        });
        [by.id, to.id].map(|member| self.tell(MESSAGE, To::Member(member), payload.clone())).into()
    }

    fn opened(&self, donor: &str, test: &str, stage: &str) -> Emission {
        let query = QueryRow::after(None, self.recorded);
        let payload = json!({
            "donorInfo": format!("{donor} - {test} ({stage})"),
            "donor": donor,
            "query": query.as_ref().map(query_view),
        });
        self.tell(&["newQuery"], To::Staff, payload)
    }

    fn status(&self, status: QueryStatus, by: &str) -> Emission {
        self.tell(STATUS, To::Everybody, json!({ "status": status, "updatedBy": by, "changedBy": by }))
    }

    fn assigned(&self, to: &StaffRef, by: &StaffRef) -> Emission {
        self.tell(ASSIGNED, To::Member(to.id), json!({ "userId": to.id, "assignedBy": person(by) }))
    }

    fn transferred(
        &self,
        by: &StaffRef,
        from: Option<&StaffRef>,
        to: &StaffRef,
        note: Option<&Personal<String>>,
    ) -> Emission {
        let payload = json!({
            "transferredTo": to.name,
            "fromUserId": from.map(|from| from.id),
            "toUserId": to.id,
            "transferredBy": person(by),
            "transferNote": note.map(Personal::as_str),
        });
        self.tell(TRANSFER, To::Staff, payload)
    }

    fn resolved(&self, by: &str) -> Vec<Emission> {
        let resolved = self.tell(RESOLVED, To::Everybody, json!({ "resolvedBy": by }));
        vec![self.status(QueryStatus::Resolved, by), resolved]
    }

    /// One event with both ids, where the old server sent two of the same name.
    fn message(&self, event: &DonorQueryEvent) -> Option<Emission> {
        let DonorQueryEvent::MessagePosted { message, author, recipient, message_type, content, call, request, at } =
            event
        else {
            return None;
        };
        let sender = self.sender(author);
        let payload = json!({
            "id": message,
            "messageId": message,
            "content": content.as_str(),
            "messageType": message_type,
            "isFromAdmin": matches!(author, Author::Staff(_)),
            "senderType": sender.kind,
            "senderId": sender.id.map_or(0, UserId::get),
            "senderName": sender.name,
            "sender": sender.view,
            "senderIdentifiers": { "senderId": sender.id, "donorId": sender.donor_id },
            "recipientId": recipient,
            "callSessionId": call,
            "callRequestId": request,
            "createdAt": time(*at),
        });
        Some(self.tell(MESSAGE, message_to(author, *recipient), payload))
    }

    fn sender(&self, author: &Author) -> Sender {
        match author {
            Author::Staff(staff) => Sender {
                kind: "ADMIN",
                id: Some(staff.id),
                donor_id: None,
                name: Some(staff.name.clone()),
                view: person(staff),
            },
            Author::Donor => {
                let donor_id = self.query.map(|query| query.donor_id.clone());
                let name = self.query.map(|query| query.donor.clone());
                let view = json!({ "donorId": donor_id, "name": name });
                Sender { kind: "DONOR", id: None, donor_id, name, view }
            }
            Author::System => Sender {
                kind: "SYSTEM",
                id: None,
                donor_id: None,
                name: Some("System".to_owned()),
                view: json!({ "system": true }),
            },
        }
    }

    fn requested(&self, request: CallRequestId, mode: CallMode, message: MessageId) -> Emission {
        let payload = json!({
            "requestId": request,
            "callRequestId": request,
            "messageId": message,
            "mode": mode,
            "status": CallRequestStatus::Pending,
        });
        self.tell(&["callRequested"], To::Everybody, payload)
    }

    fn request(&self, request: CallRequestId, status: CallRequestStatus, by: &str, call: Option<CallId>) -> Emission {
        let payload = json!({
            "requestId": request,
            "callRequestId": request,
            "status": status,
            "changedBy": by,
            "callSessionId": call,
        });
        self.tell(REQUEST_STATUS, To::Everybody, payload)
    }

    fn call(&self) -> Option<CallId> {
        match self.recorded.stream {
            StreamId::CallSession(call) => Some(call),
            StreamId::DonorQuery(_) | StreamId::StaffChat(_) => None,
        }
    }

    fn call_status(&self, status: CallStatus, by: &str) -> Value {
        let call = self.call();
        json!({ "callId": call, "callSessionId": call, "status": status, "changedBy": by })
    }

    /// A call session as the old server showed it, without the tokens: those are handed out by the routes, to each their own.
    fn call_session(&self, event: &CallSessionEvent) -> Value {
        let CallSessionEvent::CallCreated { room, room_url, provider, mode, by, request, expires_at, at, .. } = event
        else {
            return Value::Null;
        };
        json!({
            "id": self.call(),
            "queryId": self.recorded.query,
            "adminId": staff_id(by),
            "roomName": room,
            "roomUrl": room_url,
            "provider": provider,
            "status": CallStatus::Created,
            "callType": mode.call_type(),
            "mode": mode,
            "callRequestId": request,
            "startedAt": null,
            "endedAt": null,
            "createdAt": time(*at),
            "updatedAt": time(*at),
            "expiresAt": time(*expires_at),
            "adminToken": null,
            "userToken": null,
            "admin": match by { Actor::Staff(staff) => person(staff), Actor::Donor { .. } | Actor::System => Value::Null },
            "query": self.query.map(query_view),
        })
    }

    /// Adds what every payload has.
    fn tell(&self, names: &'static [&'static str], to: To, payload: Value) -> Emission {
        let mut object = match payload {
            Value::Object(object) => object,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        object.insert("queryId".to_owned(), json!(self.recorded.about()));
        object.insert("timestamp".to_owned(), json!(time(happened_at(&self.recorded.event))));
        object.insert("position".to_owned(), json!(self.recorded.position));
        let payload = to_raw_value(&object).expect("a map of JSON values with string keys cannot fail to serialize");
        Emission { names, to, payload }
    }
}

/// Who said a message, in the forms that clients read.
struct Sender {
    kind: &'static str,
    id: Option<UserId>,
    donor_id: Option<DonorId>,
    name: Option<String>,
    view: Value,
}

fn message_to(author: &Author, recipient: Option<UserId>) -> To {
    if is_for_donor(*author == Author::Donor, recipient) { To::Room } else { To::StaffInRoom }
}

/// A query with the keys of the contract; what only staff may read of it is null.
fn query_view(row: &QueryRow) -> Value {
    json!({
        "id": row.query_id,
        "donor": row.donor,
        "donorId": row.donor_id,
        "test": row.test,
        "stage": row.stage,
        "device": row.device,
        "status": row.standing.status,
        "createdAt": time(row.created_at),
        "updatedAt": time(row.updated_at),
        "transferredTo": row.transferred_to,
        "transferredToUserId": row.transferred_to_user_id,
        "resolvedById": row.resolved_by_id,
        "transferNote": null,
        "assignedToId": row.standing.assigned_to_id,
        "fcmToken": null,
    })
}

fn person(staff: &StaffRef) -> Value {
    json!({ "id": staff.id, "name": staff.name })
}

fn staff_id(actor: &Actor) -> Option<UserId> {
    match actor {
        Actor::Staff(staff) => Some(staff.id),
        Actor::Donor { .. } | Actor::System => None,
    }
}

/// Who did something, in the old server's words.
fn name(actor: &Actor) -> &str {
    match actor {
        Actor::Staff(staff) => &staff.name,
        Actor::Donor { .. } => "Donor",
        Actor::System => "System",
    }
}

#[cfg(test)]
#[path = "emissions_tests.rs"]
mod tests;
