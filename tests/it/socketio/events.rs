//! What happens at the desk, in the words of the old server and of its dashboard, once each.

use serde_json::{Value, json};

use super::{listen, names};
use crate::support::app::Client;
use crate::support::desk::{Desk, desk};

/// A query's life, which ends with `queryResolved`.
async fn live(desk: &Desk, donor: &Client, query: i64) {
    let ada = desk.staff("ada").await;
    let path = format!("/api/v1/donor-queries/{query}");
    ada.patch(&format!("{path}/accept"), &json!({})).await.expect(200);
    let said = json!({ "content": "The cuff does not inflate" });
    donor.post(&format!("/api/v1/messages/donor/{query}"), &said).await.expect(201);
    let whisper = json!({ "content": "a difficult person", "recipientId": desk.id_of("ben") });
    ada.post(&format!("/api/v1/messages/system/{query}"), &whisper).await.expect(201);
    let transfer = json!({ "transferredToUserId": desk.id_of("ben"), "transferNote": "a secret between colleagues" });
    ada.post(&format!("{path}/transfer"), &transfer).await.expect(201);
    desk.staff("ben").await.patch(&format!("{path}/resolve"), &json!({})).await.expect(200);
}

fn all<'a>(heard: &'a [(String, Value)], name: &str) -> Vec<&'a Value> {
    heard.iter().filter(|(heard, _)| heard == name).map(|(_, payload)| payload).collect()
}

#[tokio::test]
async fn staff_in_the_room_hear_everything_once_under_both_names() {
    let desk = desk().await;
    let mut socket = listen(&desk, &desk.staff("ben").await).await;
    let (donor, query) = desk.donor("d-1").await;
    let opened = socket.event("newQuery").await;
    assert_eq!((&opened["query"]["id"], &opened["query"]["status"]), (&json!(query), &json!("IN_PROGRESS")));
    assert_eq!(opened["donorInfo"], "Dora Donor - Cheek swab (Collection)");
    socket.join(query).await;
    live(&desk, &donor, query).await;
    let heard = socket.until("queryResolved").await;

    let statuses = |name| all(&heard, name).iter().map(|told| told["status"].clone()).collect::<Vec<_>>();
    assert_eq!(
        statuses("queryStatusChange"),
        ["PENDING_REPLY", "IN_PROGRESS", "PENDING_REPLY", "TRANSFERRED", "RESOLVED"]
    );
    for (old, new) in [
        ("queryStatusChange", "queryStatusChanged"),
        ("queryTransfer", "queryTransferred"),
        ("newMessage", "enhancedMessage"),
    ] {
        assert_eq!(all(&heard, old), all(&heard, new));
    }
    let by: Vec<_> = all(&heard, "queryStatusChanged").iter().map(|told| told["changedBy"].clone()).collect();
    assert_eq!(by, ["Donor", "Ada", "Donor", "Ada", "Ben"]);
    let transferred = all(&heard, "queryTransferred");
    assert_eq!(transferred.len(), 1);
    assert_eq!(
        (&transferred[0]["fromUserId"], &transferred[0]["toUserId"], &transferred[0]["transferredTo"]),
        (&json!(desk.id_of("ada")), &json!(desk.id_of("ben")), &json!("Ben"))
    );
    let assigned: Vec<_> = all(&heard, "queryAssigned").iter().map(|told| told["userId"].clone()).collect();
    assert_eq!(assigned, [desk.id_of("ben")], "only what is assigned to Ben");

    let messages = all(&heard, "newMessage");
    let ids: Vec<_> = messages.iter().map(|told| told["id"].as_i64()).collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    let said = messages.iter().find(|told| told["senderType"] == "DONOR").unwrap();
    assert_eq!((&said["sender"]["donorId"], &said["senderName"]), (&json!("d-1"), &json!("Dora Donor")));
    assert_eq!((&said["messageId"], &said["isFromAdmin"]), (&said["id"], &json!(false)));
    assert!(messages.iter().any(|told| told["content"] == "a difficult person"));
}

#[tokio::test]
async fn staff_outside_the_room_hear_what_concerns_the_desk() {
    let desk = desk().await;
    let mut socket = listen(&desk, &desk.staff("sue").await).await;
    let (donor, query) = desk.donor("d-1").await;
    live(&desk, &donor, query).await;
    let heard = socket.until("queryResolved").await;
    let status = ["queryStatusChange", "queryStatusChanged"];
    let transfer = ["queryTransfer", "queryTransferred"];
    let expected = [&["newQuery"][..], &status, &status, &status, &transfer, &status, &status, &["queryResolved"]];
    assert_eq!(names(&heard), expected.concat());
}

#[tokio::test]
async fn a_donor_hears_own_queries_without_what_staff_keep_to_themselves() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let (other, foreign) = desk.donor("d-2").await;
    let mut socket = listen(&desk, &donor).await;
    socket.join(query).await;
    live(&desk, &other, foreign).await;
    live(&desk, &donor, query).await;
    let heard = socket.until("queryResolved").await;
    assert!(heard.iter().all(|(_, told)| told.get("queryId").is_none_or(|told| *told == query)), "{heard:?}");
    let words = json!(heard).to_string();
    for secret in ["difficult", "a secret", "oken\":\"", "queryAssigned", "queryTransfer", "newQuery", "assword"] {
        assert!(!words.contains(secret), "{secret} is in {words}");
    }
    assert_eq!(all(&heard, "queryStatusChange").len(), 4);
    let said: Vec<_> = all(&heard, "newMessage").iter().map(|told| told["content"].clone()).collect();
    assert!(said.contains(&json!("The cuff does not inflate")), "{said:?}");
}

#[tokio::test]
async fn every_event_says_where_it_stands_in_the_log() {
    let desk = desk().await;
    let mut socket = listen(&desk, &desk.staff("sue").await).await;
    let (donor, query) = desk.donor("d-1").await;
    socket.join(query).await;
    live(&desk, &donor, query).await;
    let heard = socket.until("queryResolved").await;
    let positions: Vec<_> = heard.iter().map(|(_, told)| told["position"].as_i64().unwrap()).collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

#[tokio::test]
async fn what_else_happens_is_told_in_new_events() {
    let desk = desk().await;
    let (sue, ada) = (desk.staff("sue").await, desk.staff("ada").await);
    let (_, query) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{query}");
    ada.patch(&format!("{path}/accept"), &json!({})).await.expect(200);
    let mut socket = listen(&desk, &desk.staff("ben").await).await;
    let transfer = json!({ "transferredToUserId": desk.id_of("ben") });
    ada.post(&format!("{path}/transfer"), &transfer).await.expect(201);
    ada.post(&format!("{path}/send-reminder"), &json!({ "message": "hurry up" })).await.expect(201);
    assert_eq!(socket.event("queryReminder").await["remindedBy"]["name"], "Ada");
    sue.patch(&path, &json!({ "test": "Blood pressure" })).await.expect(200);
    assert_eq!(socket.event("queryUpdated").await["changes"]["test"], "Blood pressure");
    sue.send(sue.request(reqwest::Method::DELETE, &path)).await.expect(200);
    assert_eq!(socket.event("queryDeleted").await["queryId"], query);
}
