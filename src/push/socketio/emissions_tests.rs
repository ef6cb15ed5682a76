//! Every fact's events, as their snapshots show them, and who may not hear them.

use aggregates::ids::QueryId;
use aggregates::testing::{NOON, ada, ben, chat_said, opened, recorded, samples, text};
use aggregates::vocabulary::MessageType;

use super::*;
use crate::push::frames::{Room, frames};

const EVENTS_OF_THE_CONTRACT: &[&str] = &[
    "newQuery",
    "queryStatusChange",
    "queryStatusChanged",
    "newMessage",
    "enhancedMessage",
    "queryTransfer",
    "queryTransferred",
    "queryAssigned",
    "queryResolved",
    "callRequested",
    "callStarted",
    "callStatusChanged",
];

fn row() -> Option<QueryRow> {
    QueryRow::after(None, &recorded(Event::DonorQuery(opened())))
}

fn told(event: Event) -> Vec<Emission> {
    emissions(&recorded(event), row().as_ref())
}

fn value(emission: &Emission) -> Value {
    serde_json::from_str(emission.payload.get()).expect("a payload is JSON")
}

fn said(author: Author, recipient: Option<UserId>) -> Event {
    Event::DonorQuery(DonorQueryEvent::MessagePosted {
        message: MessageId::new(1),
        author,
        recipient,
        message_type: MessageType::Chat,
        content: text("Hello"),
        call: None,
        request: None,
        at: NOON,
    })
}

#[test]
fn every_fact_is_told_as_its_snapshot_says() {
    for event in samples() {
        let name = event.name();
        let told: Vec<Value> = told(event)
            .iter()
            .map(|told| json!({ "names": told.names, "to": format!("{:?}", told.to), "payload": value(told) }))
            .collect();
        insta::assert_json_snapshot!(name, told);
    }
}

#[test]
fn every_event_of_the_contract_is_told_for_some_fact() {
    let told: Vec<&str> = samples().into_iter().flat_map(told).flat_map(|told| told.names.iter().copied()).collect();
    for name in EVENTS_OF_THE_CONTRACT {
        assert!(told.contains(name), "nothing is told as {name}");
    }
}

#[test]
fn no_fact_is_told_twice_under_one_name_to_the_same_people() {
    for event in samples() {
        let told = told(event);
        let to = |told: &Emission| format!("{:?}", told.to);
        let names: Vec<_> = told.iter().flat_map(|told| told.names.iter().map(move |name| (*name, to(told)))).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{names:?}");
    }
}

#[test]
fn every_payload_says_which_query_when_and_where_in_the_log() {
    for event in samples() {
        let is_chat = matches!(event, Event::StaffChat(_));
        for told in told(event) {
            let payload = value(&told);
            for key in ["timestamp", "position"] {
                assert!(payload.get(key).is_some_and(|value| !value.is_null()), "{} has no {key}", told.names[0]);
            }
            assert_eq!(payload["queryId"].is_null(), is_chat, "{}", told.names[0]);
        }
    }
}

#[test]
fn donors_hear_nothing_that_the_feed_keeps_from_them() {
    let whispers = [said(Author::Staff(ada().as_ref()), Some(ben().id)), said(Author::System, Some(ben().id))];
    for event in samples().into_iter().chain(whispers) {
        let recorded = recorded(event);
        let is_for_donor = frames(&recorded).iter().any(|(room, _)| matches!(room, Room::Query(_)));
        let reaches_donor = emissions(&recorded, None).iter().any(|told| matches!(told.to, To::Everybody | To::Room));
        assert!(is_for_donor || !reaches_donor, "{}", recorded.event.name());
    }
}

#[test]
fn a_transfer_note_stays_among_staff() {
    for told in samples().into_iter().flat_map(told).filter(|told| matches!(told.to, To::Everybody | To::Room)) {
        let payload = value(&told);
        assert_eq!(payload.get("transferNote"), None, "{}", told.names[0]);
        assert_eq!(payload.pointer("/callSession/query/transferNote").filter(|note| !note.is_null()), None);
    }
}

#[test]
fn a_message_says_who_said_it_in_the_words_of_every_client() {
    let of = |author| value(&told(said(author, None))[0]);
    let staff = of(Author::Staff(ada().as_ref()));
    assert_eq!((&staff["senderType"], &staff["isFromAdmin"]), (&json!("ADMIN"), &json!(true)));
    assert_eq!((&staff["sender"]["name"], &staff["senderName"]), (&json!("Ada"), &json!("Ada")));
    let row = row().expect("the sample opens a query");
    let donor = of(Author::Donor);
    assert_eq!(donor["sender"], json!({ "donorId": row.donor_id, "name": row.donor }));
    assert_eq!((&donor["senderId"], &donor["isFromAdmin"]), (&json!(0), &json!(false)));
    assert_eq!(of(Author::System)["sender"], json!({ "system": true }));
}

#[test]
fn a_chat_is_a_message_without_a_query_for_its_two_members() {
    let told = told(Event::StaffChat(chat_said(&ada(), &ben(), "Lunch at one?")));
    let to: Vec<To> = told.iter().map(|told| told.to).collect();
    assert_eq!(to, [To::Member(ada().id), To::Member(ben().id)]);
    for emission in &told {
        let payload = value(emission);
        assert_eq!((&payload["queryId"], &payload["recipientId"]), (&Value::Null, &json!(ben().id)));
    }
}

#[test]
fn a_call_that_a_donor_begins_is_told_as_a_direct_call() {
    let begun = samples().into_iter().find_map(|event| match event {
        Event::CallSession(CallSessionEvent::CallCreated {
            query,
            donor_id,
            room,
            room_url,
            provider,
            mode,
            expires_at,
            at,
            ..
        }) => {
            let by = Actor::Donor { id: donor_id.clone() };
            let request = None;
            Some(CallSessionEvent::CallCreated {
                query,
                donor_id,
                request,
                room,
                room_url,
                provider,
                mode,
                by,
                expires_at,
                at,
            })
        }
        Event::CallSession(_) | Event::DonorQuery(_) | Event::StaffChat(_) => None,
    });
    let begun = RecordedEvent {
        stream: StreamId::CallSession(CallId::new(5)),
        ..recorded(Event::CallSession(begun.expect("a call is among the samples")))
    };
    let told = emissions(&begun, row().as_ref());
    assert_eq!(told[0].names, ["directCallStarted"]);
    assert_eq!((&value(&told[0])["adminId"], &value(&told[1])["changedBy"]), (&Value::Null, &json!("Donor")));
}

#[test]
fn what_the_row_would_say_is_null_without_it() {
    let posted = recorded(said(Author::Donor, None));
    let told = value(&emissions(&posted, None)[0]);
    assert_eq!((&told["senderName"], &told["sender"]["donorId"]), (&Value::Null, &Value::Null));
    assert_eq!(told["queryId"], json!(QueryId::get(posted.query)));
}

#[test]
fn who_hears_a_fact_that_needs_its_query_is_known_without_it() {
    for event in samples() {
        let needed = needs_query(&event);
        let recorded = recorded(event);
        let (with, without) = (emissions(&recorded, row().as_ref()), emissions(&recorded, None));
        let differs = with.iter().zip(&without).any(|(with, without)| with.payload.get() != without.payload.get());
        assert_eq!(differs, needed.is_some(), "{}", recorded.event.name());
        assert!(needed.is_none_or(|to| with.iter().all(|told| told.to == to)), "{}", recorded.event.name());
    }
}
