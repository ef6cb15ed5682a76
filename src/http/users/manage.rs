//! `POST users`, `PUT users/:id`, `DELETE users/:id`: super admins decide who works at the desk.

use std::sync::Arc;

use aggregates::ids::UserId;
use aggregates::people::Role;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{Change, Changes, NewUser, parse_role};
use crate::http::body::{Body, Id};
use crate::http::error::ApiError;
use crate::http::openapi::WriteErrors;
use crate::http::trail::Trail;
use crate::http::views::Account;
use crate::http::{Api, lenient, rules};

/// A new account. Other keys mean nothing.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewAccount {
    /// What the person logs in with: one line of at most 64 characters, taken by nobody else.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::username))]
    username: String,
    /// At least 8 characters.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::password))]
    password: String,
    /// What others see.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::name))]
    name: String,
    /// Where mail goes; may be empty.
    #[serde(default, deserialize_with = "lenient::change")]
    #[garde(custom(rules::email))]
    #[schema(value_type = Option<String>)]
    email: Change<String>,
    /// `ADMIN`, unless it is `SUPER_ADMIN`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::role))]
    role: Option<String>,
}

/// What changes about an account. Other keys mean nothing, and an absent one changes nothing.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountChanges {
    /// What the person logs in with.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_username))]
    username: Option<String>,
    /// A new password, at least 8 characters. Ends every session of the account.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::password_or_empty))]
    password: Option<String>,
    /// What others see.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_name))]
    name: Option<String>,
    /// Where mail goes; null or empty for none.
    #[serde(default, deserialize_with = "lenient::change")]
    #[garde(custom(rules::email))]
    #[schema(value_type = Option<String>)]
    email: Change<String>,
    /// `ADMIN` or `SUPER_ADMIN`. A change ends every session of the account.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::role))]
    role: Option<String>,
    /// Whether the account may be used. A change ends every session of the account.
    #[serde(default, deserialize_with = "lenient::optional_truth")]
    #[garde(skip)]
    is_active: Option<bool>,
}

/// An account that was switched off.
#[derive(Serialize, ToSchema)]
pub(super) struct Deactivated {
    id: i64,
}

/// Make an account.
#[utoipa::path(
    post,
    path = "/users",
    tag = "staff",
    request_body = NewAccount,
    responses((status = 201, description = "The account", body = Account), WriteErrors),
    security(("staff" = []))
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Extension(trail): Extension<Trail>,
    Body(body): Body<NewAccount>,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let new = NewUser {
        username: body.username,
        password: body.password,
        name: body.name,
        email: body.email.new_value().cloned(),
        role: body.role.as_deref().and_then(parse_role).unwrap_or(Role::Admin),
    };
    let user = api.accounts.create(new).await?;
    trail.is_about(user.id.get());
    Ok((StatusCode::CREATED, Json(Account::from(user.as_ref()))))
}

/// Change an account.
#[utoipa::path(
    put,
    path = "/users/{id}",
    tag = "staff",
    params(("id" = i64, Path, description = "The account")),
    request_body = AccountChanges,
    responses((status = 200, description = "The account", body = Account), WriteErrors),
    security(("staff" = []))
)]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Body(body): Body<AccountChanges>,
) -> Result<Json<Account>, ApiError> {
    let changes = Changes {
        username: body.username,
        name: body.name,
        email: body.email,
        role: body.role.as_deref().and_then(parse_role),
        is_active: body.is_active,
        password: body.password.filter(|password| !password.is_empty()),
        picture: Change::Keep,
    };
    let user = api.accounts.change(UserId::new(id), changes).await?;
    Ok(Json(Account::from(user.as_ref())))
}

/// Lock a person out. The account stays, because facts name it.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    tag = "staff",
    params(("id" = i64, Path, description = "The account")),
    responses((status = 200, description = "It is switched off", body = Deactivated), WriteErrors),
    security(("staff" = []))
)]
pub(super) async fn deactivate(State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<Deactivated>, ApiError> {
    let user = api.accounts.set_active(UserId::new(id), false).await?;
    Ok(Json(Deactivated { id: user.id.get() }))
}
