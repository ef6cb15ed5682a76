//! Daily.co as its documentation and its users describe it: a closed schema, names that are taken, and bad days.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, serve};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use proof_concierge::config::{Config, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The key that the stub knows.
pub(crate) const KEY: &str = "a-key-that-only-the-stub-knows";

/// The secret of its webhook, as Daily shows it.
pub(crate) const WEBHOOK_SECRET: &str = "NqWQ9yLzfr8GwpqEYHcMVJVkOyl4FzGwR5A1SZzaGs8=";

/// A running stub. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct DailyStub {
    base_url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    rooms: BTreeMap<String, Value>,
    asked: Vec<Asked>,
    faults: VecDeque<Fault>,
}

/// A request that the stub got.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path, such as `POST /rooms`.
    pub(crate) what: String,
    /// The body; null if there was none.
    pub(crate) body: Value,
    /// When.
    pub(crate) at: Instant,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// 429, with the seconds to wait.
    Limited(u64),
    /// 500.
    Broken,
    /// No answer.
    Hanging,
    /// It is done, but the answer is 502.
    Lost,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRoom {
    name: String,
    privacy: String,
    properties: RoomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the schema is what matters")]
struct RoomProperties {
    nbf: Option<i64>,
    exp: Option<i64>,
    eject_at_room_exp: Option<bool>,
    max_participants: Option<u16>,
    start_video_off: Option<bool>,
    start_audio_off: Option<bool>,
    enable_screenshare: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    properties: TokenProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the schema is what matters")]
struct TokenProperties {
    room_name: String,
    user_id: Option<String>,
    user_name: Option<String>,
    is_owner: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
    eject_at_token_exp: Option<bool>,
    start_video_off: Option<bool>,
}

impl DailyStub {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Shared>>::default();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { serve(listener, routes).await });
        Self { base_url, shared }
    }

    /// Where it is.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Makes a desk use it.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.calls.daily_base_url.clone_from(&self.base_url);
        config.calls.daily_api_key = Secret::new(KEY);
        config.calls.daily_webhook_hmac = Secret::new(WEBHOOK_SECRET);
    }

    /// What happens to the next requests, one each.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().unwrap().faults.extend(faults);
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// Method and path of every request so far; names of rooms are left out.
    pub(crate) fn asked_for(&self) -> Vec<String> {
        let shorten = |asked: Asked| asked.what.split_inclusive('/').take(2).collect::<String>();
        self.asked().into_iter().map(shorten).map(|what| what.trim_end_matches('/').to_owned()).collect()
    }

    /// The names of the rooms there are.
    pub(crate) fn rooms(&self) -> Vec<String> {
        self.shared.lock().unwrap().rooms.keys().cloned().collect()
    }

    /// Makes a room open to everybody, as somebody with access to the account could.
    pub(crate) fn open_to_everybody(&self, room: &str) {
        self.shared.lock().unwrap().rooms.get_mut(room).unwrap()["privacy"] = "public".into();
    }
}

/// The signature of a webhook's body, made as Daily makes it.
pub(crate) fn signature(timestamp: &str, body: &str) -> String {
    let secret = BASE64.decode(WEBHOOK_SECRET).unwrap();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
    BASE64.encode(mac.chain_update(timestamp).chain_update(".").chain_update(body).finalize().into_bytes())
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().strip_prefix("/v1").unwrap().to_owned();
    let fault = {
        let mut shared = shared.lock().unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        shared.asked.push(Asked { what: format!("{method} {path}"), body, at: Instant::now() });
        shared.faults.pop_front()
    };
    match fault {
        Some(Fault::Limited(seconds)) => {
            let response = refused(StatusCode::TOO_MANY_REQUESTS, "rate-limit-error");
            ([(header::RETRY_AFTER, seconds.to_string())], response).into_response()
        }
        Some(Fault::Broken) => refused(StatusCode::INTERNAL_SERVER_ERROR, "server-error"),
        Some(Fault::Hanging) => std::future::pending().await,
        Some(Fault::Lost) => {
            authorized(&shared, &method, &path, &headers, &body);
            refused(StatusCode::BAD_GATEWAY, "server-error")
        }
        None => authorized(&shared, &method, &path, &headers, &body),
    }
}

fn authorized(shared: &Mutex<Shared>, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Response {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(key) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
        return refused(StatusCode::BAD_REQUEST, "authorization-header-error");
    };
    if key != KEY {
        return refused(StatusCode::UNAUTHORIZED, "authentication-error");
    }
    let shared = &mut *shared.lock().unwrap();
    let words: Vec<_> = path.split('/').skip(1).collect();
    match (method.as_str(), words.as_slice()) {
        ("POST", ["rooms"]) => make_room(shared, body),
        ("GET", ["rooms", name]) => shared.rooms.get(*name).map_or_else(not_found, |room| Json(room).into_response()),
        ("DELETE", ["rooms", name]) => match shared.rooms.remove(*name) {
            Some(_) => Json(json!({ "deleted": true, "name": name })).into_response(),
            None => not_found(),
        },
        ("POST", ["meeting-tokens"]) => match serde_json::from_slice::<NewToken>(body) {
            Ok(token) => Json(json!({ "token": format!("token-for-{}", token.properties.room_name) })).into_response(),
            Err(_) => refused(StatusCode::BAD_REQUEST, "invalid-request-error"),
        },
        _ => not_found(),
    }
}

fn make_room(shared: &mut Shared, body: &[u8]) -> Response {
    let invalid = || refused(StatusCode::BAD_REQUEST, "invalid-request-error");
    let Ok(new) = serde_json::from_slice::<NewRoom>(body) else { return invalid() };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let fits = new.name.len() <= 128 && new.name.bytes().all(is_name);
    // A time in milliseconds is the mistake that everybody makes once.
    let is_soon = new.properties.exp.is_some_and(|exp| exp < 10_000_000_000);
    if !fits
        || !is_soon
        || !["public", "private"].contains(&new.privacy.as_str())
        || shared.rooms.contains_key(&new.name)
    {
        return invalid();
    }
    let room = json!({
        "id": "d61cd7b2-a273-42b4-89bd-be763fd562c1",
        "name": new.name,
        "api_created": true,
        "privacy": new.privacy,
        "url": format!("https://stub.daily.co/{}", new.name),
        "created_at": "2026-11-22T12:00:00.000Z",
        "config": { "exp": new.properties.exp },
    });
    shared.rooms.insert(new.name, room.clone());
    Json(room).into_response()
}

fn not_found() -> Response {
    refused(StatusCode::NOT_FOUND, "not-found")
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error, "info": "words that may change" }))).into_response()
}
