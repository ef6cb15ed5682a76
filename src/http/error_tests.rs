//! What clients are told when something is refused or fails.

use std::time::Duration;

use aggregates::donor_query::DonorQueryError;
use aggregates::ids::UserId;
use aggregates::people::StaffRef;
use axum::response::{IntoResponse, Response};

use super::{ApiError, ErrorBody, Violation};

fn body(response: &Response) -> &ErrorBody {
    response.extensions().get().expect("every error carries its body")
}

#[test]
fn a_held_query_names_its_holder_in_words_the_dashboard_looks_for() {
    let holder = StaffRef { id: UserId::new(3), name: "Ada".to_owned() };
    let response = ApiError::Refused(DonorQueryError::AlreadyHeld(holder)).into_response();
    assert_eq!(response.status(), 409);
    assert!(body(&response).message.contains("already accepted"));
    assert!(body(&response).message.contains("already assigned"));
    assert_eq!(body(&response).assigned_to, Some(serde_json::json!({"id": 3, "name": "Ada"})));
}

#[test]
fn a_wait_is_rounded_up() {
    let response = ApiError::TooManyRequests(Duration::from_millis(1_001)).into_response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "2");
}

#[test]
fn a_cause_is_never_sent() {
    let response = ApiError::Internal(Some("relation users does not exist".into())).into_response();
    assert_eq!(response.status(), 500);
    assert_eq!(body(&response).message, "Internal server error");
}

#[test]
fn a_violation_names_the_rule() {
    let response = ApiError::Invalid(vec![Violation::new("donor", "isNotEmpty", "donor should not be empty")]);
    let json = serde_json::to_value(body(&response.into_response())).expect("plain data");
    assert_eq!(json["statusCode"], 400);
    assert_eq!(json["message"], "Validation failed");
    assert_eq!(json["error"], "Bad Request");
    assert_eq!(json["errors"][0]["constraints"]["isNotEmpty"], "donor should not be empty");
}
