//! Donors reach their own queries and nothing else.

use proof_concierge::config::DonorAccess;
use serde_json::json;

use crate::support::desk::{desk, desk_with, query_of};

#[tokio::test]
async fn somebody_elses_query_is_not_there() {
    let desk = desk().await;
    let (_, id) = desk.donor("d-1").await;
    let (other, _) = desk.donor("d-2").await;
    let message = json!({ "content": "Hello" });
    other.get(&format!("/api/v1/messages/query/{id}")).await.expect(404);
    other.get(&format!("/api/v1/donor-queries/{id}/is-accepted")).await.expect(404);
    other.get("/api/v1/donor-queries/donor/d-1").await.expect(404);
    other.post(&format!("/api/v1/messages/donor/{id}"), &message).await.expect(404);
    other.post(&format!("/api/v1/donor-queries/{id}/donor-close"), &json!({ "donorId": "d-1" })).await.expect(404);
    other.get("/api/v1/donor-queries/general").await.expect(403);
}

#[tokio::test]
async fn knowing_a_donors_id_opens_nothing() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    donor.post(&format!("/api/v1/donor-queries/{id}/donor-close"), &json!({})).await.expect(201);
    let thief = desk.anonymous().post("/api/v1/donor-queries", &query_of("d-1")).await.expect(201);
    let thief = desk.anonymous().with_token(thief.at("/data/donorToken").as_str().unwrap());
    thief.get(&format!("/api/v1/messages/query/{id}")).await.expect(404);
    let seen = thief.get("/api/v1/donor-queries/user?donorId=d-1").await.expect(200);
    assert_eq!(seen.body.as_array().unwrap().len(), 1, "only what this token opened: {seen}");
    desk.anonymous().get("/api/v1/donor-queries/user?donorId=d-1").await.expect(401);
}

#[tokio::test]
async fn an_old_app_may_name_its_donor_where_the_desk_allows_it() {
    let desk = desk_with(|config| config.donor_access = DonorAccess::Open).await;
    let (_, id) = desk.donor("d-1").await;
    let old = desk.anonymous();
    assert_eq!(*old.get("/api/v1/donor-queries/user?donorId=d-1").await.expect(200).at("/0/id"), json!(id));
    old.get("/api/v1/donor-queries/donor/d-1").await.expect(200);
    let message = json!({ "content": "Hello", "donorId": "d-1" });
    old.post(&format!("/api/v1/messages/donor/{id}"), &message).await.expect(201);
    let lie = json!({ "content": "Hello", "donorId": "d-2" });
    old.post(&format!("/api/v1/messages/donor/{id}"), &lie).await.expect(404);
    old.get("/api/v1/donor-queries/general?donorId=d-1").await.expect(401);
    old.get("/api/v1/donor-queries/user?donorId=a%00b").await.expect(400);
    old.get("/api/v1/donor-queries/donor/a%00b").await.expect(400);
    old.with_token("not a token").get("/api/v1/donor-queries/user?donorId=d-1").await.expect(401);
    old.post(&format!("/api/v1/donor-queries/{id}/donor-close"), &json!({ "donorId": "d-1" })).await.expect(201);
}

#[tokio::test]
async fn one_caller_may_ask_for_so_much_and_no_more() {
    let desk = desk_with(|config| config.limits.open_per_minute = 1).await;
    desk.donor("d-1").await;
    let refused = desk.anonymous().post("/api/v1/donor-queries", &query_of("d-2")).await.expect(429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn no_donor_has_the_name_under_which_the_key_of_a_chat_is_kept() {
    let desk = desk().await;
    let refused = desk.anonymous().post("/api/v1/donor-queries", &query_of("staff-chat:1:2")).await.expect(400);
    assert_eq!(*refused.at("/errors/0/property"), "donorId");
}
