//! Whoever should hear of something hears of it, once, and what is true. The numbers are those of [`super::holes`].

use serde_json::{Value, json};

use super::sockets::{all, listen};
use super::wire::Wire;
use crate::support::desk::desk;

/// N1: a request and its answer, the end of a call, an edit: clients had to ask again and again.
#[tokio::test]
async fn nothing_that_happens_has_to_be_asked_for() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let (donor, id) = desk.donor("d-1").await;
    let mut socket = listen(&ben).await;
    socket.join(id).await;
    let (ada, donor) = (Wire(ada), Wire(donor));
    let call = format!("communication/call/{id}");
    let asked = donor.post(&format!("{call}/request"), json!({}), 201).await;
    assert_eq!(socket.event("callRequested").await["requestId"], *asked.at("/data/callRequest/id"));
    ada.post(&format!("{call}/reject-request/{}", asked.at("/data/callRequest/id")), json!({}), 201).await;
    assert_eq!(socket.event("callRequestStatusChanged").await["status"], "REJECTED");
    let revised = socket.event("messageUpdated").await;
    assert_eq!(revised["messageId"], *asked.at("/data/message/id"));
    assert!(revised["content"].as_str().unwrap().contains("REJECTED by Ada"), "{revised}");
    let begun = ada.post(&call, json!({}), 201).await;
    let room = begun.at("/data/callSession/roomName").as_str().unwrap();
    ada.put(&format!("communication/call/{room}/status"), json!({ "status": "STARTED" }), 200).await;
    ada.post(&format!("communication/call/{room}/end"), json!({}), 201).await;
    assert_eq!(socket.event("callEnded").await["callSessionId"], *begun.at("/data/callSession/id"));
    ada.patch(&format!("donor-queries/{id}"), json!({ "stage": "Lab" }), 200).await;
    let heard = socket.until("queryUpdated").await;
    let statuses: Vec<_> = all(&heard, "callStatusChanged").iter().map(|told| told["status"].clone()).collect();
    assert_eq!(statuses, ["CREATED", "STARTED", "ENDED"]);
}

/// N10: nobody heard of a call about a query that nobody held.
#[tokio::test]
async fn a_donor_whom_nobody_serves_yet_is_heard_by_everybody() {
    let desk = desk().await;
    let mut sockets = [listen(&desk.staff("ada").await).await, listen(&desk.staff("sue").await).await];
    let (donor, id) = desk.donor("d-1").await;
    let donor = Wire(donor);
    donor.post(&format!("communication/call/{id}/request"), json!({ "mode": "AUDIO" }), 201).await;
    donor.post(&format!("communication/call/{id}/cancel-request"), json!({}), 201).await;
    donor.post(&format!("communication/call/{id}/direct-call"), json!({}), 201).await;
    for socket in &mut sockets {
        let asked = socket.event("callRequested").await;
        assert_eq!((&asked["queryId"], &asked["mode"]), (&json!(id), &json!("AUDIO")));
        let called = socket.event("directCallStarted").await;
        assert_eq!((&called["queryId"], &called["callSession"]["adminToken"]), (&json!(id), &Value::Null));
    }
}

/// N11: a reminder told nobody, was said by the one it was for, and left the query as old as it was.
#[tokio::test]
async fn a_reminder_reaches_the_one_it_is_for() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let (_, id) = desk.donor("d-1").await;
    let mut socket = listen(&ben).await;
    let ada = Wire(ada);
    let path = format!("donor-queries/{id}");
    ada.patch(&format!("{path}/accept"), json!({}), 200).await;
    let before = ada.patch(&format!("{path}/transfer"), json!({ "adminId": desk.id_of("ben") }), 200).await;
    let after = ada.post(&format!("{path}/send-reminder"), json!({ "message": "hurry up" }), 201).await;
    assert!(after.at("/data/updatedAt").as_str() > before.at("/data/updatedAt").as_str(), "{after}");
    let reminded = socket.event("queryReminder").await;
    assert_eq!((&reminded["userId"], &reminded["remindedBy"]["name"]), (&json!(desk.id_of("ben")), &json!("Ada")));
    let said = ada.get(&format!("messages/query/{id}"), 200).await;
    assert_eq!((said.at("/data/0/content"), said.at("/data/0/senderType")), (&json!("hurry up"), &json!("SYSTEM")));
    assert_eq!(
        (said.at("/data/0/senderId"), said.at("/data/0/recipientId")),
        (&Value::Null, &json!(desk.id_of("ben")))
    );
}

/// N12: a status was told before the message that brought it, and told again when it had not changed.
#[tokio::test]
async fn a_status_is_told_after_its_message_and_only_when_it_changed() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    let mut socket = listen(&ada).await;
    socket.join(id).await;
    for content in ["first", "second"] {
        let said = json!({ "content": content });
        donor.post(&format!("/api/v1/messages/donor/{id}"), &said).await.expect(201);
    }
    ada.post(&format!("/api/v1/donor-queries/{id}/resolve"), &json!({})).await.expect(201);
    let heard = socket.until("queryResolved").await;
    let told: Vec<_> = heard
        .iter()
        .filter_map(|(name, told)| match name.as_str() {
            "newMessage" => told["content"].as_str(),
            "queryStatusChanged" => told["status"].as_str(),
            _ => None,
        })
        .take(3)
        .collect();
    assert_eq!(told, ["first", "PENDING_REPLY", "second"]);
}

/// N13: a transfer seemed to be made by the one it was for.
#[tokio::test]
async fn a_transfer_is_told_with_who_made_it() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let mut socket = listen(&desk.staff("sue").await).await;
    ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    let to_ben = json!({ "adminId": desk.id_of("ben") });
    ada.patch(&format!("/api/v1/donor-queries/{id}/transfer"), &to_ben).await.expect(200);
    let heard = socket.until("queryTransferred").await;
    let (_, moved) = heard.last().unwrap();
    assert_eq!((&moved["transferredBy"]["name"], &moved["transferredTo"]), (&json!("Ada"), &json!("Ben")));
    let status = socket.event("queryStatusChanged").await;
    assert_eq!((&status["status"], &status["changedBy"]), (&json!("TRANSFERRED"), &json!("Ada")));
    let facts = ada.get("/api/v1/events?after=0").await.expect(200);
    let fact = facts.at("/events").as_array().unwrap().iter().find(|fact| fact["event"] == "QueryTransferred").unwrap();
    assert_eq!(fact["actor"]["name"], "Ada", "{fact:#}");
}
