//! `chat/messages*`: the paths of the oldest dashboard for the same conversations, without envelopes.

use std::sync::Arc;

use aggregates::donor_query::command::MessageAuthor;
use aggregates::ids::{QueryId, UserId};
use aggregates::vocabulary::MessageType;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use projections::messages::{self, ListFilter};

use super::colleagues;
use super::post::{self, NewMessage};
use super::read::{self, Part};
use crate::http::body::{Body, Id, Pair, Params};
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::openapi::{CommandErrors, CommandHeaders, ReadErrors};
use crate::http::views::CallsShown;
use crate::http::{Api, answer, auth, views};

/// Chat about a query, or without one with a colleague.
#[utoipa::path(
    post,
    path = "/chat/messages",
    tag = "messages",
    params(CommandHeaders),
    request_body = NewMessage,
    responses((status = 201, description = "The message", body = views::StaffMessageCreated), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn say(
    errand: Errand,
    auth::Staff(staff): auth::Staff,
    Body(body): Body<NewMessage>,
) -> Result<Response, ApiError> {
    let Some(query) = body.query() else {
        return colleagues::say(&errand, &staff, body, |said| (StatusCode::CREATED, Json(said)).into_response()).await;
    };
    let by = auth::acting(&staff);
    let said = post::said(&errand, &by, MessageAuthor::Staff(staff), query, body, MessageType::Chat);
    let (outcome, shown) = said.await?;
    let Some((row, said)) = shown else { return Ok(answer::later(query.get(), &outcome)) };
    let people = errand.api.accounts.list();
    let message = views::StaffMessageCreated::new(&said, Some(&row), &CallsShown::default(), &people);
    Ok(answer::of_command(&row, (StatusCode::CREATED, Json(message)).into_response(), &outcome))
}

/// Messages about all queries, and one's own to and from colleagues.
#[utoipa::path(
    get,
    path = "/chat/messages",
    tag = "messages",
    params(Part),
    responses((status = 200, description = "A page", body = Vec<views::StaffMessage>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Params(part): Params<Part>,
) -> Result<Json<Vec<views::StaffMessage>>, ApiError> {
    let rows = messages::list(&api.reads, &ListFilter::default(), Some(staff.id), &part.page()?).await?;
    read::for_staff(&api, &rows, &staff).await.map(Json)
}

/// The conversation about a query.
#[utoipa::path(
    get,
    path = "/chat/messages/donor-query/{id}",
    tag = "messages",
    params(("id" = i64, Path, description = "The query"), Part),
    responses((status = 200, description = "A page", body = Vec<views::StaffMessage>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_query(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
    Params(part): Params<Part>,
) -> Result<Json<Vec<views::StaffMessage>>, ApiError> {
    let query = api.lookups.query(QueryId::new(id)).await?.ok_or(ApiError::query_not_found())?;
    let rows = messages::of_query(&api.reads, query.query_id, &part.page()?).await?;
    read::for_staff(&api, &rows, &staff).await.map(Json)
}

/// What two colleagues said to each other in chat; about no query, only if one is oneself.
#[utoipa::path(
    get,
    path = "/chat/messages/between/{one}/{other}",
    tag = "messages",
    params(
        ("one" = i64, Path, description = "A staff account"),
        ("other" = i64, Path, description = "Another staff account"),
        Part
    ),
    responses((status = 200, description = "A page", body = Vec<views::StaffMessage>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn between(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Pair(one, other): Pair,
    Params(part): Params<Part>,
) -> Result<Json<Vec<views::StaffMessage>>, ApiError> {
    let rows = messages::between(&api.reads, UserId::new(one), UserId::new(other), staff.id, &part.page()?).await?;
    read::for_staff(&api, &rows, &staff).await.map(Json)
}
