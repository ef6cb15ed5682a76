//! `PATCH` and `POST donor-queries/:id/transfer`: a query changes hands.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::{QueryId, UserId};
use aggregates::people::{Staff, StaffRef};
use aggregates::personal::Personal;
use axum::response::Response;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::clock;
use crate::http::answer::Envelope;
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::{Api, auth, lenient, rules, views};

/// Whom to hand it to, under the names of both generations. The target's name comes from their account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    /// The staff member who is to hold it.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    admin_id: Option<i64>,
    /// The same, as older clients say it.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    transferred_to_user_id: Option<i64>,
    /// A note for the target alone.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::text_or_empty))]
    transfer_note: Option<String>,
}

/// Transfer a query.
#[utoipa::path(
    method(patch, post),
    path = "/donor-queries/{id}/transfer",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = Target,
    responses(
        (status = 200, description = "The query, to a PATCH", body = Envelope<views::StaffQuery>),
        (status = 201, description = "The query, to a POST", body = Envelope<views::StaffQuery>),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn transfer(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Id(id): Id,
    Body(body): Body<Target>,
) -> Result<Response, ApiError> {
    let (query, actor) = (QueryId::new(id), auth::acting(&by));
    let missing = || ApiError::Invalid(vec![Violation::new("adminId", "isInt", "adminId must be an integer number")]);
    let target = body.admin_id.or(body.transferred_to_user_id).ok_or_else(missing)?;
    let command = command(&errand, by, target, body.transfer_note).await?;
    let outcome = errand.carry_out(query, &actor, command).await?;
    errand.answer(query, &outcome, None).await
}

/// The command that hands a query to an account.
pub(super) async fn command(
    errand: &Errand,
    by: Staff,
    target: i64,
    note: Option<String>,
) -> Result<DonorQueryCommand, ApiError> {
    let to = active(&errand.api, UserId::new(target))?;
    let note = note.filter(|note| !note.trim().is_empty()).map(Personal::Known);
    Ok(DonorQueryCommand::TransferQuery { by, to, note, notice: errand.notice().await?, at: clock::now() })
}

/// A colleague at work: somebody who can be handed a query, or written to.
pub(in crate::http) fn active(api: &Api, id: UserId) -> Result<StaffRef, ApiError> {
    let user = api.accounts.find(id).ok_or(ApiError::NotFound("User not found".into()))?;
    if !user.is_active {
        let message = "the account is inactive".into();
        return Err(ApiError::Unprocessable { code: "user_inactive", message });
    }
    Ok(user.as_staff_ref())
}
