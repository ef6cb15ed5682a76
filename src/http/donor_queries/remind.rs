//! `POST donor-queries/:id/send-reminder`: the target of a transfer is reminded.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use aggregates::personal::Personal;
use axum::response::Response;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::clock;
use crate::http::answer::Envelope;
use crate::http::auth::{Staff, acting};
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::{lenient, rules, views};

/// What the reminder says; a default text if nothing.
#[derive(Deserialize, Validate, ToSchema)]
pub(super) struct Reminder {
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::text_or_empty))]
    message: Option<String>,
}

/// Remind the target of a transfer.
#[utoipa::path(
    post,
    path = "/donor-queries/{id}/send-reminder",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = Reminder,
    responses((status = 201, description = "The query", body = Envelope<views::StaffQuery>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn remind(
    errand: Errand,
    Staff(by): Staff,
    Id(id): Id,
    Body(body): Body<Reminder>,
) -> Result<Response, ApiError> {
    let (query, actor, notice) = (QueryId::new(id), acting(&by), errand.notice().await?);
    let text = body.message.filter(|text| !text.trim().is_empty()).map(Personal::Known);
    let command = DonorQueryCommand::RemindQuery { by, text, notice, at: clock::now() };
    let outcome = errand.carry_out(query, &actor, command).await?;
    errand.answer(query, &outcome, Some("Reminder sent successfully")).await
}
