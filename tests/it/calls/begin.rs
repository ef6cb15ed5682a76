//! Calls begin: once, in one room, in every spelling.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{begin, call, claims, conversation, newest, post_nothing};
use crate::support::desk::{desk, desk_with, query_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_start_at_once_and_there_is_one_call_in_one_room() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let (ada, sue) = (desk.staff("ada").await, desk.staff("sue").await);
    ada.patch(&format!("/api/v1/donor-queries/{query}/accept"), &json!({})).await.expect(200);
    let path = call(&query.to_string());
    let starts = (0..6).map(|turn| if turn % 2 == 0 { &ada } else { &sue });
    let answers = join_all(starts.map(|person| post_nothing(person, &path))).await;
    let begun: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(begun.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status.as_u16(), refused.at("/code")), (409, &json!("call_active")));
        assert!(refused.at("/message").as_str().unwrap().contains("already an active call"));
    }
    let listed = ada.get(&call(&format!("calls/{query}"))).await.expect(200);
    assert_eq!(listed.at("/data/callSessions").as_array().unwrap().len(), 1);
    assert_eq!(listed.at("/data/callSessions/0/roomName"), begun[0].at("/data/callSession/roomName"));
}

#[tokio::test]
async fn the_words_of_both_generations_say_how_a_call_is_held() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    for (number, body, mode, call_type) in [
        (1, json!({ "userId": 1, "mode": "audio" }), "AUDIO", "audio"),
        (2, json!({ "callType": "AUDIO" }), "AUDIO", "audio"),
        (3, json!({ "mode": "Screen", "callType": "video" }), "SCREEN", "video"),
        (4, json!({ "mode": "", "callType": "audio" }), "AUDIO", "audio"),
        (5, json!({ "userId": "not a number" }), "VIDEO", "video"),
    ] {
        let (_, query) = desk.donor(&format!("d-{number}")).await;
        let begun = ada.post(&call(&query.to_string()), &body).await.expect(201);
        assert_eq!((begun.at("/data/mode"), begun.at("/data/callType")), (&json!(mode), &json!(call_type)), "{body}");
        assert_eq!(*begun.at("/data/admin/mode"), mode);
        let shown = conversation(&ada, query).await;
        let started = newest(&shown, "CALL_STARTED");
        assert_eq!((&started["callMode"], &started["callSession"]["callType"]), (&json!(mode), &json!(call_type)));
        assert_eq!(started["roomName"], *begun.at("/data/callSession/roomName"));
    }
    let (_, query) = desk.donor("d-6").await;
    let refused = ada.post(&call(&query.to_string()), &json!({ "callType": "pigeon" })).await.expect(400);
    assert_eq!(*refused.at("/errors/0/property"), "callType");
}

#[tokio::test]
async fn a_donor_calls_directly_and_finds_the_call_that_goes_on() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let path = call(&format!("{query}/direct-call"));
    let begun = post_nothing(&donor, &path).await.expect(201);
    for pointer in ["/data/tokens/user", "/data/userToken", "/data/user/roomToken", "/data/callSession/userToken"] {
        assert_eq!(claims(begun.at(pointer))["role"], "donor", "{pointer}");
    }
    let again = donor.post(&path, &json!({ "callType": "audio" })).await.expect(201);
    assert_eq!(again.at("/data/callSession/id"), begun.at("/data/callSession/id"));
    assert_eq!((again.at("/success"), again.at("/data/callType")), (&json!(true), &json!("video")));
    assert_eq!(claims(again.at("/data/userToken"))["role"], "donor");
    assert_eq!(
        conversation(&donor, query).await.iter().filter(|said| said["messageType"] == "CALL_STARTED").count(),
        1
    );
}

#[tokio::test]
async fn a_query_opens_with_a_call_about_it() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let mut body = query_of("d-1");
    body["callType"] = json!("audio");
    let opened = nobody.post("/api/v1/donor-queries/start-call", &body).await.expect(201);
    assert_eq!(*opened.at("/status"), json!(201));
    assert_eq!(claims(opened.at("/data/call/tokens/user"))["role"], "donor");
    assert_eq!(*opened.at("/data/call/callType"), "audio");
    assert_eq!(opened.at("/data/call/callSession/queryId"), opened.at("/data/query/id"));
    let donor = nobody.with_token(opened.at("/data/query/donorToken").as_str().unwrap());
    let path = call(&format!("{}/active-call", opened.at("/data/query/id")));
    assert_eq!(donor.get(&path).await.expect(200).at("/data/roomUrl"), opened.at("/data/call/roomUrl"));
    let twice = nobody.post("/api/v1/donor-queries/start-call", &body).await.expect(409);
    assert_eq!(*twice.at("/code"), "donor_has_open_query");
}

#[tokio::test]
async fn a_repeated_start_is_answered_with_the_call_of_the_first_time_and_a_new_way_in() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let start = async || {
        let request = ada.request(Method::POST, &call(&query.to_string())).header("idempotency-key", "call-1");
        ada.send(request).await.expect(201)
    };
    let (first, second) = (start().await, start().await);
    assert_eq!(first.at("/data/callSession/id"), second.at("/data/callSession/id"));
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_ne!(*second.at("/data/adminToken"), Value::Null);

    let open = async || {
        let nobody = desk.anonymous();
        let request = nobody.request(Method::POST, "/api/v1/donor-queries/start-call");
        let request = request.header("idempotency-key", "0b8d1e2f-5a51-4a08-9a37-53d1b6b0a7c1").json(&query_of("d-2"));
        nobody.send(request).await.expect(201)
    };
    let (first, second) = (open().await, open().await);
    assert_eq!(first.at("/data/query/id"), second.at("/data/query/id"));
    assert_eq!(first.at("/data/call/callSession/id"), second.at("/data/call/callSession/id"));
}

#[tokio::test]
async fn a_repetition_that_found_a_call_finds_the_same_one_when_it_is_over() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let path = call(&format!("{query}/direct-call"));
    let room = begin(&desk.staff("ada").await, query).await;
    let find = async || {
        let request = donor.request(Method::POST, &path).header("idempotency-key", "call-1");
        donor.send(request).await.expect(201)
    };
    let found = find().await;
    assert_eq!(*found.at("/data/callSession/roomName"), room);
    assert!(found.headers.get("idempotent-replayed").is_none());
    donor.post(&call(&format!("{room}/donor-end")), &json!({})).await.expect(201);

    let again = find().await;
    assert_eq!(again.at("/data/callSession/id"), found.at("/data/callSession/id"));
    assert_eq!((again.header("idempotent-replayed"), again.at("/data/userToken")), ("true", &Value::Null));
    let active = donor.get(&call(&format!("{query}/active-call"))).await.expect(200);
    assert_eq!(*active.at("/data"), Value::Null, "no other call begins");
}

#[tokio::test]
async fn a_repeated_start_about_a_query_that_was_deleted_is_refused() {
    let desk = desk().await;
    let open = async || {
        let nobody = desk.anonymous();
        let request = nobody.request(Method::POST, "/api/v1/donor-queries/start-call");
        let request = request.header("idempotency-key", "9d3c7b51-27f0-4c1e-8a55-1f1f3b0d6a42");
        nobody.send(request.json(&query_of("d-1"))).await
    };
    let query = open().await.expect(201).at("/data/query/id").clone();
    let sue = desk.staff("sue").await;
    sue.send(sue.request(Method::DELETE, &format!("/api/v1/donor-queries/{query}"))).await.expect(200);
    assert_eq!(*open().await.expect(404).at("/code"), "query_not_found");
}

#[tokio::test]
async fn an_address_begins_so_many_calls_a_minute_and_no_more() {
    let desk = desk_with(|config| config.limits.open_per_minute = 2).await;
    let (donor, query) = desk.donor("d-1").await;
    let path = call(&format!("{query}/direct-call"));
    post_nothing(&donor, &path).await.expect(201);
    assert!(!post_nothing(&donor, &path).await.expect(429).header("retry-after").is_empty());
}
