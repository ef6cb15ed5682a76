//! Staff accounts, to be read. Bare answers, as the dashboard expects.

use std::sync::Arc;

use aggregates::ids::UserId;
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::Staff;
use super::body::Id;
use super::error::ApiError;
use super::openapi::ReadErrors;
use super::views::Account;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(me)).routes(routes!(all)).routes(routes!(one))
}

/// Who am I?
#[utoipa::path(
    get,
    path = "/users/me",
    tag = "staff",
    responses((status = 200, description = "The caller's account", body = Account), ReadErrors),
    security(("staff" = []))
)]
async fn me(State(api): State<Arc<Api>>, Staff(staff): Staff) -> Result<Json<Account>, ApiError> {
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
async fn all(State(api): State<Arc<Api>>) -> Json<Vec<Account>> {
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
async fn one(State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<Account>, ApiError> {
    found(&api, UserId::new(id))
}

fn found(api: &Api, id: UserId) -> Result<Json<Account>, ApiError> {
    let user = api.accounts.find(id).ok_or(ApiError::NotFound("User not found".into()))?;
    Ok(Json(Account::from(user.as_ref())))
}
