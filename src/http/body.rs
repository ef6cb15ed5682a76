//! Reads bodies, query strings and path values: JSON or a form, lenient about scalars, strict about everything else.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::Api;
use super::error::{ApiError, Violation};
use super::trail::Trail;

/// How long a body may take to come: less than a request may, so that whoever is slow to send is told just that.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request's body, read and checked. No body reads as an empty one, so that routes whose fields are all optional can be
/// called without.
pub(super) struct Body<T>(pub T);

/// A request's query string, read and checked. An empty value counts as absent.
pub(super) struct Params<T>(pub T);

/// The positive whole number that a path names as `{id}`.
pub(super) struct Id(pub i64);

/// The two positive whole numbers that a path names.
pub(super) struct Pair(pub i64, pub i64);

/// The positive whole number that a path names, and another one, for which 0 stands for none in particular.
pub(super) struct PairOrNone(pub i64, pub Option<i64>);

/// The text that a path names, at most 200 characters.
pub(super) struct Name(pub String);

impl<T> FromRequest<Arc<Api>> for Body<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Arc<Api>) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read(request).await?;
        checked(value_of(&headers, &bytes)?).map(Self)
    }
}

impl<T> FromRequestParts<Arc<Api>> for Params<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, ApiError> {
        checked(fields(parts.uri.query().unwrap_or_default().as_bytes(), Empty::Absent)).map(Self)
    }
}

impl FromRequestParts<Arc<Api>> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, api).await.map_err(|_| not_a_number())?;
        let id = number(&text)?;
        if let Some(trail) = parts.extensions.get::<Trail>() {
            trail.is_about(id);
        }
        Ok(Self(id))
    }
}

impl FromRequestParts<Arc<Api>> for Pair {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let both = Path::<(String, String)>::from_request_parts(parts, api).await;
        let Path((one, other)) = both.map_err(|_| not_a_number())?;
        Ok(Self(number(&one)?, number(&other)?))
    }
}

impl FromRequestParts<Arc<Api>> for PairOrNone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let both = Path::<(String, String)>::from_request_parts(parts, api).await;
        let Path((one, other)) = both.map_err(|_| not_a_number())?;
        let other = if other == "0" { None } else { Some(number(&other)?) };
        Ok(Self(number(&one)?, other))
    }
}

impl FromRequestParts<Arc<Api>> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let unreadable = || ApiError::malformed("malformed_path", "the path cannot be read");
        let Path(text) = Path::<String>::from_request_parts(parts, api).await.map_err(|_| unreadable())?;
        if text.chars().count() > super::rules::LINE || text.contains('\0') {
            Err(unreadable())
        } else {
            Ok(Self(text))
        }
    }
}

/// A positive whole number in a path.
fn number(text: &str) -> Result<i64, ApiError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits_only && *id > 0).ok_or_else(not_a_number)
}

fn not_a_number() -> ApiError {
    ApiError::malformed("malformed_id", "Validation failed (numeric string is expected)")
}

/// The whole body, if it is not too long and comes in time.
pub(super) async fn read(request: Request) -> Result<Bytes, ApiError> {
    read_within(PATIENCE, request).await
}

async fn read_within(limit: Duration, request: Request) -> Result<Bytes, ApiError> {
    let read = timeout(limit, Bytes::from_request(request, &())).await.map_err(|_| ApiError::TooSlow)?;
    read.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(error) if error.status() == 413 => ApiError::TooLarge,
        _ => ApiError::malformed("malformed_body", "the body cannot be read"),
    })
}

/// The body as JSON, whichever way it was written.
pub(super) fn value_of(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match media_type(headers).as_deref() {
        Some("application/json") => serde_json::from_slice(bytes)
            .map_err(|_| ApiError::malformed("malformed_json", "the body is not valid JSON")),
        Some("application/x-www-form-urlencoded") => Ok(fields(bytes, Empty::Kept)),
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next()?.trim().to_ascii_lowercase())
}

#[derive(Clone, Copy, PartialEq)]
enum Empty {
    Absent,
    Kept,
}

/// `a=1&b=2&b=3` as `{"a": "1", "b": ["2", "3"]}`.
fn fields(text: &[u8], empty: Empty) -> Value {
    let mut object = Map::new();
    for (name, value) in form_urlencoded::parse(text) {
        if value.is_empty() && empty == Empty::Absent {
            continue;
        }
        let value = Value::String(value.into_owned());
        match object.get_mut(name.as_ref()) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => {
                object.insert(name.into_owned(), value);
            }
        }
    }
    Value::Object(object)
}

fn checked<T: DeserializeOwned + Validate<Context = ()>>(value: Value) -> Result<T, ApiError> {
    if !value.is_object() {
        return Err(ApiError::malformed("malformed_body", "the body must be an object"));
    }
    if let Some(property) = unstorable(&value) {
        return Err(ApiError::Invalid(vec![Violation::new(property, "isText", "must not contain the character NUL")]));
    }
    let parsed: T = serde_path_to_error::deserialize(value).map_err(|error| {
        ApiError::Invalid(vec![Violation::new(error.path().to_string(), "type", "has the wrong type")])
    })?;
    parsed.validate().map_err(|report| ApiError::Invalid(violations(&report)))?;
    Ok(parsed)
}

/// The first field with a NUL in it, which PostgreSQL cannot store as text.
fn unstorable(value: &Value) -> Option<&str> {
    value.as_object()?.iter().find(|(name, value)| name.contains('\0') || has_nul(value)).map(|(name, _)| name.as_str())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
    }
}

fn violations(report: &garde::Report) -> Vec<Violation> {
    report
        .iter()
        .map(|(path, error)| {
            let property = wire_name(&path.to_string());
            let (rule, text) = error.message().split_once(": ").unwrap_or(("isValid", error.message()));
            Violation::new(property.clone(), rule, format!("{property} {text}"))
        })
        .collect()
}

/// `donor_id` as `donorId`: the wire's names are those of the fields in camel case.
fn wire_name(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &initial.to_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body::{Body, Bytes};
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use futures_util::stream;
    use garde::Validate;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{Empty, checked, fields, number, read_within};
    use crate::http::error::ApiError;
    use crate::http::{lenient, rules};

    #[derive(Debug, Deserialize, Validate)]
    struct Sample {
        #[serde(default, deserialize_with = "lenient::text")]
        #[garde(custom(rules::line))]
        donor: String,
        #[serde(default, deserialize_with = "lenient::optional_number")]
        #[garde(skip)]
        admin: Option<i64>,
    }

    fn errors(value: Value) -> Value {
        let Err(ApiError::Invalid(violations)) = checked::<Sample>(value) else { panic!("should be refused") };
        serde_json::to_value(violations).expect("plain data")
    }

    #[test]
    fn numbers_pass_for_text_and_text_for_numbers() {
        let sample: Sample = checked(json!({"donor": 5, "admin": "17", "other": []})).expect("a lenient reader");
        assert_eq!((sample.donor.as_str(), sample.admin), ("5", Some(17)));
    }

    #[test]
    fn a_missing_value_is_named_with_its_rule() {
        let expected = json!([{"property": "donor", "constraints": {"isNotEmpty": "donor should not be empty"}}]);
        assert_eq!(errors(json!({})), expected);
        assert_eq!(errors(json!({"donor": "  "})), expected);
    }

    #[test]
    fn a_wrong_type_is_named() {
        assert_eq!(errors(json!({"donor": {}}))[0]["property"], "donor");
    }

    #[test]
    fn a_value_that_is_refused_is_not_repeated() {
        let secret = "x".repeat(500);
        assert!(!errors(json!({"donor": secret})).to_string().contains("xxx"));
    }

    #[test]
    fn text_that_cannot_be_stored_is_refused() {
        assert_eq!(errors(json!({"donor": "a\0b"}))[0]["property"], "donor");
        assert_eq!(errors(json!({"donor": "a", "other": [{"a\0b": 1}]}))[0]["property"], "other");
    }

    #[test]
    fn words_about_nul_are_just_words() {
        let written = serde_json::from_str(r#"{"donor": "a\\u0000b"}"#).expect("JSON");
        assert_eq!(checked::<Sample>(written).map(|sample| sample.donor).ok().as_deref(), Some(r"a\u0000b"));
    }

    #[test]
    fn a_name_that_comes_twice_is_a_list() {
        assert_eq!(fields(b"a=1&b=2&b=3&c=", Empty::Absent), json!({"a": "1", "b": ["2", "3"]}));
        assert_eq!(fields(b"c=", Empty::Kept), json!({"c": ""}));
    }

    #[test]
    fn an_id_is_digits_only() {
        assert_eq!(number("17").ok(), Some(17));
        for text in ["", "+17", "-1", "0", "1e3", "abc", "99999999999999999999"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_not_waited_for() {
        let unending = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let refused = read_within(Duration::ZERO, Request::new(unending)).await;
        let response = refused.expect_err("nothing came").into_response();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(response.headers()["connection"], "close");
    }
}
