//! Firebase: the exchange of tokens, what is sent, and what answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use proof_concierge::config::{PushCarrier, Secret};
use proof_concierge::integrations::Outcome;
use proof_concierge::integrations::push::{Note, NoteKind, Push, Target, TargetKind};
use serde_json::{Value, json};

use super::{failed, no_outbox, sent, why};
use crate::stubs::fcm::{FcmStub, Say, fault, fault_after, private_key};
use crate::support::servers::scratch;

fn push(settings: &PushCarrier) -> Push {
    Push::new(settings, no_outbox()).unwrap()
}

fn device(token: &str) -> Target {
    Target { kind: TargetKind::Token, value: Secret::new(token) }
}

fn note(kind: NoteKind) -> Note {
    let data = BTreeMap::from([("type", "new_message".to_owned()), ("queryId", "17".to_owned())]);
    Note { title: "New message".to_owned(), body: "Dora: hello".to_owned(), data, kind, is_private: false }
}

#[tokio::test]
async fn a_note_arrives_with_a_token_that_was_exchanged_once() {
    let stub = FcmStub::start().await;
    let push = push(&stub.settings());
    assert!(!push.is_local());
    let outcome = push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    assert_eq!(outcome, sent("projects/proof-concierge-test/messages/1"));
    let fid = Target { kind: TargetKind::Fid, value: Secret::new("f-2") };
    push.send(&fid, &note(NoteKind::Ordinary)).await;

    let messages = stub.messages();
    assert_eq!((&messages[0]["token"], &messages[1]["fid"]), (&json!("t-1"), &json!("f-2")));
    assert_eq!(messages[0]["notification"], json!({ "title": "New message", "body": "Dora: hello" }));
    assert_eq!(messages[0]["data"], json!({ "type": "new_message", "queryId": "17" }));
    assert_eq!(messages[0]["android"]["notification"]["channel_id"], "messages");
    assert_eq!((stub.exchanges(), stub.refused()), (1, 0));
}

#[tokio::test]
async fn a_call_rings_loudly_and_not_for_long() {
    let stub = FcmStub::start().await;
    let before = chrono::Utc::now().timestamp();
    let ringing = note(NoteKind::Call { ttl: Duration::from_secs(30) });
    push(&stub.settings()).send(&device("t-1"), &ringing).await;
    let message = stub.messages().remove(0);
    let (android, apns) = (&message["android"], &message["apns"]);
    assert_eq!((&android["priority"], &android["ttl"]), (&json!("HIGH"), &json!("30s")));
    assert_eq!(android["notification"]["channel_id"], "calls");
    assert_eq!(
        (&apns["headers"]["apns-priority"], &apns["payload"]["aps"]["category"]),
        (&json!("10"), &json!("CALL"))
    );
    let expires: i64 = apns["headers"]["apns-expiration"].as_str().unwrap().parse().unwrap();
    assert!((before + 30..=before + 40).contains(&expires), "{expires}, {before}");
}

#[tokio::test]
async fn a_silent_note_shows_nothing() {
    let stub = FcmStub::start().await;
    push(&stub.settings()).send(&device("t-1"), &note(NoteKind::Silent)).await;
    let message = stub.messages().remove(0);
    assert_eq!((message.get("notification"), message["android"].get("notification")), (None, None));
    assert_eq!(message["apns"]["headers"]["apns-push-type"], "background");
    assert_eq!(message["apns"]["headers"]["apns-priority"], "5");
}

#[tokio::test]
async fn many_who_send_at_once_share_one_exchange() {
    let stub = FcmStub::start().await;
    let push = push(&stub.settings());
    let (targets, note): (Vec<_>, _) =
        ((0..200).map(|n| device(&format!("t-{n}"))).collect(), note(NoteKind::Ordinary));
    let outcomes = join_all(targets.iter().map(|target| push.send(target, &note))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Sent { .. })), "{outcomes:?}");
    assert_eq!((stub.messages().len(), stub.exchanges()), (200, 1));
}

#[tokio::test]
async fn a_token_about_to_end_is_not_used() {
    let stub = FcmStub::with_lifetime(59).await;
    let push = push(&stub.settings());
    for _ in 0..2 {
        push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    }
    assert_eq!((stub.messages().len(), stub.exchanges()), (2, 2));
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once() {
    let stub = FcmStub::start().await;
    let push = push(&stub.settings());
    push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    stub.revoke();
    let outcome = push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    assert_eq!(outcome, sent("projects/proof-concierge-test/messages/2"));
    assert_eq!(stub.exchanges(), 2);

    let refused = || Say::Fault(401, None, json!({ "error": { "status": "UNAUTHENTICATED" } }));
    stub.answer(refused());
    stub.answer(refused());
    let outcome = push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    assert_eq!(outcome, failed("FCM refuses the service account"));
    assert_eq!(stub.exchanges(), 3);
}

#[tokio::test]
async fn every_error_has_its_consequence() {
    let stub = FcmStub::start().await;
    let push = push(&stub.settings());
    let later = |seconds: Option<u64>, why: &str| Outcome::Later {
        after: seconds.map(Duration::from_secs),
        why: why.to_owned(),
    };
    for (say, expected) in [
        (fault(404, "UNREGISTERED"), Outcome::Gone),
        (fault(403, "SENDER_ID_MISMATCH"), Outcome::Gone),
        (fault(400, "INVALID_ARGUMENT"), failed("FCM answered 400 INVALID_ARGUMENT")),
        (fault(429, "QUOTA_EXCEEDED"), later(Some(60), "FCM answered 429 QUOTA_EXCEEDED")),
        (fault_after(429, "QUOTA_EXCEEDED", Some(90)), later(Some(90), "FCM answered 429 QUOTA_EXCEEDED")),
        (fault_after(503, "UNAVAILABLE", Some(3)), later(Some(3), "FCM answered 503 UNAVAILABLE")),
        (fault(500, "INTERNAL"), later(None, "FCM answered 500 INTERNAL")),
    ] {
        stub.answer(say);
        assert_eq!(push.send(&device("t-1"), &note(NoteKind::Ordinary)).await, expected);
    }
    stub.answer(fault(401, "THIRD_PARTY_AUTH_ERROR"));
    let outcome = push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    assert!(matches!(outcome, Outcome::Failed { .. }) && why(&outcome).contains("THIRD_PARTY_AUTH_ERROR"));
    assert_eq!((stub.messages().len(), stub.exchanges()), (0, 1));
}

#[tokio::test]
async fn nonsense_of_ours_names_the_field_and_not_the_value() {
    let stub = FcmStub::start().await;
    let mut note = note(NoteKind::Ordinary);
    note.data.insert("from", "Dora".to_owned());
    let outcome = push(&stub.settings()).send(&device("t-1"), &note).await;
    assert_eq!(outcome, failed("FCM answered 400 INVALID_ARGUMENT: message.data"));
}

#[tokio::test]
async fn a_service_that_says_nothing_is_tried_again_later() {
    let stub = FcmStub::start().await;
    let push = push(&PushCarrier { timeout_ms: 200, ..stub.settings() });
    push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    stub.answer(Say::Nothing);
    let outcome = push.send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    assert_eq!(outcome, Outcome::Later { after: None, why: "FCM did not answer in time".to_owned() });
}

#[tokio::test]
async fn a_failed_exchange_is_shared_and_tells_bad_days_from_bad_keys() {
    let stub = FcmStub::start().await;
    let push = push(&PushCarrier { timeout_ms: 500, ..stub.settings() });
    stub.answer_exchange(Say::Nothing);
    let (target, ordinary) = (device("t-1"), note(NoteKind::Ordinary));
    let outcomes = join_all((0..8).map(|_| push.send(&target, &ordinary))).await;
    assert!(outcomes.iter().all(|outcome| why(outcome) == "the token service did not answer in time"), "{outcomes:?}");
    assert_eq!(stub.refused(), 1);

    stub.answer_exchange(Say::Fault(503, Some(5), Value::Null));
    let outcome = push.send(&target, &ordinary).await;
    let after = Some(Duration::from_secs(5));
    assert_eq!(outcome, Outcome::Later { after, why: "the token service answered 503".to_owned() });
    stub.answer_exchange(Say::Fault(400, None, json!({ "error": "invalid_grant" })));
    let outcome = push.send(&target, &ordinary).await;
    assert_eq!(outcome, failed("the token service refuses the service account (400)"));
    assert!(matches!(push.send(&target, &ordinary).await, Outcome::Sent { .. }), "a refusal is not kept");
}

#[tokio::test]
async fn an_account_is_read_from_a_file_and_from_the_old_three_parts() {
    let stub = FcmStub::start().await;
    let path = scratch("key.json");
    std::fs::write(&path, stub.key_file().to_string()).unwrap();
    let settings = PushCarrier { fcm_service_account: Secret::new(path.to_str().unwrap()), ..stub.settings() };
    let outcome = push(&settings).send(&device("t-1"), &note(NoteKind::Ordinary)).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");

    let parts = PushCarrier {
        firebase_project_id: "a-project".to_owned(),
        firebase_client_email: "desk@a-project.iam.gserviceaccount.com".to_owned(),
        firebase_private_key: Secret::new(format!("\"{}\"", private_key().replace('\n', "\\n"))),
        ..PushCarrier::default()
    };
    assert!(!push(&parts).is_local());
    let incomplete = PushCarrier { firebase_project_id: String::new(), ..parts };
    let error = Push::new(&incomplete, no_outbox()).unwrap_err();
    assert!(error.to_string().contains("go together"), "{error}");
}

#[tokio::test]
async fn a_bad_key_file_stops_the_start_and_is_not_quoted() {
    let stub = FcmStub::start().await;
    let mut file = stub.key_file();
    file["private_key"] = json!("a secret that is no key");
    let no_project = json!({ "project_id": "../else", "client_email": "x", "private_key": private_key() });
    for text in
        [file.to_string(), no_project.to_string(), "{\"private_key\": \"a secret".to_owned(), "/no/secret".to_owned()]
    {
        let settings = PushCarrier { fcm_service_account: Secret::new(text), ..PushCarrier::default() };
        let error = Push::new(&settings, no_outbox()).unwrap_err().to_string();
        assert!(error.contains("service account") && !error.contains("secret"), "{error}");
    }
}
