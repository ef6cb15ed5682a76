//! Google as Firebase's clients meet it: the token service, which checks what was signed, and `messages:send`.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proof_concierge::config::{PushCarrier, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const PROJECT: &str = "proof-concierge-test";
const CLIENT: &str = "desk@proof-concierge-test.iam.gserviceaccount.com";
const KEY_ID: &str = "key-1";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// A key that lives as long as the test run.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// A running stub. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct FcmStub {
    base_url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// How many tokens were handed out; the newest is the one that is good.
    exchanges: usize,
    refused: usize,
    revoked: bool,
    messages: Vec<Value>,
    answers: VecDeque<Say>,
    exchange_answers: VecDeque<Say>,
    lifetime: u64,
}

/// What is answered instead of a success.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// A status, with seconds to wait, and a body.
    Fault(u16, Option<u64>, Value),
    /// Nothing.
    Nothing,
}

/// An error of Firebase's own.
pub(crate) fn fault(status: u16, code: &str) -> Say {
    fault_after(status, code, None)
}

/// An error of Firebase's own, with seconds to wait.
pub(crate) fn fault_after(status: u16, code: &str, retry_after: Option<u64>) -> Say {
    let detail = json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code });
    let error = json!({ "code": status, "message": "no", "status": "UNKNOWN", "details": [detail] });
    Say::Fault(status, retry_after, json!({ "error": error }))
}

#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    assertion: String,
}

#[derive(Deserialize)]
struct Claims {
    scope: String,
    iat: i64,
    exp: i64,
}

impl FcmStub {
    /// Starts a stub whose tokens last an hour.
    pub(crate) async fn start() -> Self {
        Self::with_lifetime(3_599).await
    }

    /// Starts a stub whose tokens last so many seconds.
    pub(crate) async fn with_lifetime(lifetime: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared { lifetime, ..Shared::default() };
        let stub = Self { base_url, shared: Arc::new(Mutex::new(shared)) };
        let routes = Router::new()
            .route("/token", post(exchange))
            .route("/v1/projects/{project}/{call}", post(send))
            .with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        stub
    }

    /// Settings that lead here: a key file's text.
    pub(crate) fn settings(&self) -> PushCarrier {
        PushCarrier {
            fcm_service_account: Secret::new(self.key_file().to_string()),
            fcm_base_url: format!("{}/", self.base_url),
            timeout_ms: 2_000,
            ..PushCarrier::default()
        }
    }

    /// A key file as Google hands it out.
    pub(crate) fn key_file(&self) -> Value {
        json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": private_key(),
            "client_email": CLIENT,
            "client_id": "1",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": format!("{}/token", self.base_url),
        })
    }

    /// Where it is.
    pub(crate) fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// The names under which it took messages.
    pub(crate) fn receipts(&self) -> Vec<String> {
        (1..=self.messages().len()).map(receipt).collect()
    }

    /// Answers the next message in this way.
    pub(crate) fn answer(&self, say: Say) {
        self.shared.lock().unwrap().answers.push_back(say);
    }

    /// Answers the next exchange in this way.
    pub(crate) fn answer_exchange(&self, say: Say) {
        self.shared.lock().unwrap().exchange_answers.push_back(say);
    }

    /// Refuses the tokens handed out so far.
    pub(crate) fn revoke(&self) {
        self.shared.lock().unwrap().revoked = true;
    }

    /// The messages that were taken.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.shared.lock().unwrap().messages.clone()
    }

    /// How many tokens were handed out.
    pub(crate) fn exchanges(&self) -> usize {
        self.shared.lock().unwrap().exchanges
    }

    /// How many exchanges were refused.
    pub(crate) fn refused(&self) -> usize {
        self.shared.lock().unwrap().refused
    }
}

/// The private key in PEM form.
pub(crate) fn private_key() -> String {
    let der: Pkcs8V1Der<'_> = KEY.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

async fn exchange(State(stub): State<FcmStub>, Form(form): Form<Exchange>) -> Response {
    let say = stub.shared.lock().unwrap().exchange_answers.pop_front();
    if let Some(say) = say {
        stub.shared.lock().unwrap().refused += 1;
        return spoken(say).await;
    }
    if let Err(why) = check(&form, &format!("{}/token", stub.base_url)) {
        stub.shared.lock().unwrap().refused += 1;
        let body = json!({ "error": "invalid_grant", "error_description": why });
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    let mut shared = stub.shared.lock().unwrap();
    shared.exchanges += 1;
    shared.revoked = false;
    let token = format!("access-{}", shared.exchanges);
    Json(json!({ "access_token": token, "expires_in": shared.lifetime, "token_type": "Bearer" })).into_response()
}

/// As RFC 7523 and Google want it: signed with the key, by the client, for this address, for an hour at most.
fn check(form: &Exchange, token_uri: &str) -> Result<(), String> {
    if form.grant_type != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
        return Err(format!("grant type {}", form.grant_type));
    }
    let mut wanted = Validation::new(Algorithm::RS256);
    wanted.set_audience(&[token_uri]);
    wanted.set_issuer(&[CLIENT]);
    wanted.set_required_spec_claims(&["exp", "aud", "iss"]);
    let key = DecodingKey::from_rsa_der(KEY.public_key().as_ref());
    let token = jsonwebtoken::decode::<Claims>(&form.assertion, &key, &wanted).map_err(|error| error.to_string())?;
    let (claims, age) = (token.claims, chrono::Utc::now().timestamp());
    let is_fresh = (age - 60..=age).contains(&claims.iat) && claims.exp - claims.iat <= 3_600;
    if token.header.kid.as_deref() != Some(KEY_ID) || claims.scope != SCOPE || !is_fresh {
        return Err("key, scope or time".to_owned());
    }
    Ok(())
}

async fn send(
    State(stub): State<FcmStub>,
    Path((project, call)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    assert_eq!((project.as_str(), call.as_str()), (PROJECT, "messages:send"));
    let (good, say) = {
        let mut shared = stub.shared.lock().unwrap();
        let good = (!shared.revoked).then(|| format!("Bearer access-{}", shared.exchanges));
        (good, shared.answers.pop_front())
    };
    let bearer = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    if bearer.is_none() || bearer != good {
        let error = json!({ "code": 401, "message": "no", "status": "UNAUTHENTICATED" });
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": error }))).into_response();
    }
    if let Some(say) = say {
        return spoken(say).await;
    }
    if let Err(field) = check_message(&body) {
        let violation = json!({ "field": field, "description": "Invalid value" });
        let error =
            json!({ "code": 400, "status": "INVALID_ARGUMENT", "details": [{ "fieldViolations": [violation] }] });
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    }
    let mut shared = stub.shared.lock().unwrap();
    shared.messages.push(body["message"].clone());
    Json(json!({ "name": receipt(shared.messages.len()) })).into_response()
}

/// Under which name it took the so-manieth message.
fn receipt(number: usize) -> String {
    format!("projects/{PROJECT}/messages/{number}")
}

/// Exactly one target, only text in `data`, and no key that Google keeps for itself.
fn check_message(body: &Value) -> Result<(), String> {
    let message = &body["message"];
    let targets = ["token", "fid", "topic", "condition"].iter().filter(|name| message[**name].is_string()).count();
    if targets != 1 {
        return Err("message".to_owned());
    }
    for (key, value) in message["data"].as_object().into_iter().flatten() {
        if !value.is_string() || ["from", "message_type"].contains(&key.as_str()) || key.starts_with("google.") {
            return Err(format!("message.data[\"{key}\"]"));
        }
    }
    Ok(())
}

async fn spoken(say: Say) -> Response {
    match say {
        Say::Fault(status, retry_after, body) => {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = (status, Json(body)).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Say::Nothing => std::future::pending().await,
    }
}
