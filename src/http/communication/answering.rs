//! Staff answer a donor's wish for a call: with a call, or with no.

use aggregates::donor_query::command::NewCall;
use aggregates::donor_query::{DonorQuery, DonorQueryCommand};
use aggregates::ids::{CallRequestId, QueryId};
use aggregates::people::Staff;
use aggregates::vocabulary::CallMode;
use axum::response::Response;
use projections::requests;

use super::Wish;
use super::begin::{Start, begin, turn};
use super::start::staff_answer;
use crate::clock;
use crate::http::answer::{self, CallEnvelope};
use crate::http::auth::{self, acting};
use crate::http::body::{Body, Id, Pair, PairOrNone};
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::views;
use crate::integrations::calls::Seat;

/// Answer the request that waits with a call. Whoever answers about a query that nobody holds takes it.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/accept-request",
    tag = "calls",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body(content = Wish, description = "May be left out: the call is then held as the donor asked"),
    responses(
        (status = 201, description = "The call, with a way in for its caller", body = CallEnvelope<views::StaffCall>),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn accept_pending(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Id(id): Id,
    Body(wish): Body<Wish>,
) -> Result<Response, ApiError> {
    with_call(&errand, by, QueryId::new(id), None, wish.mode()).await
}

/// Answer a request with a call.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/accept-request/{requestId}",
    tag = "calls",
    params(
        ("id" = i64, Path, description = "The query"),
        ("requestId" = i64, Path, description = "The request; 0 is the one that waits for an answer"),
        CommandHeaders
    ),
    request_body(content = Wish, description = "May be left out: the call is then held as the donor asked"),
    responses(
        (status = 201, description = "The call, with a way in for its caller", body = CallEnvelope<views::StaffCall>),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn accept(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    PairOrNone(id, request): PairOrNone,
    Body(wish): Body<Wish>,
) -> Result<Response, ApiError> {
    with_call(&errand, by, QueryId::new(id), request.map(CallRequestId::new), wish.mode()).await
}

/// Decline a request.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/reject-request/{requestId}",
    tag = "calls",
    params(
        ("id" = i64, Path, description = "The query"),
        ("requestId" = i64, Path, description = "The request"),
        CommandHeaders
    ),
    responses((status = 201, description = "The request", body = CallEnvelope<views::StaffCallRequest>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn reject(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Pair(id, request): Pair,
) -> Result<Response, ApiError> {
    with_no(&errand, by, QueryId::new(id), CallRequestId::new(request)).await
}

/// Answers a request with a call; without a number, the one that waits.
pub(super) async fn with_call(
    errand: &Errand,
    by: Staff,
    query: QueryId,
    request: Option<CallRequestId>,
    mode: Option<CallMode>,
) -> Result<Response, ApiError> {
    let (actor, who, at) = (acting(&by), by.as_ref(), clock::now());
    let turn = turn(&errand.api, &query).await?;
    let (state, _) = errand.api.dispatcher.current(query).await?;
    let mode = mode.or_else(|| asked_mode(&state)).unwrap_or(CallMode::Video);
    let start = Start { query, mode, by: &actor, seat: Seat::Staff(&who) };
    let command = |call: NewCall| vec![DonorQueryCommand::AcceptCallRequest { request, call, by: by.clone(), at }];
    let begun = begin(errand, turn, &start, command).await?;
    staff_answer(errand, &by, query, begun, "Call request accepted successfully").await
}

/// Declines a request.
pub(super) async fn with_no(
    errand: &Errand,
    by: Staff,
    query: QueryId,
    request: CallRequestId,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    let actor = acting(&by);
    let command = DonorQueryCommand::RejectCallRequest { request, by, at: clock::now() };
    let outcome = errand.carry_out(query, &actor, command).await?;
    let found = requests::find(&api.reads, request);
    let Some((row, request)) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let data = views::StaffCallRequest::new(&request, Some(&row), &api.accounts.list());
    let response = answer::about_call(errand.success(), Some(data), Some("Call request rejected successfully"));
    Ok(answer::of_command(&row, response, &outcome))
}

/// How the donor whose request waits would like to talk.
fn asked_mode(query: &DonorQuery) -> Option<CallMode> {
    match query {
        DonorQuery::Open(open) => open.request.as_ref().map(|request| request.mode),
        DonorQuery::Absent | DonorQuery::Closed(_) | DonorQuery::Deleted(_) => None,
    }
}
