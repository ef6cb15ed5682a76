//! Who gets through which door, checked on the call and not on the path.

use reqwest::Method;
use serde_json::{Value, json};

use super::{begin, call, conversation, newest, post_nothing, set_status};
use crate::support::desk::{desk, desk_with, query_of};
use proof_concierge::config::DonorAccess;

#[tokio::test]
async fn somebody_elses_call_is_not_there() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let (thief, _) = desk.donor("d-2").await;
    let room = begin(&desk.staff("ada").await, query).await;
    let nobody = desk.anonymous();
    for path in ["direct-call", "request", "cancel-request", "cancel-request/0"] {
        let path = call(&format!("{query}/{path}"));
        post_nothing(&thief, &path).await.expect(404);
        post_nothing(&nobody, &path).await.expect(401);
    }
    thief.get(&call(&format!("{query}/active-call"))).await.expect(404);
    nobody.get(&call(&format!("{query}/active-call"))).await.expect(401);
    let end = call(&format!("{room}/donor-end"));
    thief.post(&end, &json!({ "donorId": "d-1" })).await.expect(404);
    let unknown = post_nothing(&thief, &call("call-1-0000/donor-end")).await.expect(404);
    assert_eq!(post_nothing(&thief, &end).await.expect(404).at("/message"), unknown.at("/message"));
    nobody.post(&end, &json!({ "donorId": "d-1" })).await.expect(401);
    assert_eq!(*donor.get(&call(&format!("{query}/active-call"))).await.expect(200).at("/success"), json!(true));
}

#[tokio::test]
async fn donors_do_not_do_what_staff_do() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let room = begin(&desk.staff("ada").await, query).await;
    for path in [query.to_string(), format!("{query}/accept-request"), format!("{room}/end")] {
        post_nothing(&donor, &call(&path)).await.expect(403);
    }
    set_status(&donor, &room, "ENDED").await.expect(403);
    donor.send(donor.request(Method::DELETE, &call(&room))).await.expect(403);
    donor.get(&call(&format!("calls/{query}"))).await.expect(403);
}

#[tokio::test]
async fn colleagues_do_not_touch_the_call_of_the_holder_but_a_super_admin_does() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let (ada, ben, sue) = (desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await);
    let room = begin(&ada, query).await;
    post_nothing(&ben, &call(&query.to_string())).await.expect(403);
    post_nothing(&ben, &call(&format!("{room}/end"))).await.expect(403);
    set_status(&ben, &room, "STARTED").await.expect(403);
    set_status(&ben, &room, "ENDED").await.expect(403);
    ben.send(ben.request(Method::DELETE, &call(&room))).await.expect(403);
    let active = ben.get(&call(&format!("{query}/active-call"))).await.expect(200);
    assert_eq!((active.at("/data/adminToken"), active.at("/data/roomUrl").is_string()), (&Value::Null, true));
    assert_eq!(newest(&conversation(&ben, query).await, "CALL_STARTED")["adminToken"], Value::Null);
    let session = active.at("/data/callSession/id").as_i64().unwrap();
    ben.get(&call(&format!("call-session/{session}"))).await.expect(403);
    assert!(sue.get(&call(&format!("call-session/{session}"))).await.expect(200).at("/data/adminToken").is_string());
    post_nothing(&sue, &call(&format!("{room}/end"))).await.expect(201);
    post_nothing(&ada, &call("no-such-room/end")).await.expect(404);
}

#[tokio::test]
async fn the_token_of_staff_is_in_no_answer_to_a_donor() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let begun = post_nothing(&ada, &call(&query.to_string())).await.expect(201);
    let room = begun.at("/data/callSession/roomName").as_str().unwrap();
    let answers = [
        donor.get(&call(&format!("{query}/active-call"))).await.expect(200),
        post_nothing(&donor, &call(&format!("{query}/direct-call"))).await.expect(201),
        donor.get(&format!("/api/v1/messages/query/{query}")).await.expect(200),
        donor.get("/api/v1/donor-queries/donor/d-1").await.expect(200),
        donor.get("/api/v1/donor-queries/user?donorId=d-1").await.expect(200),
        donor.post(&format!("/api/v1/messages/donor/{query}"), &json!({ "content": "Hello?" })).await.expect(201),
        post_nothing(&donor, &call(&format!("{room}/donor-end"))).await.expect(201),
        donor.post(&format!("/api/v1/donor-queries/{query}/donor-close"), &json!({})).await.expect(201),
        desk.anonymous().post("/api/v1/donor-queries/start-call", &query_of("d-2")).await.expect(201),
    ];
    for answer in answers {
        for token in tokens(&answer.body) {
            assert_eq!(super::claims(&token)["role"], "donor", "{answer}");
        }
    }
}

/// Every text of an answer that looks like a token for a call.
fn tokens(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) if text.split('.').count() == 3 && text.starts_with("eyJ") => {
            let token = Value::String(text.clone());
            if super::claims(&token)["provider"] == "local" { vec![token] } else { vec![] }
        }
        Value::Array(values) => values.iter().flat_map(tokens).collect(),
        Value::Object(fields) => fields.values().flat_map(tokens).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    }
}

#[tokio::test]
async fn a_way_in_opens_nothing_but_its_room() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let begun = post_nothing(&ada, &call(&query.to_string())).await.expect(201);
    let token = begun.at("/data/adminToken").as_str().unwrap();
    desk.anonymous().with_token(token).get("/api/v1/users/me").await.expect(401);
    desk.anonymous().with_token(token).get(&format!("/api/v1/messages/query/{query}")).await.expect(401);
}

#[tokio::test]
async fn an_old_donor_app_hangs_up_by_its_donors_id_where_the_desk_allows_it() {
    let desk = desk_with(|config| config.donor_access = DonorAccess::Open).await;
    let (_, query) = desk.donor("d-1").await;
    let room = begin(&desk.staff("ada").await, query).await;
    let old = desk.anonymous();
    let end = call(&format!("{room}/donor-end"));
    old.post(&end, &json!({ "donorId": "d-2" })).await.expect(404);
    old.post(&end, &json!({ "donorId": "d-1" })).await.expect(201);
}
