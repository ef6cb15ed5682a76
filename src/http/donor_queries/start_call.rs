//! `POST donor-queries/start-call`: a donor asks for help and calls the desk in one go.
//!
//! The query and the call are one append behind the room: if there is no room, there is no query that would stand in the
//! way of the next try.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::{Caller, NewCall};
use aggregates::ids::DonorId;
use aggregates::people::Actor;
use aggregates::vocabulary::{CallMode, QueryStatus};
use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use projections::ReadError;
use projections::calls;
use projections::page::Page;
use projections::queries::{self, ListFilter, Order};
use serde::Serialize;
use utoipa::ToSchema;

use super::open::{self, NewQuery};
use crate::clock;
use crate::http::answer::{self, Envelope};
use crate::http::auth::Caller as Credential;
use crate::http::body::Body;
use crate::http::communication::{Begun, Start, begin, begun_call, turn};
use crate::http::errand::{Errand, Founding, if_there_now};
use crate::http::error::ApiError;
use crate::http::joining::{self, Reader};
use crate::http::layers::ClientAddress;
use crate::http::lookups::Conversation;
use crate::http::openapi::{CommandErrors, FoundingHeaders};
use crate::http::{Api, views};
use crate::integrations::calls::Seat;

/// A query that was just opened, and the call about it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenedWithCall {
    query: views::OpenedQuery,
    call: views::DonorCall,
}

/// Open a query and call the desk about it.
#[utoipa::path(
    post,
    path = "/donor-queries/start-call",
    tag = "donor queries",
    params(FoundingHeaders),
    request_body = NewQuery,
    responses(
        (status = 201, description = "The query with its token, and the call", body = Envelope<OpenedWithCall>),
        CommandErrors
    ),
    security((), ("donor" = []))
)]
pub(super) async fn start_call(
    Founding(errand): Founding,
    caller: Credential,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Body(body): Body<NewQuery>,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    api.limits.open(address)?;
    let (donor_id, donor, mode) = (body.donor_id(), body.donor().to_owned(), body.mode().unwrap_or(CallMode::Video));
    let by = Actor::Donor { id: donor_id.clone() };
    let session = open::session(&caller, &donor_id);
    let (query, message) = (api.log.next_query_id().await?, errand.notice().await?);
    let open = open::command(&errand, body, donor_id.clone(), session).await?;
    let turn = turn(api, &donor_id).await?;
    if errand.rehearse(query, &by, std::slice::from_ref(&open)).await?.is_none() {
        check_no_open_query(api, &donor_id).await?;
    }
    let start = Start { query, mode, by: &by, seat: Seat::Donor { id: &donor_id, name: &donor } };
    let commands = |call: NewCall| {
        let call = DonorQueryCommand::StartCall { call, message, by: Caller::Donor, at: clock::now() };
        vec![open.clone(), call]
    };
    let begun = begin(&errand, turn, &start, commands).await?;
    answer(&errand, begun).await
}

/// Makes no room for a donor who would be refused. The log decides in the end: a list may be behind.
async fn check_no_open_query(api: &Api, donor_id: &DonorId) -> Result<(), ApiError> {
    let statuses = vec![QueryStatus::InProgress, QueryStatus::PendingReply, QueryStatus::Transferred];
    let filter = ListFilter { donor_id: Some(donor_id.clone()), statuses, ..ListFilter::default() };
    let open = queries::list(&api.reads, &filter, Order::CreatedDesc, &Page::first(1)).await?.rows;
    open.first().map_or(Ok(()), |row| Err(ApiError::DonorHasOpenQuery(row.query_id)))
}

async fn answer(errand: &Errand, begun: Begun) -> Result<Response, ApiError> {
    let (api, Begun { outcome, pass }) = (&errand.api, begun);
    let (query, donor_id, session) = open::opened(&outcome.events).ok_or(ApiError::Internal(None))?;
    let call = begun_call(&outcome.events).ok_or(ApiError::Internal(None))?;
    let token = api.accounts.donor_token(&donor_id, session);
    let Some(found) = errand.shown_with_messages(query, &outcome).await? else {
        return Ok(answer::opened_later(query.get(), token, &outcome));
    };
    let Conversation { row, said } = &*found;
    let told = async {
        let Some(call) = calls::find(&api.reads, call).await? else { return Ok(None) };
        let shown = joining::calls_told(&api.reads, said).await?;
        Ok::<_, ReadError>(Some((call, shown)))
    };
    let Some((call, shown)) = if_there_now(told.await)? else {
        return Ok(answer::opened_later(query.get(), token, &outcome));
    };
    let pass = match pass {
        None => joining::try_pass(api, &call, row, Reader::Donor).await,
        made => made,
    };
    let people = api.accounts.list();
    let data = OpenedWithCall {
        query: views::DonorQuery::new(row, said, &shown, &people).with_token(token),
        call: views::DonorCall::new(&call, row, pass.as_ref(), &people),
    };
    let response = answer::enveloped(StatusCode::CREATED, data, Some("Query created and call started successfully"));
    Ok(answer::fleeting(answer::of_command(row, response, &outcome)))
}
