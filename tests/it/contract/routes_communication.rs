//! Calls: every route, every alias, in the words of every generation.

use reqwest::Method;
use serde_json::{Value, json};

use super::shape::{
    about_call, call_request, call_session, donor_call, donor_message, donor_query, enveloped, insist, message,
    message_view, public_user, query, staff_call, staff_query, with,
};
use super::wire::Wire;
use crate::support::app::Answer;
use crate::support::desk::{Desk, desk};

async fn donor(desk: &Desk, donor_id: &str) -> (Wire, i64) {
    let (client, id) = desk.donor(donor_id).await;
    (Wire(client), id)
}

fn calls(path: &str) -> String {
    format!("communication/call/{path}")
}

/// A donor's request, and its number.
async fn asked_for(donor: &Wire, query: i64) -> i64 {
    let asked = donor.ask(Method::POST, &calls(&format!("{query}/request")), None, 201).await;
    asked.at("/data/callRequest/id").as_i64().unwrap()
}

fn room(answer: &Answer) -> String {
    answer.at("/data/callSession/roomName").as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_that_staff_start_is_told_in_the_words_of_every_generation() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    for (number, body, mode, call_type) in [
        (1, None, "VIDEO", "video"),
        (2, Some(json!({})), "VIDEO", "video"),
        (3, Some(json!({ "userId": 1, "mode": "AUDIO" })), "AUDIO", "audio"),
        (4, Some(json!({ "callType": "audio" })), "AUDIO", "audio"),
        (5, Some(json!({ "mode": "SCREEN" })), "SCREEN", "video"),
    ] {
        let (_, id) = donor(&desk, &format!("d-{number}")).await;
        let begun = ada.ask(Method::POST, &calls(&id.to_string()), body, 201).await;
        insist(&begun.body, &about_call(&staff_call()));
        assert_eq!((begun.at("/success"), begun.at("/data/callType")), (&json!(true), &json!(call_type)));
        assert_eq!((begun.at("/data/admin/mode"), begun.at("/data/callSession/mode")), (&json!(mode), &json!(mode)));
        let token = begun.at("/data/adminToken");
        for pointer in ["/data/tokens/admin", "/data/admin/roomToken", "/data/callSession/adminToken"] {
            assert_eq!(begun.at(pointer), token, "{pointer}");
        }
        let url = begun.at("/data/roomUrl");
        for pointer in ["/data/admin/roomUrl", "/data/user/roomUrl", "/data/room/url", "/data/callSession/roomUrl"] {
            assert_eq!(begun.at(pointer), url, "{pointer}");
        }
        assert!(url.as_str().unwrap().contains("://"), "{url}");
    }
    let (_, id) = donor(&desk, "d-9").await;
    ada.post(&calls(&id.to_string()), json!({ "callType": "fax" }), 400).await;
    ada.post(&calls("abc"), json!({}), 400).await;
    ada.post(&calls("999999"), json!({}), 404).await;
    ada.post(&calls(&id.to_string()), json!({}), 201).await;
    let busy = ada.post(&calls(&id.to_string()), json!({}), 409).await;
    assert!(busy.at("/message").as_str().unwrap().contains("already an active call"), "{busy}");
}

#[tokio::test]
async fn a_request_is_made_listed_and_answered_by_every_path() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (who, id) = donor(&desk, "d-1").await;
    let ask = json!({ "message": "not read", "mode": "audio" });
    let answer = who.post(&calls(&format!("{id}/request")), ask, 201).await;
    let ask = json!({
        "callRequest": with(call_request(), &json!({ "query": query() })),
        "message": with(donor_message(), &json!({ "callRequest": call_request() })),
        "query": donor_query(),
    });
    insist(&answer.body, &about_call(&ask));
    assert_eq!(answer.at("/data/message/callRequestId"), answer.at("/data/callRequest/id"));
    let request = answer.at("/data/callRequest/id").clone();
    let listed = ada.get(&calls(&format!("{id}/requests")), 200).await;
    insist(&listed.body, &about_call(&json!([with(call_request(), &json!({ "admin?": public_user() }))])));
    assert_eq!(*listed.at("/data/0/id"), request);

    let accepted = with(staff_call(), &json!({ "callRequest": with(call_request(), &json!({ "query": query() })) }));
    for (donor_id, path) in [("d-1", format!("/{request}")), ("d-2", String::new()), ("d-3", "/0".to_owned())] {
        let id = if donor_id == "d-1" {
            id
        } else {
            let (who, id) = donor(&desk, donor_id).await;
            asked_for(&who, id).await;
            id
        };
        let answer = ada.ask(Method::POST, &calls(&format!("{id}/accept-request{path}")), None, 201).await;
        insist(&answer.body, &about_call(&accepted));
        assert_eq!(*answer.at("/data/callRequest/status"), "ACCEPTED");
    }

    let (who, id) = donor(&desk, "d-4").await;
    let request = asked_for(&who, id).await;
    let rejected = ada.ask(Method::POST, &calls(&format!("{id}/reject-request/{request}")), None, 201).await;
    insist(&rejected.body, &about_call(&with(call_request(), &json!({ "query": query() }))));
    assert_eq!(*rejected.at("/data/status"), "REJECTED");
    for path in ["accept-request", "accept-request/0", &format!("accept-request/{request}")] {
        ada.ask(Method::POST, &calls(&format!("{id}/{path}")), None, 404).await;
    }

    let (who, id) = donor(&desk, "d-5").await;
    let request = asked_for(&who, id).await;
    for path in ["cancel-request".to_owned(), format!("cancel-request/{request}")] {
        let cancelled = who.ask(Method::POST, &calls(&format!("{id}/{path}")), None, 201).await;
        insist(&cancelled.body, &about_call(&with(call_request(), &json!({ "query": query() }))));
    }
}

#[tokio::test]
async fn a_donor_calls_looks_and_hangs_up() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (who, id) = donor(&desk, "d-1").await;
    let none = who.get(&calls(&format!("{id}/active-call")), 200).await;
    assert_eq!((none.at("/success"), none.at("/data")), (&json!(false), &Value::Null));
    let begun = who.ask(Method::POST, &calls(&format!("{id}/direct-call")), None, 201).await;
    insist(&begun.body, &about_call(&donor_call()));
    assert!(begun.at("/data").get("adminToken").is_none() && begun.at("/data").get("admin").is_none(), "{begun}");
    let again = who.post(&calls(&format!("{id}/direct-call")), json!({ "callType": "audio" }), 201).await;
    assert_eq!(room(&again), room(&begun));
    who.post(&calls(&format!("{id}/direct-call")), json!({ "callType": "pigeon" }), 400).await;

    let seen = who.get(&calls(&format!("{id}/active-call")), 200).await;
    insist(
        &seen.body,
        &about_call(&json!({
            "callSession": call_session(), "roomUrl": "str", "userToken": "str", "callType": "call type",
        })),
    );
    let seen = ada.get(&calls(&format!("{id}/active-call")), 200).await;
    insist(&seen.body, &about_call(&json!({ "callSession": call_session(), "roomUrl": "str", "adminToken": "str" })));

    let end = calls(&format!("{}/donor-end", room(&begun)));
    for body in [Some(json!({ "donorId": "d-1" })), None] {
        let ended = who.ask(Method::POST, &end, body, 201).await;
        insist(&ended.body, &about_call(&with(call_session(), &json!({ "query": query() }))));
        assert_eq!(*ended.at("/data/status"), "ENDED");
    }
    who.post(&end, json!({ "donorId": "d-2" }), 404).await;
}

#[tokio::test]
async fn a_room_is_known_by_its_name_and_a_call_by_its_number() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (_, id) = donor(&desk, "d-1").await;
    let begun = ada.ask(Method::POST, &calls(&id.to_string()), None, 201).await;
    let session = with(call_session(), &json!({ "query": query() }));
    let set = async |status: &str, code: u16| {
        ada.put(&calls(&format!("{}/status", room(&begun))), json!({ "status": status }), code).await
    };
    let started = set("STARTED", 200).await;
    insist(&started.body, &about_call(&session));
    assert!(started.at("/data/startedAt").is_string());
    set("CREATED", 409).await;
    set("PAUSED", 400).await;

    let number = begun.at("/data/callSession/id");
    let person = json!({ "id": "int", "name": "str", "username": "str", "email?": "str", "role": "role" });
    let whole = with(call_session(), &json!({ "admin": person, "query": staff_query(), "messages": [message()] }));
    for path in ["communication/call/call-session", "communication/call-session"] {
        let one = ada.get(&format!("{path}/{number}"), 200).await;
        insist(&one.body, &enveloped(&whole));
        ada.get(&format!("{path}/999999"), 404).await;
        ada.get(&format!("{path}/abc"), 400).await;
    }
    let sessions = json!([with(call_session(), &json!({ "admin?": { "id": "int", "name": "str", "role": "role" } }))]);
    for path in ["communication/call/calls", "communication/calls"] {
        let list = ada.get(&format!("{path}/{id}"), 200).await;
        insist(&list.body, &about_call(&json!({ "callSessions": sessions, "messages": [message_view()] })));
        ada.get(&format!("{path}/999999"), 404).await;
    }

    let end = calls(&format!("{}/end", room(&begun)));
    for _ in 0..2 {
        let ended = ada.ask(Method::POST, &end, None, 201).await;
        insist(&ended.body, &about_call(&session));
        assert_eq!(*ended.at("/data/status"), "ENDED");
    }
    let deleted = ada.ask(Method::DELETE, &calls(&room(&begun)), None, 200).await;
    insist(&deleted.body, &json!({ "status": "int", "message": "str" }));
    assert!(deleted.body.get("data").is_none());
    for path in ["nowhere/end", "nowhere/donor-end"] {
        let refused = ada.0.post(&format!("/api/v1/{}", calls(path)), &json!({})).await;
        assert!(matches!(refused.status.as_u16(), 403 | 404), "{refused}");
    }
    set("STARTED", 409).await;
}

#[tokio::test]
async fn the_paths_of_the_oldest_dashboard_answer_like_the_newer_ones() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (who, id) = donor(&desk, "d-1").await;
    let begun = ada.post("communication/call", json!({ "queryId": id, "mode": "AUDIO" }), 201).await;
    insist(&begun.body, &about_call(&staff_call()));
    ada.ask(Method::POST, &calls(&format!("{}/end", room(&begun))), None, 201).await;

    let wish = json!({ "queryId": id, "mode": "video", "message": "Call me" });
    let asked = who.post("communication/request-call", wish, 201).await;
    insist(asked.at("/data/callRequest"), &call_request());
    let listed = ada.get(&format!("communication/call-requests/{id}"), 200).await;
    insist(&listed.body, &about_call(&json!([call_request()])));
    let yes = json!({ "status": "ACCEPTED", "callRequestId": asked.at("/data/callRequest/id") });
    let accepted = ada.put(&format!("communication/{id}"), yes, 200).await;
    insist(&accepted.body, &about_call(&staff_call()));

    for (donor_id, is_staff) in [("d-2", true), ("d-3", false)] {
        let (who, id) = donor(&desk, donor_id).await;
        let request = asked_for(&who, id).await;
        let caller = if is_staff { &ada } else { &who };
        let gone = caller.post("communication/cancel-call-request", json!({ "requestId": request }), 201).await;
        insist(&gone.body, &about_call(&with(call_request(), &json!({ "query": query() }))));
        assert_eq!(*gone.at("/data/status"), if is_staff { "REJECTED" } else { "CANCELLED" });
    }
}
