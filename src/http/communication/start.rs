//! `POST communication/call/:queryId` and `/direct-call`: a call without a request, by staff or by the donor.

use aggregates::donor_query::command::{Caller, NewCall};
use aggregates::donor_query::{DonorQueryCommand, DonorQueryError};
use aggregates::ids::{CallId, QueryId};
use aggregates::people::{Actor, Staff};
use aggregates::vocabulary::CallMode;
use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use projections::{ReadError, calls, queries, requests};

use super::Wish;
use super::begin::{Begun, Start, Turn, begin, begun_call, turn};
use crate::accounts::DonorPrincipal;
use crate::clock;
use crate::http::answer::{self, CallEnvelope};
use crate::http::auth;
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::joining::{self, Reader};
use crate::http::layers::ClientAddress;
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::{Api, donor_queries, views};
use crate::integrations::calls::Seat;

/// Call a donor. Whoever calls about a query that nobody holds takes it.
#[utoipa::path(
    post,
    path = "/communication/call/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body(content = Wish, description = "May be left out"),
    responses(
        (status = 201, description = "The call, with a way in for its caller", body = CallEnvelope<views::StaffCall>),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn start(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Id(id): Id,
    Body(wish): Body<Wish>,
) -> Result<Response, ApiError> {
    as_staff(&errand, by, QueryId::new(id), wish.mode().unwrap_or(CallMode::Video)).await
}

/// Call the desk, without asking first. A call that is going on is answered instead of a second one.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/direct-call",
    tag = "calls",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body(content = Wish, description = "May be left out"),
    responses(
        (status = 201, description = "The call, with a way in for the donor", body = CallEnvelope<views::DonorCall>),
        CommandErrors
    ),
    security(("donor" = []))
)]
pub(super) async fn direct(
    errand: Errand,
    auth::Donor(donor): auth::Donor,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Id(id): Id,
    Body(wish): Body<Wish>,
) -> Result<Response, ApiError> {
    let (query, mode) = (QueryId::new(id), wish.mode().unwrap_or(CallMode::Video));
    donor_queries::check_owned(&errand.api, query, &donor).await?;
    errand.api.limits.open(address)?;
    let turn = turn(&errand.api, &query).await?;
    let (call, begun) = match call_as_donor(&errand, turn, &donor, query, mode).await {
        Err(ApiError::Refused(DonorQueryError::CallActive(call))) => {
            let outcome = errand.found_call(query, &Actor::Donor { id: donor.donor_id }, call).await?;
            (begun_call(&outcome.events).unwrap_or(call), Begun { outcome, pass: None })
        }
        begun => {
            let begun = begun?;
            (begun_call(&begun.outcome.events).ok_or(ApiError::Internal(None))?, begun)
        }
    };
    donor_answer(&errand, query, call, begun).await
}

/// Calls a donor on behalf of a staff member, and answers with the way in.
pub(super) async fn as_staff(errand: &Errand, by: Staff, query: QueryId, mode: CallMode) -> Result<Response, ApiError> {
    let (actor, who, message, at) = (auth::acting(&by), by.as_ref(), errand.notice().await?, clock::now());
    let start = Start { query, mode, by: &actor, seat: Seat::Staff(&who) };
    let command =
        |call: NewCall| vec![DonorQueryCommand::StartCall { call, message, by: Caller::Staff(by.clone()), at }];
    let turn = turn(&errand.api, &query).await?;
    let begun = begin(errand, turn, &start, command).await?;
    staff_answer(errand, &by, query, begun, "Call started successfully").await
}

async fn call_as_donor(
    errand: &Errand,
    turn: Turn<'_>,
    donor: &DonorPrincipal,
    query: QueryId,
    mode: CallMode,
) -> Result<Begun, ApiError> {
    let (row, message, at) = (donors_row(&errand.api, query).await?, errand.notice().await?, clock::now());
    let by = Actor::Donor { id: donor.donor_id.clone() };
    let start = Start { query, mode, by: &by, seat: Seat::Donor { id: &row.donor_id, name: &row.donor } };
    let command = |call: NewCall| vec![DonorQueryCommand::StartCall { call, message, by: Caller::Donor, at }];
    begin(errand, turn, &start, command).await
}

async fn donors_row(api: &Api, query: QueryId) -> Result<queries::QueryRow, ApiError> {
    api.lookups.query(query).await?.ok_or(ApiError::query_not_found())
}

/// Answers a staff member with a call that began, and with the request it answers.
pub(super) async fn staff_answer(
    errand: &Errand,
    by: &Staff,
    query: QueryId,
    begun: Begun,
    message: &'static str,
) -> Result<Response, ApiError> {
    let Begun { outcome, pass } = begun;
    let api = &errand.api;
    let call = begun_call(&outcome.events).ok_or(ApiError::Internal(None))?;
    let found = async {
        let Some(call) = calls::find(&api.reads, call).await? else { return Ok(None) };
        let request = match call.request_id {
            Some(request) => requests::find(&api.reads, request).await?,
            None => None,
        };
        Ok::<_, ReadError>(Some((call, request)))
    };
    let Some((row, (call, request))) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let pass = match pass {
        None => joining::try_pass(api, &call, &row, Reader::Staff(by)).await,
        made => made,
    };
    let people = api.accounts.list();
    let mut data = views::StaffCall::new(&call, &row, pass.as_ref(), &people);
    if let Some(request) = request {
        data = data.answering(&request, &row, &people);
    }
    let response = answer::about_call(errand.success(), Some(data), Some(message));
    Ok(answer::fleeting(answer::of_command(&row, response, &outcome)))
}

async fn donor_answer(errand: &Errand, query: QueryId, call: CallId, begun: Begun) -> Result<Response, ApiError> {
    let Begun { outcome, pass } = begun;
    let api = &errand.api;
    let found = calls::find(&api.reads, call);
    let Some((row, call)) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let pass = match pass {
        None => joining::try_pass(api, &call, &row, Reader::Donor).await,
        made => made,
    };
    let data = views::DonorCall::new(&call, &row, pass.as_ref(), &api.accounts.list());
    let response = answer::about_call(StatusCode::CREATED, Some(data), Some("Direct call started successfully"));
    Ok(answer::fleeting(answer::of_command(&row, response, &outcome)))
}
