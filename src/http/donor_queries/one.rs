//! `GET donor-queries/:id`, and the same bare under `admin/:id`.

use std::sync::Arc;

use aggregates::ids::QueryId;
use aggregates::people;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::answer::{self, Envelope};
use crate::http::auth::Staff;
use crate::http::body::Id;
use crate::http::error::ApiError;
use crate::http::joining::{self, Reader};
use crate::http::lookups::Conversation;
use crate::http::openapi::ReadErrors;
use crate::http::{Api, views};

/// One query, with the end of its conversation.
#[utoipa::path(
    get,
    path = "/donor-queries/{id}",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query")),
    responses((status = 200, description = "The query", body = Envelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn one(State(api): State<Arc<Api>>, Staff(staff): Staff, Id(id): Id) -> Result<Response, ApiError> {
    let position = api.freshness.applied();
    let (found, data) = found(&api, &staff, QueryId::new(id)).await?;
    Ok(answer::of_query(&found.row, answer::enveloped(StatusCode::OK, data, None), position))
}

/// One query without an envelope, as the dashboard asks for it after a status event.
#[utoipa::path(
    get,
    path = "/donor-queries/admin/{id}",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query")),
    responses((status = 200, description = "The query", body = views::StaffQueryWithMessages), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn bare(State(api): State<Arc<Api>>, Staff(staff): Staff, Id(id): Id) -> Result<Response, ApiError> {
    let position = api.freshness.applied();
    let (found, data) = found(&api, &staff, QueryId::new(id)).await?;
    Ok(answer::of_query(&found.row, Json(data).into_response(), position))
}

async fn found(
    api: &Api,
    staff: &people::Staff,
    query: QueryId,
) -> Result<(Arc<Conversation>, views::StaffQueryWithMessages), ApiError> {
    let found = api.lookups.conversation(query).await?.ok_or(ApiError::query_not_found())?;
    let calls = joining::calls_shown(api, &found.said, std::slice::from_ref(&found.row), Reader::Staff(staff)).await?;
    let data = views::StaffQueryWithMessages::new(&found.row, &found.said, &calls, &api.accounts.list());
    Ok((found, data))
}
