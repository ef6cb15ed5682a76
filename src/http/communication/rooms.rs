//! What happens to a call by the name of its room: joined, ended, deleted. Everything may be said twice.

use aggregates::call_session::CallSessionCommand;
use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::Caller;
use aggregates::people::{Actor, Staff};
use aggregates::vocabulary::{CallStatus, EndReason};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use projections::calls::{self, CallRow};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

use super::{in_room, no_such_call};
use crate::clock;
use crate::dispatch::Outcome;
use crate::http::answer::{self, CallEnvelope};
use crate::http::auth::{self, acting};
use crate::http::body::{Body, Name};
use crate::http::errand::Errand;
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::{donor_queries, lenient, rules, views};

/// Where a call stands now.
#[derive(Deserialize, Validate, ToSchema)]
pub(super) struct NewStatus {
    /// `STARTED` when somebody joined, `ENDED` when it is over. It never goes back.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::call_status))]
    status: Option<String>,
}

/// Who ends it. The credential says so too; if both do, they must agree.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ending {
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    donor_id: Option<String>,
}

/// The answer to a room that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedRoom {
    status: u16,
    message: &'static str,
}

/// Say where a call stands.
#[utoipa::path(
    put,
    path = "/communication/call/{id}/status",
    tag = "calls",
    params(("id" = String, Path, description = "The name of the room"), CommandHeaders),
    request_body = NewStatus,
    responses((status = 200, description = "The call", body = CallEnvelope<views::StaffCallSession>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn set_status(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Name(room): Name,
    Body(body): Body<NewStatus>,
) -> Result<Response, ApiError> {
    let missing = || ApiError::Invalid(vec![Violation::new("status", "isEnum", "status should not be empty")]);
    let status = body.status.as_deref().and_then(CallStatus::parse).ok_or_else(missing)?;
    let call = in_room(&errand.api, room).await?;
    let message = "Call status updated successfully";
    match status {
        CallStatus::Ended => {
            let outcome = end_call(&errand, &call, &acting(&by), Caller::Staff(by.clone())).await?;
            staff_answer(&errand, &call, outcome, message).await
        }
        CallStatus::Created if call.status != CallStatus::Created => Err(ApiError::CallBegan),
        CallStatus::Created | CallStatus::Started => {
            let outcome = joined(&errand, &call, &by, status).await?;
            staff_answer(&errand, &call, outcome, message).await
        }
    }
}

/// End a call. Ending it again is answered in the same way.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/end",
    tag = "calls",
    params(("id" = String, Path, description = "The name of the room"), CommandHeaders),
    responses((status = 201, description = "The call", body = CallEnvelope<views::StaffCallSession>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn end(errand: Errand, auth::Staff(by): auth::Staff, Name(room): Name) -> Result<Response, ApiError> {
    let call = in_room(&errand.api, room).await?;
    let outcome = end_call(&errand, &call, &acting(&by), Caller::Staff(by)).await?;
    staff_answer(&errand, &call, outcome, "Call ended successfully").await
}

/// End a call, as its donor.
#[utoipa::path(
    post,
    path = "/communication/call/{id}/donor-end",
    tag = "calls",
    params(("id" = String, Path, description = "The name of the room"), CommandHeaders),
    request_body(content = Ending, description = "May be left out"),
    responses((status = 201, description = "The call", body = CallEnvelope<views::DonorCallSession>), CommandErrors),
    security(("donor" = []))
)]
pub(super) async fn end_as_donor(
    errand: Errand,
    auth::Donor(donor): auth::Donor,
    Name(room): Name,
    Body(body): Body<Ending>,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    let call = in_room(api, room).await?;
    let is_named = body.donor_id.is_none_or(|named| named == donor.donor_id.as_str());
    if !is_named || donor_queries::check_owned(api, call.query_id, &donor).await.is_err() {
        return Err(no_such_call());
    }
    let outcome = end_call(&errand, &call, &Actor::Donor { id: donor.donor_id }, Caller::Donor).await?;
    let query = call.query_id;
    let found = calls::find(&api.reads, call.call_id);
    let Some((row, call)) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let data = views::DonorCallSession::new(&call, &row, None, &api.accounts.list());
    let response = answer::about_call(StatusCode::CREATED, Some(data), Some("Call ended successfully"));
    Ok(answer::of_command(&row, response, &outcome))
}

/// Delete a room; a call that goes on in it ends.
#[utoipa::path(
    delete,
    path = "/communication/call/{id}",
    tag = "calls",
    params(("id" = String, Path, description = "The name of the room"), CommandHeaders),
    responses((status = 200, description = "The room is gone, or about to go", body = DeletedRoom), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn delete(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Name(room): Name,
) -> Result<Response, ApiError> {
    let api = &errand.api;
    let call = in_room(api, room).await?;
    api.dispatcher.current(call.query_id).await?.0.check_may_act(&by)?;
    let outcome = end_call(&errand, &call, &acting(&by), Caller::Staff(by)).await?;
    let message = match api.rooms.close_room(&call.provider, &call.room_name).await {
        Ok(()) => "Room deleted successfully",
        Err(error) => {
            warn!(%error, call.id = %call.call_id, "The room of call {} stays for now", call.call_id);
            "Call ended; its room could not be deleted yet and closes by itself"
        }
    };
    if !errand.is_shown(call.query_id, outcome.position).await {
        return Ok(answer::later(call.query_id.get(), &outcome));
    }
    Ok(answer::after(Json(DeletedRoom { status: 200, message }).into_response(), &outcome))
}

async fn end_call(errand: &Errand, call: &CallRow, by: &Actor, caller: Caller) -> Result<Outcome, ApiError> {
    let command =
        DonorQueryCommand::EndCall { call: call.call_id, reason: EndReason::HungUp, by: caller, at: clock::now() };
    errand.carry_out(call.query_id, by, command).await
}

/// Notes that somebody joined, unless that is known.
async fn joined(errand: &Errand, call: &CallRow, by: &Staff, status: CallStatus) -> Result<Outcome, ApiError> {
    let (actor, query) = (acting(by), call.query_id);
    errand.api.dispatcher.current(query).await?.0.check_may_act(by)?;
    let outcome = errand.carry_out_all(query, &actor, &[]).await?;
    if status == CallStatus::Created {
        return Ok(outcome);
    }
    let command = CallSessionCommand::StartCall { by: actor.clone(), at: clock::now() };
    let position = errand.carry_out_on_call(call.call_id, query, &actor, command).await?;
    Ok(Outcome { position, ..outcome })
}

async fn staff_answer(
    errand: &Errand,
    call: &CallRow,
    outcome: Outcome,
    message: &'static str,
) -> Result<Response, ApiError> {
    let (api, query) = (&errand.api, call.query_id);
    let found = calls::find(&api.reads, call.call_id);
    let Some((row, call)) = errand.shown_with(query, &outcome, found).await? else {
        return Ok(answer::later(query.get(), &outcome));
    };
    let data = views::StaffCallSession::new(&call, Some(&row), None, &api.accounts.list());
    let response = answer::about_call(errand.success(), Some(data), Some(message));
    Ok(answer::of_command(&row, response, &outcome))
}
