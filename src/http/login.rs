//! `POST auth/login`: a password for a token.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::Body;
use super::error::ApiError;
use super::layers::ClientAddress;
use super::openapi::PublicErrors;
use super::trail::Trail;
use super::views::Account;
use super::{Api, lenient, rules};

/// Name and password. Read from the body only: a query string ends up in logs.
#[derive(Deserialize, Validate, ToSchema)]
pub(super) struct Credentials {
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(skip)]
    username: String,
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(skip)]
    password: String,
}

/// A token, and whose it is.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedIn {
    /// To be sent as `Authorization: Bearer ...`; good for 24 hours.
    access_token: String,
    user: Account,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(log_in))
}

/// Log in.
#[utoipa::path(
    post,
    path = "/auth/login",
    tag = "staff",
    request_body = Credentials,
    responses(
        (status = 201, description = "The password fits", body = LoggedIn),
        (status = 401, description = "Unknown name, wrong password, or inactive account", body = super::error::ErrorBody),
        (status = 415, description = "The body is neither JSON nor a form", body = super::error::ErrorBody),
        PublicErrors
    )
)]
async fn log_in(
    State(api): State<Arc<Api>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(trail): Extension<Trail>,
    Body(Credentials { username, password }): Body<Credentials>,
) -> Result<(StatusCode, Json<LoggedIn>), ApiError> {
    if rules::credential(&username, &()).is_err() || rules::credential(&password, &()).is_err() {
        return Err(ApiError::Unauthorized);
    }
    if let Some(user) = api.accounts.named(&username) {
        trail.is_about(user.id.get());
    }
    api.limits.log_in(address, &username)?;
    let (user, access_token) = api.accounts.log_in(&username, &password).await?;
    trail.sent_by(user.id);
    Ok((StatusCode::CREATED, Json(LoggedIn { access_token, user: Account::from(&user) })))
}
