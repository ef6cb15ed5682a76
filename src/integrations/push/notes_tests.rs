//! Every note, for both readers, as its snapshot says.

use aggregates::ids::{DonorId, RoomName};
use aggregates::testing::{CALL, MESSAGE, NOON, QUERY, REQUEST, ada, donor, staff};
use aggregates::vocabulary::MessageType;
use serde_json::json;

use super::*;

fn facts(said: &str, author: Author) -> QueryFacts {
    QueryFacts {
        query: QUERY,
        donor_id: DonorId::new("d-1"),
        donor: "Dora".to_owned(),
        test: "Cheek swab".to_owned(),
        stage: "Collection".to_owned(),
        device: "iPhone 15".to_owned(),
        status: QueryStatus::InProgress,
        at: NOON,
        words: None,
        message: Some(MessageFacts { content: said.to_owned(), author, message_type: MessageType::Query }),
    }
}

/// Every alert as the reader may hear of it: staff of what the donor does, the donor of what staff do.
fn alerts(reader: Reader) -> Vec<(&'static str, Alert)> {
    let by = ada().as_ref();
    let caller = match reader {
        Reader::Staff => donor(),
        Reader::Donor => staff(&ada()),
    };
    let call =
        Alert::CallAttached { call: CALL, room: RoomName::new("quiet-otter"), mode: CallMode::Screen, by: caller };
    vec![
        ("query_opened", Alert::QueryOpened),
        ("query_accepted", Alert::QueryAccepted { by: by.clone() }),
        ("query_transferred", Alert::QueryTransferred { by: by.clone() }),
        ("query_reminded", Alert::QueryReminded { by: by.clone() }),
        ("query_resolved", Alert::QueryResolved { by: by.clone() }),
        ("query_closed_by_donor", Alert::QueryClosedByDonor),
        ("query_reopened", Alert::QueryReopened { by: by.clone() }),
        ("message_posted", Alert::MessagePosted { message: MESSAGE }),
        ("call_requested", Alert::CallRequested { request: REQUEST, mode: CallMode::Video }),
        ("call_request_rejected", Alert::CallRequestRejected { request: REQUEST, by }),
        ("call_request_cancelled", Alert::CallRequestCancelled { request: REQUEST }),
        ("call_attached", call),
        ("call_detached", Alert::CallDetached { call: CALL }),
    ]
}

fn author(reader: Reader) -> Author {
    match reader {
        Reader::Staff => Author::Donor,
        Reader::Donor => Author::Staff(ada().as_ref()),
    }
}

#[test]
fn every_note_says_what_its_snapshot_says() {
    let of = |reader, alert: &Alert| {
        let note = note(reader, alert, &facts("Where does the sample go?", author(reader)));
        json!({ "title": note.title, "body": note.body, "kind": format!("{:?}", note.kind), "data": note.data })
    };
    for ((name, to_staff), (_, to_donor)) in alerts(Reader::Staff).into_iter().zip(alerts(Reader::Donor)) {
        let notes = json!({ "staff": of(Reader::Staff, &to_staff), "donor": of(Reader::Donor, &to_donor) });
        insta::assert_json_snapshot!(name, notes);
    }
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let told =
        |said: &str| note(Reader::Staff, &Alert::MessagePosted { message: MESSAGE }, &facts(said, Author::Donor));
    assert_eq!(told(&"ß".repeat(100)).body, format!("Dora: {}", "ß".repeat(100)));
    assert_eq!(told(&"ß".repeat(101)).body, format!("Dora: {}…", "ß".repeat(100)));
    assert_eq!(told("one\r\ntwo").body, "Dora: one  two");
}

#[test]
fn no_note_is_larger_than_firebase_carries() {
    // As long as the desk takes them, in characters of four bytes.
    let long = "🦦".repeat(200);
    for reader in [Reader::Staff, Reader::Donor] {
        let facts = QueryFacts {
            donor_id: DonorId::new(long.clone()),
            donor: long.clone(),
            test: long.clone(),
            ..facts(&"🦦".repeat(10_000), author(reader))
        };
        for (name, alert) in alerts(reader) {
            let note = note(reader, &alert, &facts);
            let sent = json!({ "notification": { "title": note.title, "body": note.body }, "data": note.data });
            assert!(sent.to_string().len() < 4_096, "{name}, {reader:?}: {}", sent.to_string().len());
        }
    }
}

#[test]
fn a_message_that_is_gone_is_told_without_its_words() {
    let facts = QueryFacts { message: None, ..facts("", Author::Donor) };
    let note = note(Reader::Staff, &Alert::MessagePosted { message: MESSAGE }, &facts);
    assert_eq!((note.body.as_str(), note.data["messageId"].as_str()), ("", "101"));
}

#[test]
fn a_note_from_a_colleague_is_about_no_query() {
    let message = facts("Lunch at one?", Author::Staff(ada().as_ref())).message.expect("it is one");
    let note = note_from_colleague(MESSAGE, &message, NOON);
    assert_eq!((note.title.as_str(), note.body.as_str()), ("New message from Ada", "Ada: Lunch at one?"));
    let told = |key| note.data.get(key).map(String::as_str);
    assert_eq!((told("type"), told("messageId"), told("senderId")), (Some("new_message"), Some("101"), Some("1")));
    assert_eq!((told("queryId"), told("donorId")), (None, None));
}
