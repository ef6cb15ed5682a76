//! The dashboard's calls, one by one, with exactly what it sends and reads. The numbers are those of the list of its calls
//! that was made from its source.

use reqwest::Method;
use serde_json::{Value, json};

use super::markers::Seen;
use super::shape::{insist, message_view, query};
use super::wire::Wire;
use crate::support::desk::{Desk, PASSWORD, desk};

async fn staff(desk: &Desk, username: &str) -> Wire {
    Wire(desk.staff(username).await)
}

async fn donor(desk: &Desk, donor_id: &str) -> (Wire, i64) {
    let (client, id) = desk.donor(donor_id).await;
    (Wire(client), id)
}

/// The conversation, newest first, as the dashboard asks for it.
async fn conversation(who: &Wire, id: i64) -> Vec<Value> {
    who.get(&format!("messages/query/{id}?limit=50&offset=0"), 200).await.at("/data").as_array().unwrap().clone()
}

#[track_caller]
fn one<'a>(messages: &'a [Value], is_wanted: impl Fn(&Seen<'a>) -> bool) -> &'a Value {
    let mut found = messages.iter().filter(|message| is_wanted(&Seen(message)));
    match (found.next(), found.next()) {
        (Some(message), None) => message,
        _ => panic!("not exactly one in {messages:#?}"),
    }
}

#[tokio::test]
async fn rows_1_to_5_people_log_in_and_are_listed() {
    let desk = desk().await;
    let nobody = Wire(desk.anonymous());
    let credentials = json!({ "username": "sue", "password": PASSWORD });
    let token = nobody.post("auth/login", credentials, 201).await.at("/access_token").as_str().unwrap().to_owned();
    let wrong = nobody.post("auth/login", json!({ "username": "sue", "password": "wrong" }), 401).await;
    assert!(wrong.at("/message").is_string());
    let sue = Wire(desk.anonymous().with_token(&token));
    let me = sue.get("users/me", 200).await;
    assert_eq!((me.at("/role"), me.at("/isActive")), (&json!("SUPER_ADMIN"), &json!(true)));
    assert!(staff(&desk, "ada").await.get("users", 200).await.body.is_array(), "admins pick colleagues, too");
    let newcomer = json!({ "username": "cleo", "password": PASSWORD, "name": "Cleo", "email": "", "role": "ADMIN" });
    sue.post("users", newcomer.clone(), 201).await;
    assert!(sue.post("users", newcomer, 409).await.at("/message").is_string());
    sue.put("users/me/fcm-token", json!({ "fcmToken": "a-push-token-for-tests:17" }), 200).await;
}

#[tokio::test]
async fn rows_7_to_9_lists_show_what_the_tables_show() {
    let desk = desk().await;
    let ada = staff(&desk, "ada").await;
    let (_, id) = donor(&desk, "d-1").await;
    ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
    let reads = json!({
        "id": "int", "donor": "str", "donorId": "str", "test": "str", "stage": "str", "device": "str",
        "createdAt": "time", "status": "query status", "assignedToId?": "int", "transferredTo?": "str",
        "transferNote?": "str", "assignedToUser?": { "id": "int", "name": "str", "role": "role" },
        "resolvedByUser?": { "name": "str" },
    });
    let filters = "test=Cheek+swab&stage=Collection&queryMode=Video+Call&device=iPhone+15";
    let opened = ada.get(&format!("donor-queries/admin/{id}"), 200).await;
    let today = &opened.at("/createdAt").as_str().unwrap()[..10];
    for path in ["general", "in-progress", "pending-reply", "filtered/statuses?statuses=PENDING_REPLY"] {
        let list = ada.get(&format!("donor-queries/{path}"), 200).await;
        insist(list.at("/data"), &json!([reads]));
    }
    let mine = ada.get(&format!("donor-queries/general?{filters}&date={today}"), 200).await;
    assert_eq!((mine.at("/data/0/id"), mine.at("/data/0/assignedToUser/name")), (&json!(id), &json!("Ada")));
    for mode in ["Text", "Huddle", "Video+Call"] {
        ada.get(&format!("donor-queries/transferred?queryMode={mode}"), 200).await;
    }
    let bare = ada.get(&format!("donor-queries/admin/{id}"), 200).await;
    insist(&bare.body, &query());
    ada.patch(&format!("donor-queries/{id}/transfer"), json!({ "adminId": desk.id_of("ben") }), 200).await;
    let transferred = ada.get("donor-queries/transferred", 200).await;
    assert_eq!(*transferred.at("/data/0/transferredTo"), "Ben", "the name, though the client did not send it");
    let ben = staff(&desk, "ben").await;
    ben.patch(&format!("donor-queries/{id}/resolve"), json!({ "message": "done" }), 200).await;
    let resolved = ada.get("donor-queries/resolved", 200).await;
    assert_eq!(*resolved.at("/data/0/resolvedByUser/name"), "Ben");
}

#[tokio::test]
async fn row_10_accepting_tells_the_holder_or_why_not() {
    let desk = desk().await;
    let (ada, ben) = (staff(&desk, "ada").await, staff(&desk, "ben").await);
    let (_, id) = donor(&desk, "d-1").await;
    let accept = format!("donor-queries/{id}/accept");
    let says = |answer: &crate::support::app::Answer, fragment: &str| {
        assert!(answer.at("/message").as_str().unwrap().contains(fragment), "{fragment} is not in {answer}");
    };
    let accepted = ada.ask(Method::PATCH, &accept, None, 200).await;
    assert_eq!(*accepted.at("/data/assignedToUser/id"), json!(desk.id_of("ada")));
    let held = ben.ask(Method::PATCH, &accept, None, 409).await;
    says(&held, "already accepted");
    says(&held, "already assigned");
    ada.patch(&format!("donor-queries/{id}/transfer"), json!({ "adminId": desk.id_of("ben") }), 200).await;
    says(&ada.ask(Method::PATCH, &accept, None, 409).await, "cannot accept a transferred");
    ben.ask(Method::PATCH, &format!("donor-queries/{id}/resolve"), None, 200).await;
    says(&ben.ask(Method::PATCH, &accept, None, 409).await, "cannot accept a resolved");
    ben.ask(Method::PATCH, "donor-queries/999999/accept", None, 404).await;
    Wire(desk.anonymous()).ask(Method::PATCH, &accept, None, 401).await;
}

#[tokio::test]
async fn rows_11_to_16_a_query_moves_on() {
    let desk = desk().await;
    let (ada, ben) = (staff(&desk, "ada").await, staff(&desk, "ben").await);
    let (_, id) = donor(&desk, "d-1").await;
    let path = |step: &str| format!("donor-queries/{id}/{step}");
    ada.ask(Method::PATCH, &path("accept"), None, 200).await;
    for step in ["in-progress", "pending-reply"] {
        ada.post(&path(step), json!({ "message": "by hand" }), 201).await;
    }
    for mode in ["Text", "Huddle", "Video Call"] {
        ada.patch(&format!("donor-queries/{id}"), json!({ "queryMode": mode }), 200).await;
    }
    ada.patch(&path("transfer"), json!({ "adminId": desk.id_of("ben") }), 200).await;
    for body in [Some(json!({ "message": "" })), Some(json!({ "message": "Please" })), None] {
        ada.ask(Method::POST, &path("send-reminder"), body, 201).await;
    }
    let resolved = ben.ask(Method::PATCH, &path("resolve"), None, 200).await;
    assert!(resolved.at("/data").is_object());
}

#[tokio::test]
async fn rows_18_and_19_a_conversation_is_shown_with_its_people_and_calls() {
    let desk = desk().await;
    let ada = staff(&desk, "ada").await;
    let (_, id) = donor(&desk, "d-1").await;
    ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
    ada.post(&format!("messages/admin/{id}"), json!({ "content": "Hello", "messageType": "CHAT" }), 201).await;
    let begun = ada.post(&format!("communication/call/{id}"), json!({ "userId": 1, "mode": "AUDIO" }), 201).await;
    let shown = conversation(&ada, id).await;
    insist(
        &json!(shown),
        &json!([{
            "id": "int", "content": "str", "createdAt": "time", "messageType": "message type", "isFromAdmin": "bool",
            "senderId?": "int", "sender?": { "id": "int", "name": "str", "role": "role", "avatar?": "str" },
            "callMode?": "mode", "roomName?": "str", "callSessionId?": "int", "callRequestId?": "int",
            "callSession?": { "status": "call status", "roomName": "str", "roomUrl": "str", "adminToken?": "str" },
            "query": { "donor": "str" },
        }]),
    );
    let said = shown.iter().find(|message| message["content"] == "Hello").unwrap();
    assert_eq!((&said["senderId"], &said["sender"]["name"]), (&json!(desk.id_of("ada")), &json!("Ada")));
    let banner = one(&shown, Seen::shows_active_call);
    assert_eq!((Seen(banner).mode(), Seen(banner).mode_by_words()), ("AUDIO", "AUDIO".to_owned()));
    assert_eq!(banner["roomName"], *begun.at("/data/callSession/roomName"));
    assert!(banner["callSession"]["adminToken"].is_string() && banner["callSession"]["roomUrl"].is_string());
}

#[tokio::test]
async fn rows_20_21_and_23_a_call_starts_once_and_is_ended_twice() {
    let desk = desk().await;
    let ada = staff(&desk, "ada").await;
    let (_, id) = donor(&desk, "d-1").await;
    let start = format!("communication/call/{id}");
    let begun = ada.post(&start, json!({ "userId": desk.id_of("ada"), "mode": "VIDEO" }), 201).await;
    insist(
        begun.at("/data"),
        &json!({
            "callSession": { "roomName": "str", "adminToken": "str" }, "roomUrl": "str", "adminToken": "str",
            "admin": { "roomName": "str", "roomUrl": "str", "roomToken": "str" },
        }),
    );
    let busy = ada.post(&start, json!({ "userId": 1, "mode": "VIDEO" }), 409).await;
    assert!(busy.at("/message").as_str().unwrap().contains("already an active call"));
    let end = format!("communication/call/{}/end", begun.at("/data/callSession/roomName").as_str().unwrap());
    for _ in ["the button", "the window that closes"] {
        ada.ask(Method::POST, &end, None, 201).await;
    }
    let shown = conversation(&ada, id).await;
    one(&shown, Seen::shows_ended_call);
    assert!(!shown.iter().any(|message| Seen(message).shows_active_call()));
}

#[tokio::test]
async fn row_22_a_request_is_accepted_with_one_click() {
    let desk = desk().await;
    let ada = staff(&desk, "ada").await;
    for (donor_id, mode) in [("d-1", "VIDEO"), ("d-2", "AUDIO")] {
        let (donor, id) = donor(&desk, donor_id).await;
        donor.post(&format!("communication/call/{id}/request"), json!({ "mode": mode }), 201).await;
        let shown = conversation(&ada, id).await;
        let request = one(&shown, Seen::shows_accept);
        assert_eq!((Seen(request).mode(), Seen(request).mode_by_words()), (mode, mode.to_owned()));
        assert!(request["callRequestId"].is_i64() && !Seen(request).shows_join());

        let accept = format!("communication/call/{id}/accept-request/{}", request["callRequestId"]);
        let accepted = ada.ask(Method::POST, &accept, None, 201).await;
        let reads = json!({ "success": "bool", "message": "str", "data": { "roomUrl": "str", "adminToken": "str" } });
        insist(&accepted.body, &reads);
        let shown = conversation(&ada, id).await;
        let answered = one(&shown, Seen::is_call_request);
        assert!(Seen(answered).shows_join() && !Seen(answered).shows_accept(), "{answered:#}");
        assert_eq!((Seen(answered).acceptor(), Seen(answered).mode()), (Some("Ada"), mode));
        assert_eq!(Seen(answered).mode_by_words(), mode);
        assert_eq!(answered["callSession"]["roomUrl"], *accepted.at("/data/roomUrl"));

        let end = format!("communication/call/{}/end", answered["roomName"].as_str().unwrap());
        ada.ask(Method::POST, &end, None, 201).await;
        let shown = conversation(&ada, id).await;
        assert!(shown.iter().any(|message| Seen(message).shows_ended_call()));
        assert!(!shown.iter().any(|message| Seen(message).shows_join() || Seen(message).shows_active_call()));
    }
}

#[tokio::test]
async fn a_request_that_was_taken_back_offers_no_button() {
    let desk = desk().await;
    let ada = staff(&desk, "ada").await;
    let (donor, id) = donor(&desk, "d-1").await;
    donor.post(&format!("communication/call/{id}/request"), json!({}), 201).await;
    donor.ask(Method::POST, &format!("communication/call/{id}/cancel-request"), None, 201).await;
    let shown = conversation(&ada, id).await;
    assert!(!shown.iter().any(|message| Seen(message).shows_accept() || Seen(message).shows_join()), "{shown:#?}");
}

#[tokio::test]
async fn rows_24_to_28_paths_that_no_server_had_do_no_harm() {
    let desk = desk().await;
    let ada = staff(&desk, "ada").await;
    let (who, id) = donor(&desk, "d-1").await;
    let begun = ada.post(&format!("communication/call/{id}"), json!({ "mode": "VIDEO" }), 201).await;
    let path = format!("communication/call-session/{}", begun.at("/data/callSession/id"));
    insist(ada.get(&path, 200).await.at("/data"), &json!({ "roomName": "str", "adminToken": "str" }));
    let (asking, other) = donor(&desk, "d-2").await;
    let ask = json!({ "queryId": other, "mode": "video", "message": "Call me" });
    assert!(ada.post("communication/request-call", ask, 201).await.body.is_object());
    let start = json!({ "userId": 1, "mode": "VIDEO", "expiryMinutes": 60, "callerName": "Ada" });
    assert!(ada.post("communication/call", start, 422).await.at("/message").is_string());
    let asked = asking.post(&format!("communication/call/{other}/request"), json!({}), 201).await;
    let listed = ada.get(&format!("communication/call-requests/{other}"), 200).await;
    assert_eq!(listed.at("/data/0/id"), asked.at("/data/callRequest/id"));
    let verdict = json!({ "status": "DECLINED", "callRequestId": asked.at("/data/callRequest/id"), "reason": "busy" });
    ada.put(&format!("communication/{other}"), verdict, 200).await;
    let withdrawn = json!({ "requestId": asked.at("/data/callRequest/id") });
    ada.post("communication/cancel-call-request", withdrawn, 404).await;
    let to_ben = json!({ "queryId": id, "content": "Hello", "recipientId": desk.id_of("ben") });
    insist(&ada.post("chat/messages", to_ben, 201).await.body, &message_view());
    let between = format!("chat/messages/between/{}/{}", desk.id_of("ada"), desk.id_of("ben"));
    for path in ["chat/messages".to_owned(), format!("chat/messages/donor-query/{id}"), between] {
        let list = ada.get(&path, 200).await;
        insist(&list.body, &json!([message_view()]));
        assert_eq!(*list.at("/0/content"), "Hello");
    }
    who.get(&format!("messages/query/{id}"), 200).await;
}
