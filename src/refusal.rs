//! The body of every error, whichever part of the service it comes from.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The body of every error.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The status code once more.
    pub status_code: u16,
    /// The status code under the name that the envelopes of success use.
    pub status: u16,
    /// The status code in words.
    pub error: &'static str,
    /// What is wrong, for people.
    #[schema(value_type = String)]
    pub message: String,
    /// What is wrong, for programs; never changes.
    #[schema(example = "validation_failed")]
    pub code: &'static str,
    /// What is wrong with which value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Violation>>,
    /// Who holds the query, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub assigned_to: Option<Value>,
    /// How far the read models are, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The request, as the log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One rule that one value breaks. The value itself is not repeated: it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// The name of the value.
    pub property: String,
    /// What is wrong with it, by the name of the rule.
    #[schema(value_type = Object, example = json!({"isNotEmpty": "donor should not be empty"}))]
    pub constraints: Map<String, Value>,
}

impl ErrorBody {
    /// What every error has.
    pub fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status_code: status.as_u16(),
            status: status.as_u16(),
            error: status.canonical_reason().unwrap_or("Error"),
            message,
            code,
            errors: None,
            assigned_to: None,
            position: None,
            request_id: None,
        }
    }
}

impl IntoResponse for ErrorBody {
    /// The body stays in the extensions too, for the layer that knows the request's id and adds it.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Violation {
    /// One broken rule.
    pub fn new(property: impl Into<String>, rule: &str, text: impl Into<String>) -> Self {
        let mut constraints = Map::new();
        constraints.insert(rule.to_owned(), Value::String(text.into()));
        Self { property: property.into(), constraints }
    }
}
