//! `Idempotency-Key`: the same command twice is carried out once and answered twice.
//!
//! The log keeps the key beside the facts of the command and the answer beside the key, both for seven days. If the node
//! dies between facts and answer, the handler runs again: the log then gives it the facts of the first time, from which
//! it builds the same answer.
//!
//! A caller with a token shares keys with nobody. Those without share them with all the world, and the answer to a new
//! query holds the token that opens it: so there the key itself must be a secret, too long to be guessed.

use aggregates::ids::DonorId;
use aggregates::recorded::Position;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::auth::Caller;
use super::error::ApiError;
use super::{Api, answer, body, layers};
use crate::accounts::Principal;
use crate::log::{CommandKey, Recall, RememberedAnswer};

/// The largest answer that is kept: well above a query with its messages.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// The shortest key of somebody without a token: a UUID without hyphens.
const SHORTEST_ANONYMOUS_KEY: usize = 32;

/// Whose key seals the answer; a handler leaves it in the extensions of an answer with personal text.
#[derive(Clone, Debug)]
pub(super) struct Subject(pub DonorId);

/// In the extensions of an answer with a secret of a short life: it is not kept, and a repetition builds it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleeting;

/// Answers a command that was carried out before under its key as it was answered then. Not for reads.
pub(super) async fn once(api: &Api, key: Option<String>, request: Request, next: Next) -> Result<Response, ApiError> {
    // Log-ins and changes of accounts append nothing, and their bodies and answers hold secrets that are not to be kept.
    let path = request.uri().path();
    let is_kept = *request.method() != Method::OPTIONS
        && !path.starts_with("/api/v1/auth/")
        && !path.starts_with("/api/v1/users");
    let Some(key) = key.filter(|_| is_kept) else { return Ok(next.run(request).await) };
    let is_known = request.extensions().get::<Caller>().is_some_and(|caller| caller.0.is_some());
    if !is_known && key.len() < SHORTEST_ANONYMOUS_KEY {
        let message =
            "without a token, Idempotency-Key must be too long to be guessed: 32 characters or more, such as a UUID";
        return Err(ApiError::malformed("weak_idempotency_key", message));
    }
    let (parts, sent) = request.into_parts();
    let bytes = body::read(Request::from_parts(parts.clone(), sent)).await?;
    let caller = parts.extensions.get::<Caller>().and_then(|caller| caller.0.as_ref());
    let key = CommandKey { scope: scope(caller), key, request_hash: hash(&parts.method, parts.uri.path(), &bytes) };
    let _guard = match api.log.recall(&key).await? {
        Recall::Fresh(guard) => guard,
        Recall::Answered { answer, position } => return Ok(replay(answer, position)),
        Recall::Reused => return Err(ApiError::KeyReused),
        Recall::InFlight => return Err(ApiError::InFlight),
    };
    let mut request = Request::from_parts(parts, Body::from(bytes));
    request.extensions_mut().insert(key.clone());
    let response = next.run(request).await;
    remember(api, &key, response).await
}

/// The client's key, if it sent one. A key that makes no sense is refused on reads too.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(&layers::IDEMPOTENCY_KEY) else { return Ok(None) };
    let is_visible = |byte: &u8| byte.is_ascii_graphic();
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() > 255 || !bytes.iter().all(is_visible) {
        let message = "Idempotency-Key must be 1 to 255 visible ASCII characters";
        return Err(ApiError::malformed("malformed_idempotency_key", message));
    }
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

/// Keys of different people never meet.
fn scope(caller: Option<&Principal>) -> String {
    match caller {
        Some(Principal::Staff(staff)) => format!("staff:{}", staff.id),
        Some(Principal::Donor(donor)) => match donor.session {
            Some(session) => format!("session:{}", session.0),
            None => format!("donor:{}", donor.donor_id),
        },
        None => "anonymous".to_owned(),
    }
}

/// Lengths go in with the parts, so that no two requests run into the same bytes.
fn hash(method: &Method, path: &str, body: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [method.as_str().as_bytes(), path.as_bytes(), body] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn replay(remembered: RememberedAnswer, position: Option<Position>) -> Response {
    let status = StatusCode::from_u16(remembered.status).unwrap_or(StatusCode::OK);
    let mut response = answer::replayed((status, remembered.body).into_response());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match position {
        Some(position) => answer::at(response, position),
        None => response,
    }
}

/// Keeps the answer of a command that was carried out and is visible; one that is not visible yet is answered afresh.
async fn remember(api: &Api, key: &CommandKey, response: Response) -> Result<Response, ApiError> {
    let status = response.status();
    let is_fleeting = response.extensions().get::<Fleeting>().is_some();
    if !status.is_success() || status == StatusCode::ACCEPTED || is_fleeting {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, LARGEST_ANSWER).await.map_err(|error| ApiError::Internal(Some(error.into())))?;
    let answer = RememberedAnswer { status: status.as_u16(), body: bytes.to_vec() };
    let subject = parts.extensions.get::<Subject>().map(|Subject(donor)| donor);
    if let Err(error) = api.log.remember(key, &answer, subject).await {
        // The command was carried out; a repetition builds the answer again from its facts.
        warn!(?error, "Could not keep the answer of a command");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Method};

    use super::{hash, key_of};
    use crate::http::layers;

    #[test]
    fn a_key_is_short_and_visible() {
        let with = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).expect("a header value");
            key_of(&HeaderMap::from_iter([(layers::IDEMPOTENCY_KEY.clone(), value)]))
        };
        assert_eq!(with(b"order-17").ok(), Some(Some("order-17".to_owned())));
        assert!(with(b"").is_err());
        assert!(with(b"two words").is_err());
        assert!(with(&[b'x'; 256]).is_err());
        assert_eq!(key_of(&HeaderMap::new()).ok(), Some(None));
    }

    #[test]
    fn requests_differ_in_method_path_and_body() {
        let first = hash(&Method::POST, "/a", b"bc");
        assert_eq!(first, hash(&Method::POST, "/a", b"bc"));
        assert_ne!(first, hash(&Method::PATCH, "/a", b"bc"));
        assert_ne!(first, hash(&Method::POST, "/ab", b"c"));
        assert_ne!(first, hash(&Method::POST, "/a", b"bd"));
    }
}
