//! Calls end: once, whoever says so, and however often.

use reqwest::Method;
use serde_json::json;

use super::{begin, call, conversation, newest, post_nothing, set_status};
use crate::support::desk::desk;

#[tokio::test]
async fn a_call_that_is_ended_twice_ended_once() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let room = begin(&ada, query).await;
    let end = call(&format!("{room}/end"));
    let first = post_nothing(&ada, &end).await.expect(201);
    assert_eq!((first.at("/data/status"), first.at("/data/endReason")), (&json!("ENDED"), &json!("HUNG_UP")));
    let second = post_nothing(&ada, &end).await.expect(201);
    assert_eq!(first.at("/data/endedAt"), second.at("/data/endedAt"));
    let third = donor.post(&call(&format!("{room}/donor-end")), &json!({})).await.expect(201);
    assert_eq!(first.at("/data/endedAt"), third.at("/data/endedAt"));
    let told = conversation(&donor, query).await;
    assert_eq!(told.iter().filter(|said| said["messageType"] == "CALL_ENDED").count(), 1);
    let ended = newest(&told, "CALL_ENDED");
    assert_eq!((&ended["callSession"]["status"], &ended["userToken"]), (&json!("ENDED"), &json!(null)));
    let none = donor.get(&call(&format!("{query}/active-call"))).await.expect(200);
    assert_eq!((none.at("/success"), none.at("/data")), (&json!(false), &json!(null)));
    begin(&ada, query).await;
}

#[tokio::test]
async fn a_donor_hangs_up_without_a_body_and_under_no_other_name() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let room = begin(&desk.staff("ada").await, query).await;
    let end = call(&format!("{room}/donor-end"));
    donor.post(&end, &json!({ "donorId": "d-2" })).await.expect(404);
    let ended = post_nothing(&donor, &end).await.expect(201);
    assert_eq!((ended.at("/data/status"), ended.at("/data/query/id")), (&json!("ENDED"), &json!(query)));
}

#[tokio::test]
async fn the_status_of_a_call_only_goes_on() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let room = begin(&ada, query).await;
    assert_eq!(*set_status(&ada, &room, "created").await.expect(200).at("/data/status"), "CREATED");
    let started = set_status(&ada, &room, "STARTED").await.expect(200);
    let again = set_status(&ada, &room, "STARTED").await.expect(200);
    assert_eq!(started.at("/data/startedAt"), again.at("/data/startedAt"));
    assert_eq!(*set_status(&ada, &room, "CREATED").await.expect(409).at("/code"), "call_began");
    let ended = set_status(&ada, &room, "ENDED").await.expect(200);
    assert!(ended.at("/data/endedAt").is_string());
    assert_eq!(newest(&conversation(&ada, query).await, "CALL_ENDED")["callSession"]["status"], "ENDED");
    assert_eq!(*set_status(&ada, &room, "STARTED").await.expect(409).at("/code"), "call_ended");
    set_status(&ada, &room, "ENDED").await.expect(200);
    set_status(&ada, &room, "PAUSED").await.expect(400);
    let without = ada.request(Method::PUT, &call(&format!("{room}/status")));
    assert_eq!(*ada.send(without).await.expect(400).at("/errors/0/property"), "status");
}

#[tokio::test]
async fn a_deleted_room_ends_its_call_and_lets_nobody_in() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let room = begin(&ada, query).await;
    for _ in 0..2 {
        let deleted = ada.send(ada.request(Method::DELETE, &call(&room))).await.expect(200);
        assert_eq!(*deleted.at("/status"), json!(200));
    }
    assert_eq!(newest(&conversation(&donor, query).await, "CALL_ENDED")["callSession"]["status"], "ENDED");
}

#[tokio::test]
async fn the_end_of_a_query_is_the_end_of_its_call() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    for (donor_id, path, reason) in [
        ("d-1", "resolve", "QUERY_RESOLVED"),
        ("d-2", "transfer", "QUERY_TRANSFERRED"),
        ("d-3", "donor-close", "QUERY_CLOSED"),
    ] {
        let (donor, query) = desk.donor(donor_id).await;
        let room = begin(&ada, query).await;
        let who = if path == "donor-close" { &donor } else { &ada };
        let body = json!({ "adminId": desk.id_of("ben") });
        who.post(&format!("/api/v1/donor-queries/{query}/{path}"), &body).await.expect(201);
        let calls = ada.get(&call(&format!("calls/{query}"))).await.expect(200);
        assert_eq!(*calls.at("/data/callSessions/0/endReason"), reason);
        // The window of the call reports its end as well.
        post_nothing(&ada, &call(&format!("{room}/end"))).await.expect(201);
    }
}
