//! Asks a desk, and checks of every answer what holds for all of them: it is as the API's description says, an error has
//! the body of every error, and no password is in it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::described;
use super::shape::insist;
use crate::support::app::{Answer, Client};

/// Somebody who asks. Paths are those behind `/api/v1/`, unless they begin with a slash.
#[derive(Clone)]
pub(super) struct Wire(pub(super) Client);

impl Wire {
    /// Reads, and insists on a status.
    pub(super) async fn get(&self, path: &str, status: u16) -> Answer {
        self.ask(Method::GET, path, None, status).await
    }

    /// Posts a body, and insists on a status.
    pub(super) async fn post(&self, path: &str, body: Value, status: u16) -> Answer {
        self.ask(Method::POST, path, Some(body), status).await
    }

    /// Puts a body, and insists on a status.
    pub(super) async fn put(&self, path: &str, body: Value, status: u16) -> Answer {
        self.ask(Method::PUT, path, Some(body), status).await
    }

    /// Patches with a body, and insists on a status.
    pub(super) async fn patch(&self, path: &str, body: Value, status: u16) -> Answer {
        self.ask(Method::PATCH, path, Some(body), status).await
    }

    /// Asks in any way, perhaps without a body at all, and insists on a status.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>, status: u16) -> Answer {
        let request = self.0.request(method.clone(), &absolute(path));
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        self.send(method, path, request, status).await
    }

    /// Sends a request that the test completed, and insists on a status.
    pub(super) async fn send(&self, method: Method, path: &str, request: RequestBuilder, status: u16) -> Answer {
        let answer = self.0.send(request).await.expect(status);
        check(&method, &absolute(path), &answer);
        answer
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") }
}

fn check(method: &Method, path: &str, answer: &Answer) {
    if answer.status.is_client_error() || answer.status.is_server_error() {
        insist(&answer.body, &error());
        assert_eq!(*answer.at("/statusCode"), answer.status.as_u16(), "{answer}");
    }
    assert!(!has_password(&answer.body), "a password is told: {answer}");
    described::check(method, path, answer);
}

/// What an error says at least.
fn error() -> Value {
    json!({
        "statusCode": "int", "status": "int", "error": "str", "message": "str", "code": "str", "requestId": "str",
        "errors*": [{ "property": "str", "constraints": "object" }],
    })
}

fn has_password(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains("$argon2"),
        Value::Array(values) => values.iter().any(has_password),
        Value::Object(fields) => fields.iter().any(|(key, value)| key == "password" || has_password(value)),
    }
}
