//! Everything a request can be answered with instead of what it asked for. The only place with error status codes.
//!
//! One body serves the clients of every generation: `message` is always text and `statusCode` always there, as the
//! dashboard reads them; `code` never changes, for programs. Causes are logged here, once, and never sent.

use std::borrow::Cow;
use std::time::Duration;

use aggregates::call_session::CallSessionError;
use aggregates::donor_query::DonorQueryError;
use aggregates::ids::QueryId;
use aggregates::people::StaffRef;
use aggregates::recorded::Position;
use aggregates::staff_chat::StaffChatError;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use projections::ReadError;
use serde_json::json;
use tracing::{debug, error};

use crate::accounts::devices::DeviceError;
use crate::accounts::{AccountError, LoginError, PictureError, TokenError};
use crate::dispatch::DispatchError;
use crate::grouped::GroupError;
use crate::integrations::calls::ProviderError;
use crate::log::LogError;

pub use crate::refusal::{ErrorBody, Violation};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body or the query string breaks rules.
    #[error("Validation failed")]
    Invalid(Vec<Violation>),
    /// The request cannot be read.
    #[error("{message}")]
    Malformed {
        /// For programs.
        code: &'static str,
        /// For people.
        message: Cow<'static, str>,
    },
    /// There is no credential, or it is not good.
    #[error("Unauthorized")]
    Unauthorized,
    /// The credential is good but not for this.
    #[error("Forbidden resource")]
    Forbidden,
    /// What the path names does not exist, or not for this caller.
    #[error("{0}")]
    NotFound(Cow<'static, str>),
    /// No such path.
    #[error("Cannot {method} {path}")]
    NoSuchRoute {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
    },
    /// The path exists, but not with this method.
    #[error("Cannot {method} {path}")]
    NoSuchMethod {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
    },
    /// The body is too long.
    #[error("request entity too large")]
    TooLarge,
    /// The body does not come to an end.
    #[error("the body took too long")]
    TooSlow,
    /// The body is neither JSON nor a form.
    #[error("content type must be application/json or application/x-www-form-urlencoded")]
    UnsupportedMediaType,
    /// The request can be read but means nothing.
    #[error("{message}")]
    Unprocessable {
        /// For programs.
        code: &'static str,
        /// For people.
        message: Cow<'static, str>,
    },
    /// Where things stand now, it cannot be done.
    #[error("{message}")]
    Conflict {
        /// For programs.
        code: &'static str,
        /// For people.
        message: Cow<'static, str>,
    },
    /// A call only ever goes on.
    #[error("a call does not go back to an earlier status")]
    CallBegan,
    /// The call is over.
    #[error("call has already ended")]
    CallEnded,
    /// A rule of the query stands against it.
    #[error(transparent)]
    Refused(#[from] DonorQueryError),
    /// A rule of the staff accounts stands against it.
    #[error(transparent)]
    Account(AccountError),
    /// The donor has another open query.
    #[error("donor already has an open query; go on with it by the token it was opened with, or ask staff to close it")]
    DonorHasOpenQuery(QueryId),
    /// The query changed since the client saw it.
    #[error("query is at version {current}")]
    VersionMismatch {
        /// The version it is at.
        current: i64,
    },
    /// Others kept changing the query.
    #[error("query is being changed by others, try again")]
    Contended,
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The same command is being carried out.
    #[error("the same request is being carried out")]
    InFlight,
    /// The caller asks too often.
    #[error("too many requests, try again in {} seconds", seconds(*.0))]
    TooManyRequests(Duration),
    /// The desk has more to do than it can queue.
    #[error("the service is busy, try again")]
    Busy,
    /// Something the desk needs does not answer.
    #[error("the service is unavailable, try again")]
    Unavailable(#[source] Option<Cause>),
    /// The database gave up, because the answer took too long.
    #[error("this takes too long to look up; ask for less, or try again")]
    GivenUp(#[source] Cause),
    /// The read models have not got as far as the client asked.
    #[error("the read models are at position {current}")]
    NotThereYet {
        /// How far they are.
        current: Position,
    },
    /// The provider of call rooms does not answer, or refuses. Nothing was changed.
    #[error("calls are unavailable at the moment, nothing was changed; try again")]
    CallsUnavailable(#[source] ProviderError),
    /// A fault of ours.
    #[error("Internal server error")]
    Internal(#[source] Option<Cause>),
}

/// What a fault came from; logged, never sent.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl ApiError {
    /// A malformed request.
    pub fn malformed(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { code, message: message.into() }
    }

    /// A query that does not exist, or not for this caller.
    pub const fn query_not_found() -> Self {
        Self::Refused(DonorQueryError::NotFound)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NoSuchRoute { .. } => StatusCode::NOT_FOUND,
            Self::NoSuchMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused(refusal) => refusal_status(refusal),
            Self::Account(refusal) => account_status(refusal),
            Self::Conflict { .. }
            | Self::DonorHasOpenQuery(_)
            | Self::Contended
            | Self::InFlight
            | Self::CallBegan
            | Self::CallEnded => StatusCode::CONFLICT,
            Self::VersionMismatch { .. } => StatusCode::PRECONDITION_FAILED,
            Self::KeyReused | Self::Unprocessable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy
            | Self::Unavailable(_)
            | Self::GivenUp(_)
            | Self::NotThereYet { .. }
            | Self::CallsUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "validation_failed",
            Self::Malformed { code, .. } | Self::Unprocessable { code, .. } | Self::Conflict { code, .. } => code,
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::NoSuchRoute { .. } => "no_such_route",
            Self::NoSuchMethod { .. } => "method_not_allowed",
            Self::TooLarge => "payload_too_large",
            Self::TooSlow => "request_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Refused(refusal) => refusal_code(refusal),
            Self::Account(refusal) => account_code(refusal),
            Self::DonorHasOpenQuery(_) => "donor_has_open_query",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::Contended => "contended",
            Self::KeyReused => "idempotency_key_reused",
            Self::InFlight => "in_flight",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Busy => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::GivenUp(_) => "read_timeout",
            Self::NotThereYet { .. } => "not_there_yet",
            Self::CallBegan => "call_began",
            Self::CallEnded => "call_ended",
            Self::CallsUnavailable(_) => "call_provider_unavailable",
            Self::Internal(_) => "internal_error",
        }
    }

    /// After how long it is worth trying again.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests(wait) => Some(seconds(*wait)),
            Self::Refused(DonorQueryError::RequestTooSoon { seconds }) => u64::try_from(*seconds).ok(),
            Self::CallsUnavailable(_) | Self::GivenUp(_) => Some(5),
            Self::InFlight | Self::Busy | Self::Unavailable(_) | Self::NotThereYet { .. } => Some(1),
            _ => None,
        }
    }

    fn log(&self) {
        match self {
            Self::Internal(Some(cause)) => error!(error = ?cause, "Request failed"),
            Self::CallsUnavailable(cause) => error!(error = ?cause, "A call could not be set up"),
            Self::GivenUp(cause) => error!(error = ?cause, "A read took too long"),
            Self::Unavailable(Some(cause)) => error!(error = ?cause, "Request could not be served"),
            other => debug!(code = other.code(), "Request refused: {other}"),
        }
    }

    fn into_body(self, status: StatusCode) -> ErrorBody {
        let code = self.code();
        let message = self.to_string();
        let (mut errors, mut assigned_to, mut position) = (None, None, None);
        match self {
            Self::Invalid(violations) => errors = Some(violations),
            Self::Refused(refusal) => assigned_to = holder(&refusal).map(|who| json!({"id": who.id, "name": who.name})),
            Self::NotThereYet { current } => position = Some(current.0),
            _ => {}
        }
        ErrorBody { errors, assigned_to, position, ..ErrorBody::new(status, code, message) }
    }
}

/// The status code of a refusal. Named one by one: a new rule has to say what it is on the wire.
const fn refusal_status(refusal: &DonorQueryError) -> StatusCode {
    match refusal {
        DonorQueryError::NotFound | DonorQueryError::NoSuchRequest => StatusCode::NOT_FOUND,
        DonorQueryError::AlreadyOpened
        | DonorQueryError::AlreadyHeld(_)
        | DonorQueryError::HeldByTransferee(_)
        | DonorQueryError::Closed { .. }
        | DonorQueryError::StillOpen
        | DonorQueryError::SameHolder(_)
        | DonorQueryError::NotTransferred
        | DonorQueryError::RequestPending(_)
        | DonorQueryError::CallActive(_) => StatusCode::CONFLICT,
        DonorQueryError::NotHolder(_) | DonorQueryError::Unassigned | DonorQueryError::NotSuperAdmin { .. } => {
            StatusCode::FORBIDDEN
        }
        DonorQueryError::RequestTooSoon { .. } => StatusCode::TOO_MANY_REQUESTS,
        DonorQueryError::ReservedMessageType(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

const fn refusal_code(refusal: &DonorQueryError) -> &'static str {
    match refusal {
        DonorQueryError::NotFound => "query_not_found",
        DonorQueryError::AlreadyOpened => "already_opened",
        DonorQueryError::AlreadyHeld(_) => "already_assigned",
        DonorQueryError::HeldByTransferee(_) => "transferred",
        DonorQueryError::Closed { .. } => "query_closed",
        DonorQueryError::StillOpen => "query_open",
        DonorQueryError::NotHolder(_) => "not_holder",
        DonorQueryError::Unassigned => "unassigned",
        DonorQueryError::NotSuperAdmin { .. } => "super_admin_only",
        DonorQueryError::SameHolder(_) => "same_holder",
        DonorQueryError::NotTransferred => "not_transferred",
        DonorQueryError::RequestPending(_) => "call_request_pending",
        DonorQueryError::RequestTooSoon { .. } => "call_request_too_soon",
        DonorQueryError::NoSuchRequest => "call_request_not_found",
        DonorQueryError::CallActive(_) => "call_active",
        DonorQueryError::ReservedMessageType(_) => "reserved_message_type",
    }
}

const fn account_status(refusal: &AccountError) -> StatusCode {
    match refusal {
        AccountError::UsernameTaken(_) | AccountError::LastSuperAdmin => StatusCode::CONFLICT,
        AccountError::NotFound => StatusCode::NOT_FOUND,
        AccountError::WrongPassword => StatusCode::UNAUTHORIZED,
        AccountError::SamePassword | AccountError::Unfit { .. } => StatusCode::BAD_REQUEST,
        AccountError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

const fn account_code(refusal: &AccountError) -> &'static str {
    match refusal {
        AccountError::UsernameTaken(_) => "username_taken",
        AccountError::LastSuperAdmin => "last_super_admin",
        AccountError::NotFound => "not_found",
        AccountError::WrongPassword => "wrong_password",
        AccountError::SamePassword => "same_password",
        AccountError::Unfit { .. } => "validation_failed",
        AccountError::Unavailable(_) => "unavailable",
    }
}

/// Whoever holds the query, where a refusal is about that.
const fn holder(refusal: &DonorQueryError) -> Option<&StaffRef> {
    match refusal {
        DonorQueryError::AlreadyHeld(holder)
        | DonorQueryError::HeldByTransferee(holder)
        | DonorQueryError::NotHolder(holder)
        | DonorQueryError::SameHolder(holder) => Some(holder),
        _ => None,
    }
}

/// Whole seconds, rounded up: coming back earlier would be refused again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // What is left of the body would be read as the next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::VersionMismatch { current } = &self
            && let Ok(tag) = HeaderValue::from_str(&format!("\"{current}\""))
        {
            headers.insert(header::ETAG, tag);
        }
        if let Self::NotThereYet { current } = &self {
            headers.insert(HeaderName::from_static("concierge-position"), HeaderValue::from(current.0));
        }
        (headers, self.into_body(status)).into_response()
    }
}

impl From<DispatchError> for ApiError {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Refused(refusal) => Self::Refused(refusal),
            DispatchError::CallRefused(CallSessionError::Ended) => Self::CallEnded,
            DispatchError::CallRefused(CallSessionError::NotFound) => Self::NotFound("Call session not found".into()),
            DispatchError::CallRefused(refusal @ CallSessionError::AlreadyCreated) => {
                Self::Internal(Some(refusal.into()))
            }
            DispatchError::ChatRefused(refusal) => chat_refused(refusal),
            DispatchError::DonorHasOpenQuery(query) => Self::DonorHasOpenQuery(query),
            DispatchError::VersionMismatch { current } => Self::VersionMismatch { current },
            DispatchError::Contended => Self::Contended,
            DispatchError::KeyReused => Self::KeyReused,
            DispatchError::Busy => Self::Busy,
            DispatchError::Log(error) => error.into(),
        }
    }
}

fn chat_refused(refusal: StaffChatError) -> ApiError {
    let code = match refusal {
        StaffChatError::Oneself => "own_recipient",
        StaffChatError::NeedsQuery(_) => "query_required",
        StaffChatError::OtherMembers => return ApiError::Internal(Some(refusal.into())),
    };
    ApiError::Unprocessable { code, message: refusal.to_string().into() }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        Self::CallsUnavailable(error)
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Database(error) => error.into(),
            LogError::Shared(error) => error.into(),
            error @ (LogError::OutcomeUnknown | LogError::Closed) => Self::Unavailable(Some(error.into())),
            error @ (LogError::Unreadable { .. } | LogError::WrongMasterKey) => Self::Internal(Some(error.into())),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        unanswered(&error)(error.into())
    }
}

impl From<GroupError> for ApiError {
    fn from(error: GroupError) -> Self {
        unanswered(error.cause())(error.into())
    }
}

/// What it means for a request that a question got no answer.
fn unanswered(error: &ReadError) -> fn(Cause) -> ApiError {
    if projections::is_given_up(error) {
        ApiError::GivenUp
    } else if projections::is_passing(error) {
        |cause| ApiError::Unavailable(Some(cause))
    } else {
        |cause| ApiError::Internal(Some(cause))
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid | TokenError::Expired | TokenError::Revoked => Self::Unauthorized,
            TokenError::Unavailable => Self::Unavailable(None),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Refused => Self::Unauthorized,
            LoginError::Unavailable(error) => error.into(),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Unavailable(error) => error.into(),
            AccountError::Unfit { what, why } => {
                Self::Invalid(vec![Violation::new(what, why.rule(), format!("{what} {why}"))])
            }
            refusal => Self::Account(refusal),
        }
    }
}

impl From<PictureError> for ApiError {
    fn from(error: PictureError) -> Self {
        Self::malformed("malformed_avatar", error.to_string())
    }
}

impl From<DeviceError> for ApiError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Implausible => {
                Self::Invalid(vec![Violation::new("fcmToken", "isPushToken", "fcmToken must be a push token")])
            }
            DeviceError::Unavailable(error) => error.into(),
        }
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
