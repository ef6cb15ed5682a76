//! What the feed's routes answer when they refuse, in the shape of all errors of the API.

use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::accounts::TokenError;

pub(super) use crate::refusal::ErrorBody;

/// Why a request for the feed was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum PushError {
    /// No token, or one that is not good.
    #[error("Unauthorized")]
    Unauthorized,
    /// A parameter makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// No such query, or one of somebody else.
    #[error("query not found")]
    NotFound,
    /// Too many feeds of one address or donor.
    #[error("too many open feeds")]
    TooMany,
    /// Too many feeds on this node.
    #[error("this node serves as many feeds as it can")]
    Full,
    /// The log, the read models or the accounts could not be read.
    #[error("the feed is unavailable")]
    Unavailable,
}

impl PushError {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_parameter"),
            Self::NotFound => (StatusCode::NOT_FOUND, "query_not_found"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_feeds"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "feeds_full"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "feed_unavailable"),
        }
    }
}

impl From<QueryRejection> for PushError {
    fn from(_: QueryRejection) -> Self {
        Self::Invalid("a parameter has the wrong form")
    }
}

impl From<TokenError> for PushError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid | TokenError::Expired | TokenError::Revoked => Self::Unauthorized,
            TokenError::Unavailable => Self::Unavailable,
        }
    }
}

impl IntoResponse for PushError {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let mut response = ErrorBody::new(status, code, self.to_string()).into_response();
        match self {
            Self::TooMany | Self::Full | Self::Unavailable => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            Self::Unauthorized => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Invalid(_) | Self::NotFound => {}
        }
        response
    }
}
