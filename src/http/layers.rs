//! What happens to every request on its way in and to every answer on its way out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tokio::time::timeout;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::{Instrument, debug, info_span};
use uuid::Uuid;

use super::errand::user_agent;
use super::error::{ApiError, ErrorBody};
use super::trail::{Outline, Trail};
use super::{Api, auth, freshness, idempotency, routes};
use crate::config::Config;
use crate::network;

/// Where the answer to a request is, in the order of facts.
pub(super) static POSITION: HeaderName = HeaderName::from_static("concierge-position");

/// Set when an answer was given before.
pub(super) static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The client's key for a command.
pub(super) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long a request may take. Streams are not counted.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The name of a request in logs, errors and facts.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// Where a request came from, as far as our own proxies can tell.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub Option<IpAddr>);

/// Names the request, writes the errors' bodies, and logs the outcome.
pub(super) async fn identify(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let address = network::client_address(request.headers(), peer, api.config.trusted_proxies);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    request.extensions_mut().insert(ClientAddress(address));
    let trail = Trail::default();
    request.extensions_mut().insert(trail.clone());
    let seen = Outline {
        request_id: Arc::clone(&id),
        method: request.method().clone(),
        route: routes::of_feed(request.uri().path()),
        address,
        user_agent: user_agent(request.headers()),
    };
    let span = info_span!("request", id = %id, method = %request.method());
    let (started, is_preflight) = (Instant::now(), request.method() == Method::OPTIONS);
    let mut response = next.run(request).instrument(span.clone()).await;
    if is_preflight && response.status() == StatusCode::OK {
        // It has no body, as in the old system.
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    let code = response.extensions().get::<ErrorBody>().map(|body| body.code);
    if let Some(noted) = trail.note(seen, response.status(), code, started.elapsed()) {
        api.recorder.note(noted);
    }
    let mut response = with_error_body(response, &id);
    span.in_scope(|| {
        let status = response.status().as_u16();
        debug!(status, took_ms = started.elapsed().as_millis(), "Answered with {status}");
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    if api.leaving.is_cancelled() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // The server closes the connection after this answer, when the client has nothing under way on it.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A client may name its request, in characters that are safe in a log.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/=+".contains(&byte);
    headers
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| (1..=128).contains(&text.len()) && text.bytes().all(is_safe))
        .map_or_else(fresh_id, Arc::from)
}

#[allow(clippy::disallowed_methods, reason = "a request's name is not a fact that a test has to foresee")]
fn fresh_id() -> Arc<str> {
    Arc::from(Uuid::new_v4().to_string())
}

/// Writes an error's body again, with the request's id.
fn with_error_body(mut response: Response, id: &Arc<str>) -> Response {
    let Some(mut body) = response.extensions_mut().remove::<ErrorBody>() else { return response };
    body.request_id = Some(id.to_string());
    let mut written = (response.status(), Json(body)).into_response();
    let mut headers = std::mem::take(response.headers_mut());
    headers.remove(header::CONTENT_LENGTH);
    for (name, value) in written.headers() {
        headers.insert(name.clone(), value.clone());
    }
    *written.headers_mut() = headers;
    written
}

/// Spells the path as the router does.
pub(super) async fn spell(mut request: Request) -> Result<Request, ApiError> {
    let uri = request.uri();
    if uri.path().contains("%00") {
        return Err(ApiError::malformed("malformed_path", "the path cannot be read"));
    }
    let spelled = routes::canonical(uri.path());
    if spelled != uri.path() {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = uri.clone().into_parts();
        let unreadable = |_| ApiError::malformed("malformed_path", "the path cannot be read");
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{spelled}{query}")).map_err(unreadable)?);
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
    Ok(request)
}

/// What happens around every handler: its request is counted and limited in time, passes the door, and is answered from
/// what was kept or as late as the client asks. One layer does it all, because each copies everything inside it for every
/// request.
pub(super) async fn attend(State(api): State<Arc<Api>>, path: MatchedPath, request: Request, next: Next) -> Response {
    let (started, method) = (Instant::now(), request.method().clone());
    // What a request that takes too long asked for may still happen.
    let response = match timeout(TIME_LIMIT, admitted(&api, &path, request, next)).await {
        Ok(answered) => answered.into_response(),
        Err(elapsed) => ApiError::Unavailable(Some(elapsed.into())).into_response(),
    };
    measure(&method, path.as_str(), response.status(), started.elapsed());
    response
}

async fn admitted(api: &Arc<Api>, path: &MatchedPath, request: Request, next: Next) -> Result<Response, ApiError> {
    let request = auth::door(api, path, request).await?;
    let key = idempotency::key_of(request.headers())?;
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        freshness::fresh_enough(api, path, request, next).await
    } else {
        idempotency::once(api, key, request, next).await
    }
}

/// Counts requests by route and how long they took.
fn measure(method: &Method, path: &str, status: StatusCode, took: Duration) {
    let labels = [("method", method.to_string()), ("path", path.to_owned()), ("status", status.as_u16().to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_seconds", &labels[..2]).record(took.as_secs_f64());
}

/// Turns a panic into a plain 500; the panic hook has logged it.
#[allow(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer calls")]
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::Internal(None).into_response()
}

/// Answers a path that nobody serves.
pub(super) async fn no_such_route(request: Request) -> ApiError {
    ApiError::NoSuchRoute { method: request.method().to_string(), path: request.uri().path().to_owned() }
}

/// Answers a method that a path does not have.
pub(super) async fn no_such_method(request: Request) -> ApiError {
    ApiError::NoSuchMethod { method: request.method().to_string(), path: request.uri().path().to_owned() }
}

/// Lets the pages of listed origins in; credentials only for origins that are named.
pub(super) fn cors(config: &Config) -> CorsLayer {
    let is_open = config.cors_origins.iter().any(|origin| origin == "*");
    let origins = config.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let allowed = if is_open { AllowOrigin::any() } else { AllowOrigin::list(origins) };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_credentials(!is_open)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::ETAG, header::RETRY_AFTER, POSITION.clone(), REPLAYED.clone(), REQUEST_ID.clone()])
        .max_age(Duration::from_hours(1))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{REQUEST_ID, request_id};

    #[test]
    fn a_request_keeps_a_name_that_is_safe_to_log() {
        let named = |value: &'static str| {
            request_id(&HeaderMap::from_iter([(REQUEST_ID.clone(), HeaderValue::from_static(value))]))
        };
        assert_eq!(&*named("abc-123"), "abc-123");
        assert_ne!(&*named("two words"), "two words");
        assert_eq!(request_id(&HeaderMap::new()).len(), 36);
    }
}
