//! How facts are stored. `snapshots/` holds one JSON per fact: a changed file means a new version and an upcaster.

use std::collections::BTreeSet;

use cqrs_es::persist::SerializedEvent;
use serde_json::{Value, json};

use crate::call_session::CallSessionEvent;
use crate::donor_query::DonorQueryEvent;
use crate::ids::{CallRequestId, MessageId};
use crate::personal::Personal;
use crate::recorded::{Event, StreamId};
use crate::staff_chat::StaffChatEvent;
use crate::testing::{NOON, QUERY, opened, samples};
use crate::upcast::upcasters;
use crate::vocabulary::CallMode;

fn stored(event: &Event) -> Value {
    match event {
        Event::DonorQuery(event) => serde_json::to_value(event),
        Event::CallSession(event) => serde_json::to_value(event),
        Event::StaffChat(event) => serde_json::to_value(event),
    }
    .expect("a fact is plain data")
}

/// As the log reads a fact of a donor query, lifted to the version of today.
fn read(event_type: &str, event_version: &str, payload: Value) -> DonorQueryEvent {
    let stream = StreamId::DonorQuery(QUERY);
    let old = SerializedEvent {
        aggregate_id: stream.aggregate_id(),
        sequence: 1,
        aggregate_type: stream.aggregate_type().to_owned(),
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        payload,
        metadata: json!({}),
    };
    let lifted = upcasters().iter().fold(old, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    });
    serde_json::from_value(lifted.payload).expect("a lifted fact reads as one of today")
}

#[test]
fn every_fact_is_stored_as_its_snapshot_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for event in samples() {
            let stored = json!({ "event_version": event.version(), "payload": stored(&event) });
            insta::assert_json_snapshot!(event.name(), stored);
        }
    });
}

#[test]
fn every_fact_reads_back_as_it_was_stored() {
    for event in samples() {
        let read = match &event {
            Event::DonorQuery(_) => serde_json::from_value(stored(&event)).map(Event::DonorQuery),
            Event::CallSession(_) => serde_json::from_value(stored(&event)).map(Event::CallSession),
            Event::StaffChat(_) => serde_json::from_value(stored(&event)).map(Event::StaffChat),
        };
        assert_eq!(read.expect("it was written a moment ago"), event);
    }
}

#[test]
fn a_fact_is_stored_under_the_name_it_is_known_by() {
    for event in samples() {
        let stored = stored(&event);
        let names: Vec<_> = stored.as_object().expect("a variant with fields").keys().collect();
        assert_eq!(names, [event.name()]);
    }
}

#[test]
fn there_is_a_sample_of_every_fact() {
    let sampled: BTreeSet<_> = samples().iter().map(Event::name).collect();
    let known: BTreeSet<_> =
        [variants::<DonorQueryEvent>(), variants::<CallSessionEvent>(), variants::<StaffChatEvent>()]
            .concat()
            .into_iter()
            .collect();
    assert_eq!(sampled, known.iter().map(String::as_str).collect());
}

/// The variants of an enum, as serde lists them when it meets one that is unknown.
fn variants<E: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
    let message = serde_json::from_value::<E>(json!({ "Unknown": {} })).expect_err("no fact has this name").to_string();
    let listed = message.split_once("expected ").expect("serde lists what it expected").1;
    listed.trim_start_matches("one of ").split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn a_fact_of_today_is_not_lifted() {
    for event in samples() {
        assert!(upcasters().iter().all(|upcaster| !upcaster.can_upcast(event.name(), event.version())));
    }
}

#[test]
fn a_call_request_of_version_1_kept_the_type_of_the_call() {
    let old = |call_type| json!({ "CallRequested": { "request": 9, "call_type": call_type, "message": 103, "at": "2026-03-01T12:00:00Z" } });
    let today = |mode| DonorQueryEvent::CallRequested {
        request: CallRequestId::new(9),
        mode,
        message: MessageId::new(103),
        at: NOON,
    };
    assert_eq!(read("CallRequested", "1.0", old("audio")), today(CallMode::Audio));
    assert_eq!(read("CallRequested", "1.0", old("video")), today(CallMode::Video));
}

#[test]
fn an_erased_donor_reads_as_erased() {
    let mut erased = stored(&Event::DonorQuery(opened()));
    erased["QueryOpened"]["donor"] = json!({ "$erased": true });
    let DonorQueryEvent::QueryOpened { donor, .. } = read("QueryOpened", "1.0", erased) else {
        panic!("it was stored under this name");
    };
    assert_eq!(donor, Personal::Erased(true));
    assert_eq!(donor.as_str(), "[erased]");
}
