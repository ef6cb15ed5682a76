//! Things mean what they say. The numbers are those of [`super::holes`].

use reqwest::Method;
use serde_json::{Value, json};

use super::markers::Seen;
use super::wire::Wire;
use crate::support::desk::{Desk, desk, query_of};

async fn cast(desk: &Desk) -> (Wire, Wire, i64) {
    let (donor, id) = desk.donor("d-1").await;
    (Wire(desk.staff("ada").await), Wire(donor), id)
}

async fn conversation(who: &Wire, id: i64) -> Vec<Value> {
    who.get(&format!("messages/query/{id}"), 200).await.at("/data").as_array().unwrap().clone()
}

/// C1: resolving failed and messages had no author, because a key of the token was missing.
#[tokio::test]
async fn whoever_acts_is_named() {
    let desk = desk().await;
    let (ada, _, id) = cast(&desk).await;
    let own = json!(desk.id_of("ada"));
    ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
    let said = ada.post(&format!("messages/admin/{id}"), json!({ "content": "Hello" }), 201).await;
    assert_eq!((said.at("/data/senderId"), said.at("/data/sender/name")), (&own, &json!("Ada")));
    let resolved = ada.post(&format!("donor-queries/{id}/resolve"), json!({}), 201).await;
    assert_eq!((resolved.at("/data/resolvedById"), resolved.at("/data/resolvedByUser/name")), (&own, &json!("Ada")));
}

/// C2: who was handed a query could neither accept nor resolve it.
#[tokio::test]
async fn who_is_handed_a_query_holds_it() {
    let desk = desk().await;
    let (ada, _, id) = cast(&desk).await;
    let ben = Wire(desk.staff("ben").await);
    let to_ben = json!({ "adminId": desk.id_of("ben") });
    for (donor, accepts_first) in [("d-1", true), ("d-2", false)] {
        let id = if donor == "d-1" { id } else { desk.donor(donor).await.1 };
        ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
        let moved = ada.patch(&format!("donor-queries/{id}/transfer"), to_ben.clone(), 200).await;
        assert_eq!(*moved.at("/data/assignedToId"), json!(desk.id_of("ben")));
        if accepts_first {
            ben.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
        }
        ada.ask(Method::PATCH, &format!("donor-queries/{id}/resolve"), None, 403).await;
        ben.ask(Method::PATCH, &format!("donor-queries/{id}/resolve"), None, 200).await;
    }
}

/// C3: a query that was open again kept who had resolved it; one that its donor closed seemed resolved by nobody.
#[tokio::test]
async fn who_resolved_a_query_is_true() {
    let desk = desk().await;
    let (ada, donor, id) = cast(&desk).await;
    let path = format!("donor-queries/{id}");
    ada.ask(Method::PATCH, &format!("{path}/accept"), None, 200).await;
    ada.ask(Method::PATCH, &format!("{path}/resolve"), None, 200).await;
    ada.ask(Method::POST, &format!("{path}/pending-reply"), None, 409).await;
    let reopened = ada.ask(Method::POST, &format!("{path}/in-progress"), None, 201).await;
    assert_eq!((reopened.at("/data/resolvedById"), reopened.at("/data/resolvedByUser")), (&Value::Null, &Value::Null));
    donor.post(&format!("{path}/donor-close"), json!({ "donorId": "d-1" }), 201).await;
    let closed = ada.get(&path, 200).await;
    assert_eq!((closed.at("/data/closedByDonor"), closed.at("/data/resolvedById")), (&json!(true), &Value::Null));
}

/// C4, C5: a query that was accepted seemed not to be as soon as its donor wrote, and answers showed the time before.
#[tokio::test]
async fn an_answer_shows_what_the_command_did() {
    let desk = desk().await;
    let (ada, donor, id) = cast(&desk).await;
    ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
    let said = donor.post(&format!("messages/donor/{id}"), json!({ "content": "Hello?" }), 201).await;
    assert_eq!(*said.at("/data/query/status"), "PENDING_REPLY");
    let accepted = donor.get(&format!("donor-queries/{id}/is-accepted"), 200).await;
    assert_eq!((accepted.at("/data/isAccepted"), accepted.at("/data/status")), (&json!(true), &json!("PENDING_REPLY")));
    let answered = json!({ "content": "Hi.", "messageType": "QUERY" });
    let answered = ada.post(&format!("messages/admin/{id}"), answered, 201).await;
    assert_eq!(*answered.at("/data/query/status"), "IN_PROGRESS");
    let opened = Wire(desk.anonymous()).post("donor-queries", query_of("d-2"), 201).await;
    assert_eq!(*opened.at("/data/status"), "PENDING_REPLY");
}

/// C8: routes whose body nobody needs failed without one.
#[tokio::test]
async fn a_body_that_says_nothing_may_be_left_out() {
    let desk = desk().await;
    let (ada, donor, id) = cast(&desk).await;
    let post = async |who: &Wire, path: &str| who.ask(Method::POST, path, None, 201).await;
    let typed = async |who: &Wire, path: &str| {
        let request =
            who.0.request(Method::POST, &format!("/api/v1/{path}")).header("content-type", "application/json");
        who.send(Method::POST, path, request, 201).await
    };
    typed(&donor, &format!("communication/call/{id}/request")).await;
    let accepted = typed(&ada, &format!("communication/call/{id}/accept-request/0")).await;
    let room = accepted.at("/data/callSession/roomName").as_str().unwrap();
    post(&donor, &format!("communication/call/{room}/donor-end")).await;
    let direct = typed(&donor, &format!("communication/call/{id}/direct-call")).await;
    let room = direct.at("/data/callSession/roomName").as_str().unwrap();
    post(&ada, &format!("communication/call/{room}/end")).await;
    ada.ask(Method::PUT, "users/me/fcm-token", None, 200).await;
    post(&donor, &format!("donor-queries/{id}/donor-close")).await;
    // Where something is needed, its absence is the client's mistake.
    donor.ask(Method::POST, &format!("messages/donor/{id}"), None, 400).await;
    ada.ask(Method::PUT, &format!("communication/call/{room}/status"), None, 400).await;
}

/// C11: any word was taken for how a call is held, and a second one ignored the first.
#[tokio::test]
async fn how_a_call_is_held_is_one_of_few_words() {
    let desk = desk().await;
    let (ada, donor, id) = cast(&desk).await;
    for (who, path) in [
        (&donor, format!("communication/call/{id}/direct-call")),
        (&donor, format!("communication/call/{id}/request")),
        (&ada, format!("communication/call/{id}")),
        (&ada, format!("communication/call/{id}/accept-request")),
    ] {
        for key in ["callType", "mode"] {
            let refused = who.post(&path, json!({ key: "<b>fax</b>" }), 400).await;
            assert_eq!(*refused.at("/errors/0/property"), key);
        }
    }
    donor.post(&format!("communication/call/{id}/direct-call"), json!({ "callType": "audio" }), 201).await;
    let again = donor.post(&format!("communication/call/{id}/direct-call"), json!({ "callType": "video" }), 201).await;
    assert_eq!(
        (again.at("/data/callType"), again.at("/data/callSession/callType")),
        (&json!("audio"), &json!("audio"))
    );
}

/// C13: a call that answered a request left a link that led nowhere, and its end was said by the donor.
#[tokio::test]
async fn the_end_of_an_answered_request_keeps_who_answered_and_drops_the_link() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    for (donor_id, path) in [("d-1", "end"), ("d-2", "donor-end")] {
        let (donor, id) = desk.donor(donor_id).await;
        let donor = Wire(donor);
        donor.ask(Method::POST, &format!("communication/call/{id}/request"), None, 201).await;
        let accepted = ada.ask(Method::POST, &format!("communication/call/{id}/accept-request"), None, 201).await;
        let room = accepted.at("/data/callSession/roomName").as_str().unwrap();
        let who = if path == "end" { &ada } else { &donor };
        who.ask(Method::POST, &format!("communication/call/{room}/{path}"), None, 201).await;
        let shown = conversation(&ada, id).await;
        let about_call: Vec<_> = shown.iter().filter(|message| !message["callSessionId"].is_null()).collect();
        assert!(!about_call.is_empty() && about_call.iter().all(|message| message["senderType"] == "SYSTEM"));
        let answered = about_call.iter().find(|message| Seen(message).is_accepted()).unwrap();
        assert_eq!(Seen(answered).acceptor(), Some("Ada"));
        assert!(!answered["content"].as_str().unwrap().contains("]("), "a link in {answered:#}");
        assert_eq!((&answered["adminToken"], &answered["userToken"]), (&Value::Null, &Value::Null));
    }
}

/// C15: a query with calls could not be deleted, and one without left its messages behind.
#[tokio::test]
async fn a_query_is_deleted_with_its_call_and_its_conversation() {
    let desk = desk().await;
    let (ada, donor, id) = cast(&desk).await;
    let sue = Wire(desk.staff("sue").await);
    let begun = ada.ask(Method::POST, &format!("communication/call/{id}"), None, 201).await;
    sue.ask(Method::DELETE, &format!("donor-queries/{id}"), None, 200).await;
    for path in [format!("donor-queries/{id}"), format!("messages/query/{id}"), format!("messages/admin/{id}")] {
        sue.get(&path, 404).await;
    }
    donor.get(&format!("communication/call/{id}/active-call"), 404).await;
    sue.get(&format!("communication/call-session/{}", begun.at("/data/callSession/id")), 404).await;
    assert_eq!(*sue.get("messages?donorId=d-1", 200).await.at("/data"), json!([]));
}
