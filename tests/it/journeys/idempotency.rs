//! The same command twice is carried out once.

use reqwest::Method;
use serde_json::json;

use crate::support::desk::{desk, query_of};

/// Whoever has no token needs a key that nobody guesses.
const UNGUESSABLE: &str = "0b9d6f4e-6a2c-4f43-9f38-9b1c7a3d5e10";

#[tokio::test]
async fn the_same_key_is_answered_as_the_first_time() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let open = |donor: &str| {
        let request = nobody.request(Method::POST, "/api/v1/donor-queries");
        nobody.send(request.header("Idempotency-Key", UNGUESSABLE).json(&query_of(donor)))
    };
    let first = open("d-1").await.expect(201);
    let second = open("d-1").await.expect(201);
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("concierge-position"), first.header("concierge-position"));
    assert!(first.headers.get("idempotent-replayed").is_none());
    assert_eq!(*open("d-2").await.expect(422).at("/code"), "idempotency_key_reused");
}

#[tokio::test]
async fn a_repetition_says_so_even_if_its_first_answer_was_not_kept() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let open = || {
        let request = nobody.request(Method::POST, "/api/v1/donor-queries").header("Prefer", "respond-async");
        nobody.send(request.header("Idempotency-Key", UNGUESSABLE).json(&query_of("d-1")))
    };
    let (first, second) = (open().await.expect(202), open().await.expect(202));
    assert!(first.headers.get("idempotent-replayed").is_none());
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!((first.at("/data/id"), first.at("/position")), (second.at("/data/id"), second.at("/position")));
}

#[tokio::test]
async fn without_a_token_a_key_that_can_be_guessed_is_refused() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let request = nobody.request(Method::POST, "/api/v1/donor-queries").header("Idempotency-Key", "d-1");
    let refused = nobody.send(request.json(&query_of("d-1"))).await.expect(400);
    assert_eq!(*refused.at("/code"), "weak_idempotency_key");
    nobody.post("/api/v1/donor-queries", &query_of("d-1")).await.expect(201);
}

#[tokio::test]
async fn a_hundred_at_once_get_one_answer() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    let post = || {
        let request = donor.request(Method::POST, &format!("/api/v1/messages/donor/{id}"));
        donor.send(request.header("Idempotency-Key", "say-1").json(&json!({ "content": "once" })))
    };
    let answers = futures_util::future::join_all((0..100).map(|_| post())).await;
    let bodies: Vec<_> = answers.into_iter().map(|answer| answer.expect(201).body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let said = donor.get(&format!("/api/v1/messages/query/{id}")).await.expect(200);
    assert_eq!(said.to_string().matches("\"once\"").count(), 1, "{said}");
}

#[tokio::test]
async fn keys_of_different_people_never_meet() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let (_, id) = desk.donor("d-1").await;
    for (client, content) in [(&ada, "from Ada"), (&ben, "from Ben")] {
        let request = client.request(Method::POST, &format!("/api/v1/messages/admin/{id}"));
        let request = request.header("Idempotency-Key", "same").json(&json!({ "content": content }));
        assert_eq!(*client.send(request).await.expect(201).at("/data/content"), content);
    }
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let post = ada.request(Method::POST, &format!("/api/v1/messages/admin/{id}")).json(&json!({ "content": "Hi" }));
    let get = ada.request(Method::GET, &format!("/api/v1/messages/query/{id}"));
    for request in [post, get] {
        let refused = ada.send(request.header("Idempotency-Key", "x".repeat(256))).await.expect(400);
        assert_eq!(*refused.at("/code"), "malformed_idempotency_key");
    }
}

#[tokio::test]
async fn a_repetition_with_nothing_left_to_do_is_answered_as_the_first_time() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    donor.post(&format!("/api/v1/communication/call/{id}/request"), &json!({})).await.expect(201);
    let begun = ada.post(&format!("/api/v1/communication/call/{id}/accept-request"), &json!({})).await.expect(201);
    let end = format!("/api/v1/communication/call/{}/end", begun.at("/data/room/name").as_str().unwrap());
    let end = |key: &'static str| {
        let request = ada.request(Method::POST, &end).header("Prefer", "respond-async");
        ada.send(request.header("Idempotency-Key", key))
    };
    let (first, second) = (end("end-1").await.expect(202), end("end-1").await.expect(202));
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(first.at("/position"), second.at("/position"), "the call's last fact is behind the query's");
    assert_eq!(first.at("/position"), end("end-2").await.expect(202).at("/position"));
}
