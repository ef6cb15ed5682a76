//! The paths that only the oldest dashboard knows.

use reqwest::Method;
use serde_json::json;

use super::{call, post_nothing};
use crate::support::desk::desk;

#[tokio::test]
async fn the_oldest_dashboard_starts_and_asks_without_harm() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let ask = json!({ "queryId": query, "mode": "video", "message": "Let us talk" });
    let told = ada.post("/api/v1/communication/request-call", &ask).await.expect(201);
    assert_eq!((told.at("/success"), told.at("/data")), (&json!(false), &json!(null)));
    assert_eq!(*ada.get(&call(&format!("{query}/requests"))).await.expect(200).at("/data"), json!([]));
    let asked = donor.post("/api/v1/communication/request-call", &ask).await.expect(201);
    assert_eq!(*asked.at("/data/callRequest/status"), "PENDING");

    let body = json!({ "userId": 1, "mode": "AUDIO", "expiryMinutes": 60, "callerName": "Ada" });
    let refused = ada.post("/api/v1/communication/call", &body).await.expect(422);
    assert_eq!(*refused.at("/code"), "query_required");
    let body = json!({ "queryId": query.to_string(), "mode": "AUDIO" });
    let begun = ada.post("/api/v1/communication/call", &body).await.expect(201);
    assert_eq!(*begun.at("/data/admin/mode"), "AUDIO");
}

#[tokio::test]
async fn the_oldest_dashboard_answers_requests() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let ask = async |donor_id: &str| {
        let (donor, query) = desk.donor(donor_id).await;
        let asked = post_nothing(&donor, &call(&format!("{query}/request"))).await.expect(201);
        (donor, query, asked.at("/data/callRequest/id").clone())
    };
    let put = async |query: i64, body| {
        let request = ada.request(Method::PUT, &format!("/api/v1/communication/{query}"));
        ada.send(request.json(&body)).await
    };
    let (_, query, request) = ask("d-1").await;
    let listed = ada.get(&format!("/api/v1/communication/call-requests/{query}")).await.expect(200);
    assert_eq!(*listed.at("/data/0/id"), request);
    put(query, json!({ "status": "MAYBE" })).await.expect(400);
    put(query, json!({})).await.expect(400);
    let accepted = put(query, json!({ "status": "ACCEPTED", "callRequestId": request })).await.expect(200);
    assert!(accepted.at("/data/adminToken").is_string());
    let (_, query, _) = ask("d-2").await;
    let declined = put(query, json!({ "status": "declined", "reason": "Busy" })).await.expect(200);
    assert_eq!(*declined.at("/data/status"), "REJECTED");

    let cancel = "/api/v1/communication/cancel-call-request";
    let (donor, _, request) = ask("d-3").await;
    let (thief, _) = desk.donor("d-4").await;
    let body = json!({ "requestId": request });
    thief.post(cancel, &body).await.expect(404);
    assert_eq!(*donor.post(cancel, &body).await.expect(201).at("/data/status"), "CANCELLED");
    ada.post(cancel, &json!({})).await.expect(400);
}

#[tokio::test]
async fn chat_is_the_same_conversation_without_an_envelope() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let (donor, query) = desk.donor("d-1").await;
    let words = json!({ "queryId": query, "content": "Between us", "recipientId": desk.id_of("ben") });
    let said = ada.post("/api/v1/chat/messages", &words).await.expect(201);
    assert_eq!((said.at("/messageType"), said.at("/content")), (&json!("CHAT"), &json!("Between us")));
    let between = format!("/api/v1/chat/messages/between/{}/{}", desk.id_of("ada"), desk.id_of("ben"));
    for path in ["/api/v1/chat/messages", &format!("/api/v1/chat/messages/donor-query/{query}"), &between] {
        assert_eq!(ben.get(path).await.expect(200).at("/0/id"), said.at("/id"), "{path}");
        donor.get(path).await.expect(403);
    }
    ada.post("/api/v1/chat/messages", &json!({ "content": "About what?" })).await.expect(422);
    ada.get("/api/v1/chat/messages/donor-query/999999").await.expect(404);
}

#[tokio::test]
async fn the_address_of_a_room_without_a_provider_says_so() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, query) = desk.donor("d-1").await;
    let begun = ada.post(&call(&query.to_string()), &json!({})).await.expect(201);
    let address = begun.at("/data/roomUrl").as_str().unwrap();
    let path = address.strip_prefix(desk.anonymous().base_url()).expect("a room of this desk");
    let page = desk.anonymous().send(desk.anonymous().request(Method::GET, path)).await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{page}");
}
