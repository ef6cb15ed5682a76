//! A donor's wish for a call: making it, taking it back, and the list of those that wait.

use std::sync::Arc;

use aggregates::donor_query::{DonorQueryCommand, DonorQueryError, DonorQueryEvent};
use aggregates::ids::{CallRequestId, QueryId};
use aggregates::people::{Actor, Staff};
use aggregates::recorded::Event;
use aggregates::vocabulary::{CallMode, CallRequestStatus};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use projections::requests;

use super::Wish;
use crate::accounts::DonorPrincipal;
use crate::clock;
use crate::dispatch::Outcome;
use crate::grouped::GroupError;
use crate::http::answer::{self, CallEnvelope};
use crate::http::auth;
use crate::http::body::{Body, Id, PairOrNone};
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::openapi::{CommandErrors, CommandHeaders, ReadErrors};
use crate::http::{Api, donor_queries, views};

/// Ask for a call. One request waits at a time, and the next one not for half a minute.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/request",
    tag = "calls",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body(content = Wish, description = "May be left out"),
    responses((status = 201, description = "The request", body = CallEnvelope<views::Ask>), CommandErrors),
    security(("donor" = []))
)]
pub(super) async fn ask(
    errand: Errand,
    auth::Donor(donor): auth::Donor,
    Id(id): Id,
    Body(wish): Body<Wish>,
) -> Result<Response, ApiError> {
    as_donor(&errand, &donor, QueryId::new(id), wish.mode().unwrap_or(CallMode::Video)).await
}

/// The requests about a query that wait for an answer.
#[utoipa::path(
    get,
    path = "/communication/call/{id}/requests",
    tag = "calls",
    params(("id" = i64, Path, description = "The query")),
    responses(
        (status = 200, description = "At most one", body = CallEnvelope<Vec<views::StaffCallRequest>>),
        ReadErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn pending(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
) -> Result<Response, ApiError> {
    pending_of(&api, &staff, QueryId::new(id)).await
}

/// Take back the request that waits for an answer.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/cancel-request",
    tag = "calls",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    responses((status = 201, description = "The request", body = CallEnvelope<views::DonorCallRequest>), CommandErrors),
    security(("donor" = []))
)]
pub(super) async fn withdraw_pending(
    errand: Errand,
    auth::Donor(donor): auth::Donor,
    Id(id): Id,
) -> Result<Response, ApiError> {
    take_back(&errand, &donor, QueryId::new(id), None).await
}

/// Take back a request.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/cancel-request/{requestId}",
    tag = "calls",
    params(
        ("id" = i64, Path, description = "The query"),
        ("requestId" = i64, Path, description = "The request; 0 is the one that waits for an answer"),
        CommandHeaders
    ),
    responses((status = 201, description = "The request", body = CallEnvelope<views::DonorCallRequest>), CommandErrors),
    security(("donor" = []))
)]
pub(super) async fn withdraw(
    errand: Errand,
    auth::Donor(donor): auth::Donor,
    PairOrNone(id, request): PairOrNone,
) -> Result<Response, ApiError> {
    take_back(&errand, &donor, QueryId::new(id), request.map(CallRequestId::new)).await
}

/// Asks for a call on behalf of a donor, and answers with the request.
pub(super) async fn as_donor(
    errand: &Errand,
    donor: &DonorPrincipal,
    query: QueryId,
    mode: CallMode,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    donor_queries::check_owned(api, query, donor).await?;
    let by = Actor::Donor { id: donor.donor_id.clone() };
    let (request, message) = (api.log.next_request_id().await?, errand.notice().await?);
    let command = DonorQueryCommand::RequestCall { request, mode, message, at: clock::now() };
    let outcome = errand.carry_out(query, &by, command).await?;
    let request = asked(&outcome).ok_or(ApiError::Internal(None))?;
    let found = async {
        let Some(request) = requests::find(&api.reads, request).await? else { return Ok(None) };
        let said = api.lookups.message(request.message_id).await?;
        Ok::<_, GroupError>(Some((request, said)))
    };
    let Some((row, (request, said))) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let data = views::Ask::new(&request, said.as_ref(), &row, &api.accounts.list());
    let response = answer::about_call(StatusCode::CREATED, Some(data), Some("Call requested successfully"));
    Ok(answer::of_command(&row, response, &outcome))
}

/// The requests about a query that wait for an answer, for staff who may answer them.
pub(super) async fn pending_of(api: &Api, staff: &Staff, query: QueryId) -> Result<Response, ApiError> {
    api.dispatcher.current(query).await?.0.check_may_act(staff)?;
    let pending = requests::pending_of_query(&api.reads, query).await?;
    let people = api.accounts.list();
    let data: Vec<_> = pending.iter().map(|row| views::StaffCallRequest::new(row, None, &people)).collect();
    Ok(answer::about_call(StatusCode::OK, Some(data), None))
}

/// Takes a request back on behalf of its donor; without a number, the one that waits for an answer. Taking back what was
/// taken back changes nothing.
pub(super) async fn take_back(
    errand: &Errand,
    donor: &DonorPrincipal,
    query: QueryId,
    request: Option<CallRequestId>,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    donor_queries::check_owned(api, query, donor).await?;
    let request = named_or_pending(api, query, request).await?;
    let by = Actor::Donor { id: donor.donor_id.clone() };
    let command = DonorQueryCommand::CancelCallRequest { request, at: clock::now() };
    let outcome = match errand.carry_out(query, &by, command).await {
        Err(ApiError::Refused(DonorQueryError::NoSuchRequest)) if is_cancelled(api, query, request).await? => {
            errand.carry_out_all(query, &by, &[]).await?
        }
        outcome => outcome?,
    };
    let found = requests::find(&api.reads, request);
    let Some((row, request)) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let data = views::DonorCallRequest::new(&request, &row);
    let response = answer::about_call(StatusCode::CREATED, Some(data), Some("Call request cancelled successfully"));
    Ok(answer::of_command(&row, response, &outcome))
}

/// The request that was named, else the one that waits for an answer.
pub(super) async fn named_or_pending(
    api: &Api,
    query: QueryId,
    named: Option<CallRequestId>,
) -> Result<CallRequestId, ApiError> {
    if let Some(named) = named {
        return Ok(named);
    }
    let pending = requests::pending_of_query(&api.reads, query).await?;
    pending.map(|row| row.request_id).ok_or_else(no_such_request)
}

async fn is_cancelled(api: &Api, query: QueryId, request: CallRequestId) -> Result<bool, ApiError> {
    let row = requests::find(&api.reads, request).await?;
    Ok(row.is_some_and(|row| row.query_id == query && row.status == CallRequestStatus::Cancelled))
}

/// The request of this command, or of the first time it was sent.
fn asked(outcome: &Outcome) -> Option<CallRequestId> {
    outcome.events.iter().find_map(|recorded| match &recorded.event {
        Event::DonorQuery(DonorQueryEvent::CallRequested { request, .. }) => Some(*request),
        _ => None,
    })
}

/// A request that does not exist, or no longer waits, or is about another query.
pub(super) const fn no_such_request() -> ApiError {
    ApiError::Refused(DonorQueryError::NoSuchRequest)
}
