//! `GET users*`: who works at the desk.

use std::sync::Arc;

use aggregates::ids::UserId;
use axum::Json;
use axum::extract::State;

use crate::http::Api;
use crate::http::auth::Staff;
use crate::http::body::Id;
use crate::http::error::ApiError;
use crate::http::openapi::ReadErrors;
use crate::http::views::Account;

/// Who am I?
#[utoipa::path(
    get,
    path = "/users/me",
    tag = "staff",
    responses((status = 200, description = "The caller's account", body = Account), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn me(State(api): State<Arc<Api>>, Staff(staff): Staff) -> Result<Json<Account>, ApiError> {
    found(&api, staff.id)
}

/// Everybody who works at the desk.
#[utoipa::path(
    get,
    path = "/users",
    tag = "staff",
    responses((status = 200, description = "Every account, by id", body = Vec<Account>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn all(State(api): State<Arc<Api>>) -> Json<Vec<Account>> {
    Json(api.accounts.list().values().map(|user| Account::from(user.as_ref())).collect())
}

/// One account.
#[utoipa::path(
    get,
    path = "/users/{id}",
    tag = "staff",
    params(("id" = i64, Path, description = "The account")),
    responses((status = 200, description = "The account", body = Account), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn one(State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<Account>, ApiError> {
    found(&api, UserId::new(id))
}

fn found(api: &Api, id: UserId) -> Result<Json<Account>, ApiError> {
    let user = api.accounts.find(id).ok_or(ApiError::NotFound("User not found".into()))?;
    Ok(Json(Account::from(user.as_ref())))
}
