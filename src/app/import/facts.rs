//! From the old system's rows to the facts that would have made them.
//!
//! The old system kept where a query stood, not how it got there; so times of transitions are taken from the messages that
//! told of them, and what was recorded nowhere is said to be unknown instead of guessed. Pure.
//!
//! An import may be interrupted, and repeated while the old desk goes on. So a fact is known by what it is about (this
//! message, that call), and [`missing`] tells what is not here yet; whatever changed in between ends in the facts that lead
//! to where the row stands now.

use std::collections::HashMap;
use std::iter::once;

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::event::Author;
use aggregates::donor_query::{DonorQuery, DonorQueryEvent};
use aggregates::ids::{CallId, CallRequestId, DonorId, MessageId, QueryId, RoomName, UserId};
use aggregates::people::{Actor, DonorSession, StaffRef};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, RecordedEvent, StreamId};
use aggregates::vocabulary::{CallMode, EndReason, MessageType, QueryStatus};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::known::Known;
use super::old::{OldCall, OldLife, OldMessage, OldQuery, OldRequest};

/// How long a room of the old system lived.
const ROOM_LIFE: TimeDelta = TimeDelta::hours(1);

/// The account that stands for whoever did what no row says who did.
const NOBODY: UserId = UserId::new(0);

/// What a staff member is called of whom no row says who it was.
const UNKNOWN: &str = "Unknown";

/// One fact and the stream it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) stream: StreamId,
    pub(super) event: Event,
}

/// The facts of one query's life that are not here yet, in the order they are to be appended. `here` are those that are.
pub(super) fn missing(life: &OldLife, names: &HashMap<i64, String>, here: &[RecordedEvent]) -> Vec<Fact> {
    let known = Known::of(here);
    let mut story = Story { life, names, told: Vec::new() };
    story.messages(&known);
    story.requests();
    story.calls();
    story.holder();
    story.edits(&known);
    story.told.sort_by_key(|told| (told.at, told.rank));
    let opened = story.about_query(story.opened());
    let told = story.told.iter().map(|told| &told.fact);
    let mut facts: Vec<Fact> = once(&opened).chain(told).filter(|fact| !known.has(fact)).cloned().collect();
    let events = here.iter().map(|fact| &fact.event).chain(facts.iter().map(|fact| &fact.event));
    facts.extend(story.end(&state(events)));
    facts
}

/// Where a query stands after some facts.
pub(super) fn status<'a>(events: impl Iterator<Item = &'a Event>) -> Option<QueryStatus> {
    state(events).status()
}

fn state<'a>(events: impl Iterator<Item = &'a Event>) -> DonorQuery {
    let events = events.filter_map(|event| match event {
        Event::DonorQuery(event) => Some(event.clone()),
        Event::CallSession(_) | Event::StaffChat(_) => None,
    });
    events.fold(DonorQuery::default(), DonorQuery::evolve)
}

/// The lineage of a query: all queries of a donor share one that no token was ever given out for.
pub(super) fn session(query: &OldQuery) -> DonorSession {
    DonorSession(Uuid::new_v5(&Uuid::NAMESPACE_OID, query.donor_id.as_bytes()))
}

struct Story<'a> {
    life: &'a OldLife,
    names: &'a HashMap<i64, String>,
    told: Vec<Told>,
}

/// A fact, when it happened, and which of two at the same time comes first.
struct Told {
    at: DateTime<Utc>,
    rank: i64,
    fact: Fact,
}

impl Story<'_> {
    fn about_query(&self, event: DonorQueryEvent) -> Fact {
        Fact { stream: StreamId::DonorQuery(QueryId::new(self.life.query.id)), event: Event::DonorQuery(event) }
    }

    fn tell(&mut self, at: DateTime<Utc>, rank: i64, event: DonorQueryEvent) {
        let fact = self.about_query(event);
        self.told.push(Told { at, rank, fact });
    }

    fn tell_of_call(&mut self, at: DateTime<Utc>, rank: i64, call: CallId, event: CallSessionEvent) {
        let fact = Fact { stream: StreamId::CallSession(call), event: Event::CallSession(event) };
        self.told.push(Told { at, rank, fact });
    }

    fn opened(&self) -> DonorQueryEvent {
        let query = &self.life.query;
        DonorQueryEvent::QueryOpened {
            donor: Personal::Known(query.donor.clone()),
            donor_id: DonorId::new(query.donor_id.clone()),
            session: session(query),
            test: query.test.clone(),
            stage: query.stage.clone(),
            device: query.device.clone(),
            at: query.created_at,
        }
    }

    fn messages(&mut self, known: &Known) {
        for message in &self.life.messages {
            self.revision(message, known);
            let posted = DonorQueryEvent::MessagePosted {
                message: MessageId::new(message.id),
                author: self.author(message),
                recipient: message.recipient_id.map(UserId::new),
                message_type: message_type(message),
                content: Personal::Known(message.content.clone()),
                call: message.call_session_id.map(CallId::new),
                request: message.call_request_id.map(CallRequestId::new),
                at: message.created_at,
            };
            self.tell(message.created_at, message.id, posted);
        }
    }

    /// The old desk rewrote its own messages where they stood.
    fn revision(&mut self, message: &OldMessage, known: &Known) {
        let call = message.call_session_id.map(CallId::new);
        let (content, message_type) = (message.content.as_str(), message_type(message));
        let Some(before) = known.messages.get(&MessageId::new(message.id)) else { return };
        if (before.content.as_str(), before.message_type, before.call) != (content, message_type, call) {
            let at = message.updated_at;
            self.tell(
                at,
                message.id,
                DonorQueryEvent::MessageRevised {
                    message: MessageId::new(message.id),
                    message_type,
                    content: Personal::Known(message.content.clone()),
                    call,
                    at,
                },
            );
        }
    }

    fn author(&self, message: &OldMessage) -> Author {
        match (message_type(message), message.sender_type.as_deref()) {
            // The desk's own words, whoever's name they were filed under.
            (MessageType::System | MessageType::CallStarted | MessageType::CallEnded, _) | (_, Some("SYSTEM")) => {
                Author::System
            }
            (MessageType::Query | MessageType::Chat, Some("ADMIN")) => Author::Staff(self.staff(message.sender_id)),
            (MessageType::Query | MessageType::Chat, _) if message.is_from_admin => {
                Author::Staff(self.staff(message.sender_id))
            }
            (MessageType::Query | MessageType::Chat, _) => Author::Donor,
        }
    }

    fn requests(&mut self) {
        let last = self.life.requests.last().map(|request| request.id);
        for request in &self.life.requests {
            let id = CallRequestId::new(request.id);
            let message = self.message_about(|message| message.call_request_id == Some(request.id));
            let mode = mode(request.mode.as_deref());
            self.tell(
                request.created_at,
                0,
                DonorQueryEvent::CallRequested { request: id, mode, message, at: request.created_at },
            );
            let is_open = QueryStatus::parse(&self.life.query.status) != Some(QueryStatus::Resolved);
            match request.status.as_str() {
                // Answered by a call, if one is known; told with it.
                "ACCEPTED" if self.answering(request).is_some() => {}
                "REJECTED" => {
                    let by = self.staff(request.admin_id);
                    let at = request.updated_at;
                    self.tell(at, i64::MAX, DonorQueryEvent::CallRequestRejected { request: id, by, at });
                }
                // The newest one still waits.
                "PENDING" if is_open && last == Some(request.id) => {}
                _ => {
                    let at = request.updated_at;
                    let by = Actor::System;
                    self.tell(at, i64::MAX, DonorQueryEvent::CallRequestCancelled { request: id, by, at });
                }
            }
        }
    }

    /// The call that answers an accepted request, as its message says.
    fn answering(&self, request: &OldRequest) -> Option<&OldCall> {
        let message = self.life.messages.iter().find(|message| message.call_request_id == Some(request.id))?;
        self.life.calls.iter().find(|call| Some(call.id) == message.call_session_id)
    }

    /// Calls come one after the other: one that was still going on when the next began ends there.
    fn calls(&mut self) {
        for (index, call) in self.life.calls.iter().enumerate() {
            let next = self.life.calls.get(index + 1).map(|next| next.created_at);
            self.call_begins(call);
            if let Some(at) = call.started_at {
                let at = at.max(call.created_at);
                let by = Actor::System;
                self.tell_of_call(at, 1, CallId::new(call.id), CallSessionEvent::CallStarted { by, at });
            }
            self.call_ends(call, next);
        }
    }

    fn call_begins(&mut self, call: &OldCall) {
        let (id, room, at) = (CallId::new(call.id), RoomName::new(call.room_name.clone()), call.created_at);
        let mode = mode(call.call_type.as_deref().or(call.mode.as_deref()));
        let by = match call.admin_id {
            Some(admin) => Actor::Staff(self.staff(Some(admin))),
            None => Actor::Donor { id: DonorId::new(self.life.query.donor_id.clone()) },
        };
        let request =
            self.life.requests.iter().find(|request| self.answering(request).is_some_and(|c| c.id == call.id));
        let request = request.map(|request| (CallRequestId::new(request.id), self.staff(request.admin_id)));
        if let Some((request, by)) = request.clone() {
            self.tell(at, 1, DonorQueryEvent::CallRequestAccepted { request, call: id, by, at });
        }
        let message = self.message_about(|message| message.call_session_id == Some(call.id));
        self.tell(
            at,
            2,
            DonorQueryEvent::CallAttached { call: id, room: room.clone(), mode, message, by: by.clone(), at },
        );
        self.tell_of_call(
            at,
            0,
            id,
            CallSessionEvent::CallCreated {
                query: QueryId::new(self.life.query.id),
                donor_id: DonorId::new(self.life.query.donor_id.clone()),
                request: request.map(|(request, _)| request),
                room,
                room_url: String::new(),
                provider: "old".to_owned(),
                mode,
                by,
                expires_at: at + ROOM_LIFE,
                at,
            },
        );
    }

    /// Every call of the old desk is over: its rooms and tokens do not move.
    fn call_ends(&mut self, call: &OldCall, next: Option<DateTime<Utc>>) {
        let (reason, at) = match (call.status.as_str(), call.ended_at) {
            ("ENDED", Some(at)) => (EndReason::HungUp, at),
            _ => (EndReason::Expired, call.created_at + ROOM_LIFE),
        };
        let at = next.map_or(at, |next| at.min(next)).max(call.created_at);
        let (id, by) = (CallId::new(call.id), Actor::System);
        // Before the next call begins, but never before this one did.
        let rank = if at == call.created_at { 3 } else { -1 };
        self.tell(at, rank, DonorQueryEvent::CallDetached { call: id, reason, by: by.clone(), at });
        self.tell_of_call(at, i64::MAX, id, CallSessionEvent::CallEnded { reason, by, at });
    }

    fn message_about(&self, is_it: impl Fn(&OldMessage) -> bool) -> MessageId {
        // A message that does not exist is never found, so revising it changes nothing.
        MessageId::new(self.life.messages.iter().find(|message| is_it(message)).map_or(0, |message| message.id))
    }

    /// Who took the query and to whom it was handed, when the desk's own messages say so.
    fn holder(&mut self) {
        let query = &self.life.query;
        if let Some(holder) = query.assigned_to_id {
            let at = self.announced("accepted by").unwrap_or(query.created_at);
            self.tell(at, 0, DonorQueryEvent::QueryAccepted { by: self.staff(Some(holder)), at });
        }
        if query.transferred_to_user_id.is_some() || query.status == QueryStatus::Transferred.as_str() {
            let at = self.announced("transferred to").unwrap_or(query.updated_at);
            let transferred = self.transferred(at);
            self.tell(at, 0, transferred);
        }
    }

    fn transferred(&self, at: DateTime<Utc>) -> DonorQueryEvent {
        let query = &self.life.query;
        let mut to = self.staff(query.transferred_to_user_id);
        if to.id == NOBODY {
            to.name = query.transferred_to.clone().unwrap_or(to.name);
        }
        DonorQueryEvent::QueryTransferred {
            by: self.staff(None),
            from: query.assigned_to_id.map(|holder| self.staff(Some(holder))),
            to,
            note: query.transfer_note.clone().map(Personal::Known),
            at,
        }
    }

    /// When the desk last said something in a query.
    fn announced(&self, words: &str) -> Option<DateTime<Utc>> {
        let told = self.life.messages.iter().filter(|message| {
            message.message_type == MessageType::System.as_str() && message.content.to_lowercase().contains(words)
        });
        told.map(|message| message.created_at).max()
    }

    /// Corrections of details that were made since the query was imported.
    fn edits(&mut self, known: &Known) {
        let Some(before) = &known.details else { return };
        let (query, at) = (&self.life.query, self.life.query.updated_at);
        let changed = |before: &str, now: &String| (before != now).then(|| now.clone());
        let edited = (
            changed(&before.donor, &query.donor).map(Personal::Known),
            changed(&before.test, &query.test),
            changed(&before.stage, &query.stage),
            changed(&before.device, &query.device),
        );
        if edited != (None, None, None, None) {
            let (donor, test, stage, device) = edited;
            let by = self.staff(None);
            self.tell(at, 0, DonorQueryEvent::QueryEdited { by, donor, test, stage, device, at });
        }
    }

    /// What leads from where the story stands to where the row does.
    fn end(&self, state: &DonorQuery) -> Vec<Fact> {
        let query = &self.life.query;
        let (Some(wanted), Some(stands)) = (QueryStatus::parse(&query.status), state.status()) else { return vec![] };
        if wanted == stands {
            return vec![];
        }
        let last = self.told.iter().map(|told| told.at).max().unwrap_or(query.created_at);
        let at = query.updated_at.max(last);
        let reopened = (stands == QueryStatus::Resolved).then(|| {
            let holder = self.staff(query.assigned_to_id);
            DonorQueryEvent::QueryReopened { by: self.staff(None), holder, at }
        });
        let stands = if reopened.is_some() { QueryStatus::InProgress } else { stands };
        let led = (wanted != stands).then(|| match wanted {
            QueryStatus::InProgress => DonorQueryEvent::QueryMarkedInProgress { by: Actor::System, at },
            QueryStatus::PendingReply => {
                let by = Actor::Donor { id: DonorId::new(query.donor_id.clone()) };
                DonorQueryEvent::QueryMarkedPendingReply { by, at }
            }
            QueryStatus::Transferred => self.transferred(at),
            QueryStatus::Resolved => match query.resolved_by_id {
                Some(by) => DonorQueryEvent::QueryResolved { by: self.staff(Some(by)), at },
                None => DonorQueryEvent::QueryClosedByDonor { at },
            },
        });
        reopened.into_iter().chain(led).map(|event| self.about_query(event)).collect()
    }

    fn staff(&self, id: Option<i64>) -> StaffRef {
        let name = id.and_then(|id| self.names.get(&id)).cloned();
        StaffRef { id: UserId::new(id.unwrap_or_default()), name: name.unwrap_or_else(|| UNKNOWN.to_owned()) }
    }
}

fn message_type(message: &OldMessage) -> MessageType {
    MessageType::parse(&message.message_type).unwrap_or(MessageType::Chat)
}

fn mode(word: Option<&str>) -> CallMode {
    word.and_then(CallMode::parse).unwrap_or(CallMode::Video)
}
