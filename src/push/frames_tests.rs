//! Every fact has a frame for staff, and its snapshot shows what donors are told.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{MessageId, QueryId};
use aggregates::personal::Personal;
use aggregates::recorded::Event;
use aggregates::testing::{NOON, QUERY, ada, ben, chat_said, opened, recorded, reminded, samples, text, transferred};
use aggregates::vocabulary::MessageType;
use serde_json::{Value, json};

use super::*;

fn told(event: Event) -> Vec<(Room, Value)> {
    let json = |frame: &Frame| serde_json::to_value(frame).expect("a frame is plain data");
    frames(&recorded(event)).iter().map(|(room, frame)| (*room, json(frame))).collect()
}

#[test]
fn every_fact_is_told_as_its_snapshot_says() {
    for event in samples() {
        let name = event.name();
        let told = told(event);
        let by_room = |wanted: Room| told.iter().find(|(room, _)| *room == wanted).map(|(_, frame)| frame);
        let member = by_room(Room::Member(ben().id));
        let frames = match member {
            Some(member) => json!({ "member": member }),
            None => json!({ "staff": by_room(Room::Staff), "donor": by_room(Room::Query(QUERY)) }),
        };
        insta::assert_json_snapshot!(name, frames);
    }
}

#[test]
fn every_fact_of_a_query_has_exactly_one_frame_for_staff_and_at_most_one_for_the_donor() {
    for event in samples().into_iter().filter(|event| !matches!(event, Event::StaffChat(_))) {
        let rooms: Vec<Room> = told(event).into_iter().map(|(room, _)| room).collect();
        assert!(matches!(rooms[..], [Room::Staff] | [Room::Staff, Room::Query(QUERY)]), "{rooms:?}");
    }
}

#[test]
fn a_transfer_note_and_a_reminder_stay_among_staff() {
    let transfer = told(Event::DonorQuery(transferred(&ada(), &ben())));
    assert!(transfer[0].1["data"].get("note").is_some());
    assert_eq!(transfer[1].1["data"].get("note"), None);
    assert_eq!(told(Event::DonorQuery(reminded(&ada(), &ben()))).len(), 1);
}

#[test]
fn a_word_between_colleagues_stays_among_staff() {
    let said = |author: Author, recipient| {
        Event::DonorQuery(DonorQueryEvent::MessagePosted {
            message: MessageId::new(1),
            author,
            recipient,
            message_type: MessageType::Chat,
            content: text("difficult person"),
            call: None,
            request: None,
            at: NOON,
        })
    };
    for author in [Author::Staff(ada().as_ref()), Author::System] {
        assert_eq!(told(said(author.clone(), Some(ben().id))).len(), 1, "{author:?}");
        assert_eq!(told(said(author.clone(), None)).len(), 2, "{author:?}");
    }
    assert_eq!(told(said(Author::Donor, Some(ben().id))).len(), 2);
}

#[test]
fn a_chat_is_told_to_its_two_members_alone() {
    let told = told(Event::StaffChat(chat_said(&ada(), &ben(), "Lunch at one?")));
    let rooms: Vec<Room> = told.iter().map(|(room, _)| *room).collect();
    assert_eq!(rooms, [Room::Member(ada().id), Room::Member(ben().id)]);
    assert!(told.iter().all(|(_, frame)| frame.get("queryId").is_none()), "a chat is about no query");
}

#[test]
fn erased_text_is_told_as_erased() {
    let DonorQueryEvent::QueryOpened { donor_id, session, test, stage, device, at, .. } = opened() else {
        panic!("the sample opens a query");
    };
    let donor = Personal::Erased(true);
    let told =
        told(Event::DonorQuery(DonorQueryEvent::QueryOpened { donor, donor_id, session, test, stage, device, at }));
    assert!(told.iter().all(|(_, frame)| frame["data"]["donor"] == "[erased]"));
}

#[test]
fn a_session_of_donor_tokens_is_never_told() {
    let DonorQueryEvent::QueryOpened { session, .. } = opened() else { panic!("the sample opens a query") };
    let told = told(Event::DonorQuery(opened()));
    assert!(told.iter().all(|(_, frame)| !frame.to_string().contains(&session.0.to_string())));
    assert_eq!(told[1].0, Room::Query(QueryId::new(QUERY.get())));
}
