//! The life of a query, from asking to closing.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::desk::{desk, desk_with, query_of};

#[tokio::test]
async fn a_donor_asks_and_staff_accept_answer_transfer_and_resolve() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let (donor, id) = desk.donor("d-1").await;

    let list = ada.get("/api/v1/donor-queries/unassigned").await.expect(200);
    assert_eq!((list.at("/data/0/id"), list.at("/data/0/status")), (&json!(id), &json!("PENDING_REPLY")));
    assert_eq!(*list.at("/data/0/messages/0/content"), "Where does the sample go?");

    let accepted = ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    assert_eq!(*accepted.at("/data/assignedToUser/name"), "Ada");
    let refused = ben.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(409);
    assert!(refused.at("/message").as_str().unwrap().contains("already assigned"));
    assert_eq!(*refused.at("/assignedTo/name"), "Ada");

    let seen = donor.get(&format!("/api/v1/donor-queries/{id}/is-accepted")).await.expect(200);
    assert_eq!((seen.at("/data/isAccepted"), seen.at("/data/assignedToUser/name")), (&json!(true), &json!("Ada")));
    assert!(seen.body.pointer("/data/assignedToUser/email").is_none(), "{seen}");

    let transfer = json!({ "adminId": desk.id_of("ben").to_string(), "transferNote": "knows the lab" });
    let moved = ada.patch(&format!("/api/v1/donor-queries/{id}/transfer"), &transfer).await.expect(200);
    assert_eq!((moved.at("/data/status"), moved.at("/data/transferredTo")), (&json!("TRANSFERRED"), &json!("Ben")));
    assert_eq!(*moved.at("/data/transferNote"), "knows the lab");
    ada.post(&format!("/api/v1/donor-queries/{id}/send-reminder"), &json!({})).await.expect(201);
    let mine = ben.get("/api/v1/donor-queries/transferred-to-me").await.expect(200);
    assert_eq!(*mine.at("/data/0/id"), json!(id));

    ben.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    let done = ben.post(&format!("/api/v1/donor-queries/{id}/resolve"), &json!({})).await.expect(201);
    assert_eq!((done.at("/data/status"), done.at("/data/resolvedByUser/name")), (&json!("RESOLVED"), &json!("Ben")));
}

#[tokio::test]
async fn a_donor_has_one_open_query_and_closes_it() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    let refused = desk.anonymous().post("/api/v1/donor-queries", &query_of("d-1")).await.expect(409);
    assert_eq!(*refused.at("/code"), "donor_has_open_query");

    let closed = donor.post(&format!("/api/v1/donor-queries/{id}/donor-close"), &json!({ "donorId": "d-1" })).await;
    assert_eq!(*closed.expect(201).at("/data/status"), "RESOLVED");
    donor.post(&format!("/api/v1/donor-queries/{id}/donor-close"), &json!({})).await.expect(409);

    let again = donor.post("/api/v1/donor-queries", &query_of("d-1")).await.expect(201);
    let both = donor.get("/api/v1/donor-queries/user?donorId=d-1").await.expect(200);
    assert_eq!(both.body.as_array().unwrap().len(), 2, "one token opens both: {both}");
    assert_ne!(*again.at("/data/id"), json!(id));
}

#[tokio::test]
async fn a_query_changes_only_at_the_version_the_client_saw() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let seen = ada.get(&format!("/api/v1/donor-queries/{id}")).await.expect(200);
    let (tag, path) = (seen.header("etag").to_owned(), format!("/api/v1/donor-queries/{id}"));
    let edit =
        |stage: &str| ada.request(Method::PATCH, &path).header("If-Match", &tag).json(&json!({ "stage": stage }));
    let changed = ada.send(edit("Shipping")).await.expect(200);
    assert_eq!(*changed.at("/data/stage"), "Shipping");
    let refused = ada.send(edit("Lab")).await.expect(412);
    assert_eq!(refused.header("etag"), changed.header("etag"));
    let garbage = ada.request(Method::PATCH, &path).header("If-Match", "seventeen").json(&json!({}));
    ada.send(garbage).await.expect(400);
}

#[tokio::test]
async fn unknown_keys_change_nothing_and_a_status_is_a_command() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{id}");
    let before = ada.get(&path).await.expect(200);
    let same = ada.patch(&path, &json!({ "queryMode": "Video Call" })).await.expect(200);
    assert_eq!(same.at("/data/version"), before.at("/data/version"));
    ada.patch(&path, &json!({ "status": "TRANSFERRED" })).await.expect(400);
    ada.patch(&path, &json!({ "status": "RESOLVED" })).await.expect(403);
    ada.patch(&format!("{path}/accept"), &json!({})).await.expect(200);
    let done = ada.patch(&path, &json!({ "status": "RESOLVED", "stage": "Done" })).await.expect(200);
    assert_eq!((done.at("/data/status"), done.at("/data/stage")), (&json!("RESOLVED"), &json!("Done")));
    let reopened = ada.post(&format!("{path}/in-progress"), &json!({})).await.expect(201);
    assert_eq!(*reopened.at("/data/status"), "IN_PROGRESS");
}

#[tokio::test]
async fn only_a_super_admin_deletes_and_then_the_query_is_gone() {
    let desk = desk().await;
    let (ada, sue) = (desk.staff("ada").await, desk.staff("sue").await);
    let (donor, id) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{id}");
    ada.send(ada.request(Method::DELETE, &path)).await.expect(403);
    let deleted = sue.send(sue.request(Method::DELETE, &path)).await.expect(200);
    assert_eq!(*deleted.at("/data/id"), json!(id));
    ada.get(&path).await.expect(404);
    donor.get(&format!("{path}/is-accepted")).await.expect(404);
    sue.send(sue.request(Method::DELETE, &path)).await.expect(404);
}

#[tokio::test]
async fn a_client_that_will_not_wait_is_told_where_to_look() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{id}");
    let accept = ada.request(Method::PATCH, &format!("{path}/accept")).header("Prefer", "respond-async");
    let answer = ada.send(accept).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let position = answer.at("/position").as_i64().unwrap();
    let seen = ada.get(&format!("{path}?min_position={position}")).await.expect(200);
    assert_eq!(*seen.at("/data/assignedToUser/name"), "Ada");
    let far = ada.get(&format!("{path}?min_position=999999")).await.expect(400);
    assert_eq!(*far.at("/errors/0/property"), "min_position");
}

#[tokio::test]
async fn a_read_is_not_older_than_its_reader_asks() {
    // Nobody fills the read models.
    let desk = desk_with(|config| (config.roles.projector, config.read_your_writes_ms) = (false, 100)).await;
    let opened = desk.anonymous().post("/api/v1/donor-queries", &query_of("d-1")).await.expect(202);
    let ada = desk.staff("ada").await;
    let later = ada.get(&format!("/api/v1/donor-queries?min_position={}", opened.at("/position"))).await.expect(503);
    assert_eq!((later.at("/code"), later.at("/position")), (&json!("not_there_yet"), &json!(0)));
    assert!(!later.header("retry-after").is_empty());
}
