//! Reading calls: the one that goes on, those of a query, and one by its number. The last two have two paths each.

use std::sync::Arc;

use aggregates::ids::{CallId, QueryId};
use aggregates::people::Staff;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use projections::page::Page;
use projections::{calls, messages};

use super::no_such_call;
use crate::accounts::Principal;
use crate::http::answer::{self, CallEnvelope, Envelope};
use crate::http::auth::{self, Anyone};
use crate::http::body::Id;
use crate::http::error::ApiError;
use crate::http::joining::{self, Reader};
use crate::http::openapi::{Either, ReadErrors};
use crate::http::{Api, donor_queries, views};

/// How many messages are shown beside the calls of a query.
const NOTICES: i64 = 50;

/// The call about a query that goes on, with a way in for its reader. None is no error: `success` is false then.
#[utoipa::path(
    get,
    path = "/communication/call/{id}/active-call",
    tag = "calls",
    params(("id" = i64, Path, description = "The query")),
    responses(
        (
            status = 200,
            description = "The call; less of it for donors",
            body = CallEnvelope<Either<views::StaffCall, views::DonorCall>>
        ),
        ReadErrors
    ),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn active(
    State(api): State<Arc<Api>>,
    Anyone(caller): Anyone,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let query = donor_queries::visible(&api, QueryId::new(id), &caller).await?;
    let Some(call) = calls::active_of_query(&api.reads, query.query_id).await? else {
        return Ok(answer::about_call(StatusCode::OK, None::<views::DonorCall>, Some("No active call found")));
    };
    let reader = match &caller {
        Principal::Staff(staff) => Reader::Staff(staff),
        Principal::Donor(_) => Reader::Donor,
    };
    let pass = joining::try_pass(&api, &call, &query, reader).await;
    let people = api.accounts.list();
    Ok(match caller {
        Principal::Staff(_) => {
            let data = views::StaffCall::new(&call, &query, pass.as_ref(), &people);
            answer::about_call(StatusCode::OK, Some(data), None)
        }
        Principal::Donor(_) => {
            let data = views::DonorCall::new(&call, &query, pass.as_ref(), &people);
            answer::about_call(StatusCode::OK, Some(data), None)
        }
    })
}

/// The calls about a query, with what the desk told the conversation.
#[utoipa::path(
    get,
    path = "/communication/call/calls/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The query")),
    responses((status = 200, description = "The calls", body = CallEnvelope<views::CallsOfQuery>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_query(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
) -> Result<Response, ApiError> {
    calls_of(&api, &staff, QueryId::new(id)).await
}

/// The calls about a query, with what the desk told the conversation.
#[utoipa::path(
    get,
    path = "/communication/calls/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The query")),
    responses((status = 200, description = "The calls", body = CallEnvelope<views::CallsOfQuery>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_query_too(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
) -> Result<Response, ApiError> {
    calls_of(&api, &staff, QueryId::new(id)).await
}

/// One call, with the messages about it: for whoever holds the query, and for super admins.
#[utoipa::path(
    get,
    path = "/communication/call/call-session/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The call")),
    responses(
        (status = 200, description = "The call", body = Envelope<views::StaffCallSessionWithMessages>),
        ReadErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn session(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
) -> Result<Response, ApiError> {
    one(&api, &staff, CallId::new(id)).await
}

/// One call, with the messages about it: for whoever holds the query, and for super admins.
#[utoipa::path(
    get,
    path = "/communication/call-session/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The call")),
    responses(
        (status = 200, description = "The call", body = Envelope<views::StaffCallSessionWithMessages>),
        ReadErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn session_too(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
) -> Result<Response, ApiError> {
    one(&api, &staff, CallId::new(id)).await
}

async fn calls_of(api: &Api, staff: &Staff, query: QueryId) -> Result<Response, ApiError> {
    let query = api.lookups.query(query).await?.ok_or(ApiError::query_not_found())?;
    let sessions = calls::of_query(&api.reads, query.query_id).await?;
    let said = messages::notices_of_query(&api.reads, query.query_id, &Page::first(NOTICES)).await?;
    let queries = std::slice::from_ref(&query);
    let shown = joining::calls_shown(api, &said, queries, Reader::Staff(staff)).await?;
    let people = api.accounts.list();
    let sessions = sessions.iter().map(|call| views::StaffCallSession::new(call, None, None, &people)).collect();
    let said = said.iter().map(|row| views::StaffMessage::new(row, queries, &shown, &people)).collect();
    Ok(answer::about_call(StatusCode::OK, Some(views::CallsOfQuery::new(sessions, said)), None))
}

async fn one(api: &Api, staff: &Staff, call: CallId) -> Result<Response, ApiError> {
    let call = calls::find(&api.reads, call).await?.ok_or_else(no_such_call)?;
    api.dispatcher.current(call.query_id).await?.0.check_may_act(staff)?;
    let query = api.lookups.query(call.query_id).await?.ok_or_else(no_such_call)?;
    let said = messages::of_call(&api.reads, call.query_id, call.call_id).await?;
    let shown = joining::calls_shown(api, &said, std::slice::from_ref(&query), Reader::Staff(staff)).await?;
    let pass = joining::try_pass(api, &call, &query, Reader::Staff(staff)).await;
    let session = views::StaffCallSession::new(&call, Some(&query), pass.as_ref(), &api.accounts.list());
    Ok(answer::enveloped(StatusCode::OK, session.with_messages(&said, &shown), None))
}
