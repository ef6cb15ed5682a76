//! Every error of Firebase's table, and what answers without a code mean.

use serde_json::{Value, json};

use super::*;

fn answer(status: u16, body: &Value) -> Verdict {
    answer_after(status, body, None)
}

fn answer_after(status: u16, body: &Value, retry_after: Option<Duration>) -> Verdict {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, retry_after, body: body.to_string().into_bytes() }.verdict()
}

fn fault(status: u16, own_code: &str, message: &str) -> Value {
    let detail = json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": own_code });
    json!({ "error": { "code": status, "message": message, "status": "ANY", "details": [detail] } })
}

fn later(after: Option<Duration>, why: &str) -> Verdict {
    Verdict::Is(Outcome::Later { after, why: why.to_owned() })
}

fn failed(why: &str) -> Verdict {
    Verdict::Is(Outcome::failed(why))
}

#[test]
fn a_device_that_is_gone_is_forgotten() {
    assert_eq!(answer(404, &fault(404, "UNREGISTERED", "")), Verdict::Is(Outcome::Gone));
    assert_eq!(answer(403, &fault(403, "SENDER_ID_MISMATCH", "")), Verdict::Is(Outcome::Gone));
    let no_token = "The registration token is not a valid FCM registration token";
    assert_eq!(answer(400, &fault(400, "INVALID_ARGUMENT", no_token)), Verdict::Is(Outcome::Gone));
}

#[test]
fn nonsense_of_ours_costs_no_device() {
    let mut nonsense = fault(400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token");
    let violation = json!({ "field": "message.data[\"Dora's\"]", "description": "Invalid value (\"Dora\")" });
    let details = nonsense["error"]["details"].as_array_mut().expect("a list");
    details.push(json!({ "fieldViolations": [violation] }));
    assert_eq!(answer(400, &nonsense), failed("FCM answered 400 INVALID_ARGUMENT: message.data"));
    assert_eq!(answer(400, &fault(400, "INVALID_ARGUMENT", "too big")), failed("FCM answered 400 INVALID_ARGUMENT"));
}

#[test]
fn a_service_under_load_is_left_alone_as_long_as_it_asks() {
    let asked = Some(Duration::from_secs(7));
    let quota = fault(429, "QUOTA_EXCEEDED", "");
    assert_eq!(answer_after(429, &quota, asked), later(asked, "FCM answered 429 QUOTA_EXCEEDED"));
    assert_eq!(answer(429, &quota), later(Some(QUOTA_WAIT), "FCM answered 429 QUOTA_EXCEEDED"));
    assert_eq!(answer(429, &Value::Null), later(Some(QUOTA_WAIT), "FCM answered 429"));
    let busy = fault(503, "UNAVAILABLE", "");
    assert_eq!(answer_after(503, &busy, asked), later(asked, "FCM answered 503 UNAVAILABLE"));
    assert_eq!(answer(500, &fault(500, "INTERNAL", "")), later(None, "FCM answered 500 INTERNAL"));
    assert_eq!(answer(502, &json!("a proxy's page")), later(None, "FCM answered 502"));
}

#[test]
fn a_refused_token_is_told_from_a_refused_key_of_apple() {
    let general = json!({ "error": { "code": 401, "status": "UNAUTHENTICATED", "message": "" } });
    assert_eq!(answer(401, &general), Verdict::TokenRefused);
    let why = "FCM answered 401 THIRD_PARTY_AUTH_ERROR: the project's key for Apple or for browsers is wrong";
    assert_eq!(answer(401, &fault(401, "THIRD_PARTY_AUTH_ERROR", "")), failed(why));
}

#[test]
fn a_missing_project_costs_no_device() {
    let missing = json!({ "error": { "code": 404, "status": "NOT_FOUND", "message": "" } });
    assert_eq!(answer(404, &missing), failed("FCM answered 404 NOT_FOUND"));
    let denied = json!({ "error": { "code": 403, "status": "PERMISSION_DENIED", "message": "" } });
    assert_eq!(answer(403, &denied), failed("FCM answered 403 PERMISSION_DENIED"));
}

#[test]
fn a_code_that_is_none_is_not_repeated() {
    let strange = json!({ "error": { "status": "see <script> of Dora" } });
    assert_eq!(answer(418, &strange), failed("FCM answered 418"));
}
