//! SendGrid as its documentation describes `POST /v3/mail/send`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use proof_concierge::config::{MailCarrier, Secret};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const KEY: &str = "SG.a-key-that-only-the-stub-knows";

/// A running stub. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct SendGridStub {
    base_url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    mails: Vec<Value>,
    faults: VecDeque<(u16, Option<u64>)>,
}

impl SendGridStub {
    /// Starts a stub.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let stub = Self { base_url, shared: Arc::default() };
        let routes = Router::new().route("/v3/mail/send", post(send)).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        stub
    }

    /// Settings that lead here.
    pub(crate) fn settings(&self) -> MailCarrier {
        MailCarrier {
            sendgrid_api_key: Secret::new(KEY),
            sendgrid_base_url: self.base_url.clone(),
            from: "Proof Desk <desk@desk.example>".to_owned(),
            timeout_ms: 2_000,
            ..MailCarrier::default()
        }
    }

    /// Refuses the next mail, with seconds to wait.
    pub(crate) fn refuse(&self, status: u16, retry_after: Option<u64>) {
        self.shared.lock().unwrap().faults.push_back((status, retry_after));
    }

    /// The mails that were taken.
    pub(crate) fn mails(&self) -> Vec<Value> {
        self.shared.lock().unwrap().mails.clone()
    }
}

async fn send(State(stub): State<SendGridStub>, headers: HeaderMap, Json(mail): Json<Value>) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    if bearer != Some(&format!("Bearer {KEY}")) {
        return refusal(401, None);
    }
    let mut shared = stub.shared.lock().unwrap();
    if let Some((status, retry_after)) = shared.faults.pop_front() {
        return refusal(status, retry_after);
    }
    if !is_complete(&mail) {
        return refusal(400, None);
    }
    shared.mails.push(mail);
    (StatusCode::ACCEPTED, [("x-message-id", format!("sg-{}", shared.mails.len()))]).into_response()
}

fn refusal(status: u16, retry_after: Option<u64>) -> Response {
    let errors = json!({ "errors": [{ "message": "no, ada@desk.example", "field": null, "help": null }] });
    let mut response = (StatusCode::from_u16(status).unwrap(), Json(errors)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// One recipient, a sender, a subject on one line, and plain text before HTML.
fn is_complete(mail: &Value) -> bool {
    let people = mail["personalizations"][0]["to"].as_array().map(Vec::len);
    let kinds: Vec<_> = mail["content"].as_array().into_iter().flatten().map(|part| part["type"].as_str()).collect();
    people == Some(1)
        && mail["from"]["email"].is_string()
        && mail["subject"].as_str().is_some_and(|subject| !subject.is_empty() && !subject.contains('\n'))
        && kinds == [Some("text/plain"), Some("text/html")]
}
