//! What notes say. Pure: the same alert and facts give the same note.
//!
//! `data.type` is a word that the reader's app knows: the dashboard's words for staff, the donor apps' for donors. A note
//! fits into the 4096 bytes that Firebase carries whatever people wrote: every text of theirs is cut.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregates::donor_query::event::Author;
use aggregates::ids::MessageId;
use aggregates::people::{Actor, StaffRef};
use aggregates::policy::Alert;
use aggregates::vocabulary::{CallMode, CallRequestStatus, CallStatus, QueryStatus};
use chrono::{DateTime, SecondsFormat, Utc};

use super::{Note, NoteKind};
use crate::integrations::{MessageFacts, QueryFacts};

/// The most characters of a text that somebody wrote.
const LONGEST: usize = 100;
/// How long a call may be on its way to a device: nobody lets it ring longer.
const RINGS: Duration = Duration::from_secs(30);
/// Who speaks when nobody in particular does.
const DESK: &str = "Support";

/// Who reads a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody who works at the desk.
    Staff,
    /// The donor whose query it is.
    Donor,
}

type Data = BTreeMap<&'static str, String>;

/// The note that tells `reader` of something.
pub fn note(reader: Reader, alert: &Alert, facts: &QueryFacts) -> Note {
    let (kind, title, body) = words(reader, alert, facts);
    let mut data = about(reader, facts);
    data.insert("type", word(reader, alert).to_owned());
    data.extend(details(reader, alert, facts));
    Note { title, body, data, kind, is_private: false }
}

/// The note that tells a staff member what a colleague said to them, about no query.
pub fn note_from_colleague(id: MessageId, message: &MessageFacts, at: DateTime<Utc>) -> Note {
    let mut data = of_message(id, message, DESK);
    data.insert("type", "new_message".to_owned());
    data.insert("timestamp", at.to_rfc3339_opts(SecondsFormat::Millis, true));
    let title = format!("New message from {}", sender(message, DESK));
    Note { title, body: spoken_words(message, DESK), data, kind: NoteKind::Ordinary, is_private: true }
}

/// What the reader's app calls it.
const fn word(reader: Reader, alert: &Alert) -> &'static str {
    match alert {
        Alert::QueryOpened => "new_query",
        Alert::QueryTransferred { .. } => "query_transferred",
        Alert::QueryReminded { .. } => "query_assigned",
        Alert::QueryAccepted { .. }
        | Alert::QueryResolved { .. }
        | Alert::QueryClosedByDonor
        | Alert::QueryReopened { .. } => "query_status_changed",
        Alert::MessagePosted { .. } | Alert::ChatMessagePosted { .. } => match reader {
            Reader::Staff => "new_message",
            Reader::Donor => "message",
        },
        Alert::CallRequested { .. } => match reader {
            Reader::Staff => "call_requested",
            Reader::Donor => "call_request",
        },
        Alert::CallAttached { .. } => match reader {
            Reader::Staff => "call_status_changed",
            Reader::Donor => "direct_call_started",
        },
        Alert::CallRequestRejected { .. } | Alert::CallRequestCancelled { .. } | Alert::CallDetached { .. } => {
            "call_status_changed"
        }
    }
}

/// How it is taken, its title and its text.
fn words(reader: Reader, alert: &Alert, facts: &QueryFacts) -> (NoteKind, String, String) {
    let (donor, query) = (cut(&facts.donor), facts.query);
    let shown = |title: String, body: String| (NoteKind::Ordinary, title, body);
    let named = |by: &StaffRef| cut(&by.name);
    match alert {
        Alert::QueryOpened => shown("New query".to_owned(), format!("{donor} needs help with {}", cut(&facts.test))),
        Alert::QueryAccepted { by } => {
            shown("Your query was accepted".to_owned(), format!("{} takes care of it", named(by)))
        }
        Alert::QueryTransferred { by } => {
            shown(format!("Query {query} is yours now"), format!("{} handed over the query of {donor}", named(by)))
        }
        Alert::QueryReminded { by } => {
            shown(format!("Query {query} waits for you"), format!("{} reminds you of {donor}", named(by)))
        }
        Alert::QueryResolved { by } => shown(owned("resolved", reader, facts), format!("{} resolved it", named(by))),
        Alert::QueryClosedByDonor => shown(owned("closed", reader, facts), format!("{donor} closed it")),
        Alert::QueryReopened { by } => shown(owned("opened again", reader, facts), format!("{} opened it", named(by))),
        Alert::MessagePosted { .. } | Alert::ChatMessagePosted { .. } => {
            shown(message_title(reader, facts), message_body(facts))
        }
        Alert::CallRequested { mode, .. } => {
            let body = format!("{donor} asks for a call: {}", spoken(*mode));
            (NoteKind::CallRequest, format!("Call request for query {query}"), body)
        }
        Alert::CallRequestRejected { by, .. } => {
            shown("No call for now".to_owned(), format!("{} declined your call request", named(by)))
        }
        Alert::CallAttached { mode, by, .. } => {
            let title = format!("Incoming call: {}", spoken(*mode));
            (NoteKind::Call { ttl: RINGS }, title, format!("{} is calling", caller(by, facts)))
        }
        Alert::CallRequestCancelled { .. } | Alert::CallDetached { .. } => {
            (NoteKind::Silent, String::new(), String::new())
        }
    }
}

/// What every note says about its query.
fn about(reader: Reader, facts: &QueryFacts) -> Data {
    let mut data = Data::from([
        ("queryId", facts.query.to_string()),
        ("donorId", facts.donor_id.to_string()),
        ("status", facts.status.to_string()),
        ("timestamp", facts.at.to_rfc3339_opts(SecondsFormat::Millis, true)),
    ]);
    match reader {
        Reader::Staff => data.extend([("donor", cut(&facts.donor)), ("test", cut(&facts.test))]),
        Reader::Donor => {}
    }
    data
}

/// What only this alert has to say. `status` becomes that of a call or request where it is about one, and what is told is
/// told as it was, whatever became of the query since.
fn details(reader: Reader, alert: &Alert, facts: &QueryFacts) -> Data {
    match alert {
        Alert::QueryAccepted { by }
        | Alert::QueryTransferred { by }
        | Alert::QueryReminded { by }
        | Alert::QueryReopened { by } => Data::from([("sender", cut(&by.name))]),
        Alert::QueryResolved { by } => {
            Data::from([("sender", cut(&by.name)), ("status", QueryStatus::Resolved.to_string())])
        }
        Alert::QueryClosedByDonor => Data::from([("status", QueryStatus::Resolved.to_string())]),
        Alert::QueryOpened => Data::new(),
        Alert::MessagePosted { message } | Alert::ChatMessagePosted { message } => match &facts.message {
            Some(said) => of_message(*message, said, &facts.donor),
            None => Data::from([("messageId", message.to_string())]),
        },
        Alert::CallRequested { request, mode } => Data::from([
            ("callRequestId", request.to_string()),
            ("mode", mode.to_string()),
            ("callType", mode.call_type().to_owned()),
            ("status", CallRequestStatus::Pending.to_string()),
            ("sender", cut(&facts.donor)),
        ]),
        Alert::CallRequestRejected { request, by } => Data::from([
            ("callRequestId", request.to_string()),
            ("status", CallRequestStatus::Rejected.to_string()),
            ("sender", cut(&by.name)),
        ]),
        Alert::CallRequestCancelled { request } => {
            Data::from([("callRequestId", request.to_string()), ("status", CallRequestStatus::Cancelled.to_string())])
        }
        Alert::CallAttached { call, room, mode, by } => {
            let mut data = Data::from([
                ("callId", room.to_string()),
                ("callSessionId", call.to_string()),
                ("callType", mode.call_type().to_owned()),
                ("mode", mode.to_string()),
                ("status", CallStatus::Created.to_string()),
                ("callerName", caller(by, facts)),
                ("sender", caller(by, facts)),
            ]);
            if reader == Reader::Donor {
                // Donor apps count from it how long it has been ringing.
                data.insert("timestamp", facts.at.timestamp_millis().to_string());
            }
            data
        }
        Alert::CallDetached { call } => {
            Data::from([("callSessionId", call.to_string()), ("status", CallStatus::Ended.to_string())])
        }
    }
}

fn of_message(id: MessageId, message: &MessageFacts, donor: &str) -> Data {
    let (sender_id, sender_type) = match &message.author {
        Author::Staff(by) => (by.id.to_string(), "ADMIN"),
        Author::Donor => (String::new(), "DONOR"),
        Author::System => (String::new(), "SYSTEM"),
    };
    let sender = sender(message, donor);
    Data::from([
        ("messageId", id.to_string()),
        ("senderId", sender_id),
        ("senderType", sender_type.to_owned()),
        ("senderName", sender.clone()),
        ("sender", sender),
        ("messageType", message.message_type.to_string()),
    ])
}

fn message_title(reader: Reader, facts: &QueryFacts) -> String {
    match reader {
        Reader::Staff => format!("New message in query {}", facts.query),
        Reader::Donor => "New message".to_owned(),
    }
}

fn message_body(facts: &QueryFacts) -> String {
    facts.message.as_ref().map(|message| spoken_words(message, &facts.donor)).unwrap_or_default()
}

fn spoken_words(message: &MessageFacts, donor: &str) -> String {
    format!("{}: {}", sender(message, donor), cut(&message.content))
}

fn sender(message: &MessageFacts, donor: &str) -> String {
    match &message.author {
        Author::Staff(by) => cut(&by.name),
        Author::Donor => cut(donor),
        Author::System => DESK.to_owned(),
    }
}

fn caller(by: &Actor, facts: &QueryFacts) -> String {
    match by {
        Actor::Staff(by) => cut(&by.name),
        Actor::Donor { .. } => cut(&facts.donor),
        Actor::System => DESK.to_owned(),
    }
}

fn owned(what: &str, reader: Reader, facts: &QueryFacts) -> String {
    match reader {
        Reader::Staff => format!("Query {} was {what}", facts.query),
        Reader::Donor => format!("Your query was {what}"),
    }
}

const fn spoken(mode: CallMode) -> &'static str {
    match mode {
        CallMode::Video => "video",
        CallMode::Audio => "audio",
        CallMode::Screen => "shared screen",
    }
}

/// The first characters of a text, on one line.
fn cut(text: &str) -> String {
    let flat = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut letters = text.trim().chars().map(flat);
    let mut cut: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
#[path = "notes_tests.rs"]
mod tests;
