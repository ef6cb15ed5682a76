//! Calls as they are read: by query, by number, in conversations.

use serde_json::{Value, json};

use super::{begin, call, claims, conversation, newest, post_nothing};
use crate::support::desk::desk;

#[tokio::test]
async fn a_call_is_read_under_both_of_its_paths() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let begun = post_nothing(&ada, &call(&query.to_string())).await.expect(201);
    let session = begun.at("/data/callSession/id");
    for path in ["call/call-session", "call-session"] {
        let read = ada.get(&format!("/api/v1/communication/{path}/{session}")).await.expect(200);
        assert_eq!((read.at("/status"), read.at("/data/id")), (&json!(200), session));
        assert_eq!(read.at("/data/roomName"), begun.at("/data/callSession/roomName"));
        assert_eq!(claims(read.at("/data/adminToken"))["room"], *read.at("/data/roomName"));
        assert_eq!(*read.at("/data/messages/0/messageType"), "CALL_STARTED");
        assert_eq!(*read.at("/data/query/id"), json!(query));
    }
    for path in ["call/calls", "calls"] {
        let read = ada.get(&format!("/api/v1/communication/{path}/{query}")).await.expect(200);
        assert_eq!(read.at("/data/callSessions/0/id"), session);
        assert_eq!(*read.at("/data/messages/0/messageType"), "CALL_STARTED");
    }
    ada.get("/api/v1/communication/call-session/999999").await.expect(404);
    ada.get("/api/v1/communication/calls/999999").await.expect(404);
}

#[tokio::test]
async fn a_call_has_every_key_of_the_contract() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let begun = post_nothing(&ada, &call(&query.to_string())).await.expect(201);
    for key in ["success", "message"] {
        assert!(begun.body.get(key).is_some(), "{key} is missing: {begun}");
    }
    for key in ["callSession", "room", "tokens", "adminToken", "userToken", "roomUrl", "callType", "admin", "user"] {
        assert!(begun.at("/data").get(key).is_some(), "{key} is missing: {begun}");
    }
    let keys = [
        "id",
        "queryId",
        "adminId",
        "roomName",
        "roomUrl",
        "startedAt",
        "endedAt",
        "createdAt",
        "updatedAt",
        "status",
        "adminToken",
        "userToken",
        "callType",
        "mode",
    ];
    let shown = conversation(&donor, query).await;
    for key in keys {
        assert!(begun.at("/data/callSession").get(key).is_some(), "{key} is missing: {begun}");
        assert!(newest(&shown, "CALL_STARTED")["callSession"].get(key).is_some(), "{key} is missing: {shown:#?}");
    }
    assert_eq!(*begun.at("/data/notificationData/fcmToken"), Value::Null);
    assert!(!begun.to_string().contains("argon2"));
}

#[tokio::test]
async fn lists_show_calls_without_a_way_in() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let room = begin(&ada, query).await;
    let listed = ada.get("/api/v1/donor-queries/general").await.expect(200);
    let said = listed.at("/data/0/messages").as_array().unwrap();
    let started = newest(said, "CALL_STARTED");
    assert_eq!((&started["roomName"], &started["adminToken"]), (&json!(room), &Value::Null));
    let one = ada.get(&format!("/api/v1/donor-queries/{query}")).await.expect(200);
    let said = one.at("/data/messages").as_array().unwrap();
    assert_eq!(claims(&newest(said, "CALL_STARTED")["adminToken"])["role"], "staff");
}
