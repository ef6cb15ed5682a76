//! What the old clients listen for, heard with their own library: every event under the names of the old server, of its
//! dashboard and of its documentation, with what each of them reads.

use reqwest::Method;
use serde_json::{Value, json};

use super::shape::{call_session, insist, query, with};
use crate::support::app::{Answer, Client};
use crate::support::desk::{Desk, desk};
use crate::support::socketio::{Socket, connect};

type Heard = Vec<(String, Value)>;

/// A socket of somebody, from the moment on at which it hears what happens.
pub(super) async fn listen(who: &Client) -> Socket {
    let mut socket = connect(who.base_url(), &json!({ "token": who.token() })).await;
    socket.event("position").await;
    socket
}

/// What was told under a name.
pub(super) fn all<'a>(heard: &'a [(String, Value)], name: &str) -> Vec<&'a Value> {
    heard.iter().filter(|(heard, _)| heard == name).map(|(_, payload)| payload).collect()
}

async fn post(who: &Client, path: &str, body: Value) -> Answer {
    who.post(&format!("/api/v1/{path}"), &body).await.expect(201)
}

/// A query with everything that can happen to one, from its opening to its deletion, as a colleague in its room and its
/// donor hear it.
async fn everything(desk: &Desk) -> (Heard, Heard) {
    let (ada, ben, sue) = (desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await);
    let mut colleague = listen(&ben).await;
    let (donor, id) = desk.donor("d-1").await;
    let mut own = listen(&donor).await;
    colleague.join(id).await;
    own.join(id).await;
    let (query, call) = (format!("donor-queries/{id}"), format!("communication/call/{id}"));
    let end =
        |begun: &Answer| format!("communication/call/{}/end", begun.at("/data/callSession/roomName").as_str().unwrap());
    ada.patch(&format!("/api/v1/{query}/accept"), &json!({})).await.expect(200);
    post(&ada, &format!("messages/admin/{id}"), json!({ "content": "Hi.", "messageType": "QUERY" })).await;
    post(&donor, &format!("messages/donor/{id}"), json!({ "content": "Call me?" })).await;
    post(&donor, &format!("{call}/request"), json!({ "mode": "AUDIO" })).await;
    let accepted = post(&ada, &format!("{call}/accept-request"), json!({})).await;
    post(&ada, &end(&accepted), json!({})).await;
    let begun = post(&ada, &call, json!({ "mode": "SCREEN" })).await;
    post(&ada, &end(&begun), json!({})).await;
    post(&donor, &format!("{call}/direct-call"), json!({})).await;
    post(&ada, &format!("{query}/transfer"), json!({ "adminId": desk.id_of("ben"), "transferNote": "for Ben" })).await;
    post(&ada, &format!("{query}/send-reminder"), json!({})).await;
    post(&ben, &format!("{query}/resolve"), json!({})).await;
    sue.send(sue.request(Method::DELETE, &format!("/api/v1/{query}"))).await.expect(200);
    (colleague.until("queryDeleted").await, own.until("queryDeleted").await)
}

/// What a client reads of an event.
struct Reads {
    event: &'static str,
    keys: Value,
}

fn reads(event: &'static str, keys: &Value) -> Reads {
    Reads { event, keys: with(json!({ "queryId": "int", "timestamp": "time", "position": "int" }), keys) }
}

/// What staff read, by all three sources.
fn of_staff() -> Vec<Reads> {
    let message = json!({
        "id": "int", "messageId": "int", "content": "str", "messageType": "message type", "senderType": "sender type",
        "isFromAdmin": "bool", "senderId": "int", "senderName?": "str", "sender": "object", "createdAt": "time",
        "senderIdentifiers": "object", "callSessionId?": "int",
    });
    let status = json!({ "status": "query status", "updatedBy": "str", "changedBy": "str" });
    let transfer = json!({ "transferredTo": "str", "fromUserId?": "int", "toUserId": "int" });
    let session = with(call_session(), &json!({ "adminToken": "null", "userToken": "null", "query": query() }));
    vec![
        reads("newQuery", &json!({ "donorInfo": "str", "donor": "str", "query": query() })),
        reads("queryStatusChange", &status),
        reads("queryStatusChanged", &status),
        reads("newMessage", &message),
        reads("enhancedMessage", &message),
        reads("queryTransfer", &transfer),
        reads("queryTransferred", &transfer),
        reads("queryAssigned", &json!({ "userId": "int" })),
        reads("queryResolved", &json!({ "resolvedBy": "str" })),
        reads("callRequested", &json!({ "requestId": "int", "mode": "mode" })),
        reads("callStarted", &json!({ "callSession": session, "adminId": "int" })),
        reads("directCallStarted", &json!({ "callSession": session })),
        reads("callStatusChanged", &json!({ "callId": "int", "status": "call status" })),
    ]
}

#[tokio::test]
async fn every_event_is_heard_under_every_name_with_all_that_is_read_of_it() {
    let desk = desk().await;
    let (staff, donor) = everything(&desk).await;
    for Reads { event, keys } in of_staff() {
        let told = all(&staff, event);
        assert!(!told.is_empty(), "no {event} in {staff:#?}");
        for payload in told {
            insist(payload, &keys);
        }
    }
    for (old, new) in [
        ("queryStatusChange", "queryStatusChanged"),
        ("newMessage", "enhancedMessage"),
        ("queryTransfer", "queryTransferred"),
    ] {
        assert_eq!(all(&staff, old), all(&staff, new));
    }
    let statuses: Vec<_> = all(&staff, "callStatusChanged").iter().map(|told| told["status"].clone()).collect();
    assert_eq!(statuses, ["CREATED", "ENDED", "CREATED", "ENDED", "CREATED", "ENDED"]);
    assert_eq!(all(&staff, "callStarted").len(), 2, "one answered a request, one did not");
    // What names people, or holds what staff keep to themselves, is not for the donor.
    for Reads { event, keys } in of_staff() {
        let told = all(&donor, event);
        let is_for_staff = matches!(event, "newQuery" | "queryTransfer" | "queryTransferred" | "queryAssigned");
        assert_eq!(told.is_empty(), is_for_staff, "{event} in {donor:#?}");
        for payload in told {
            insist(payload, &keys);
        }
    }
}

#[tokio::test]
async fn an_event_is_heard_once_however_many_reasons_there_are_to_hear_it() {
    let desk = desk().await;
    // Ben is staff, in the room, and the one it is handed to.
    let (staff, donor) = everything(&desk).await;
    for heard in [&staff, &donor] {
        for (index, (name, payload)) in heard.iter().enumerate().filter(|(_, (name, _))| name != "position") {
            let again = heard[index + 1..].iter().find(|(other, told)| other == name && told == payload);
            assert!(again.is_none(), "{name} was told twice: {payload:#}");
        }
    }
    let ids: Vec<_> = all(&staff, "newMessage").iter().map(|told| told["id"].as_i64()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    let positions: Vec<_> = staff.iter().map(|(_, told)| told["position"].as_i64()).collect();
    assert!(positions.is_sorted(), "{positions:?}");
    for secret in ["argon2", "\"password\"", "eyJ"] {
        assert!(!json!([staff, donor]).to_string().contains(secret), "{secret} in {staff:#?} or {donor:#?}");
    }
    assert!(!json!(donor).to_string().contains("for Ben"), "{donor:#?}");
}
