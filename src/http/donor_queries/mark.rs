//! `POST donor-queries/:id/pending-reply` and `:id/in-progress`: staff say where a query stands.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use axum::response::Response;

use crate::clock;
use crate::http::answer::Envelope;
use crate::http::auth::{Staff, acting};
use crate::http::body::Id;
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::views;

/// The donor waits for an answer.
#[utoipa::path(
    post,
    path = "/donor-queries/{id}/pending-reply",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    responses((status = 201, description = "The query", body = Envelope<views::StaffQuery>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn pending_reply(errand: Errand, Staff(by): Staff, Id(id): Id) -> Result<Response, ApiError> {
    let (query, actor) = (QueryId::new(id), acting(&by));
    let command = DonorQueryCommand::MarkPendingReply { by, at: clock::now() };
    let outcome = errand.carry_out(query, &actor, command).await?;
    errand.answer(query, &outcome, None).await
}

/// The query is being worked on. Opens a closed one again; the target of a transfer takes it up that way.
#[utoipa::path(
    post,
    path = "/donor-queries/{id}/in-progress",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    responses((status = 201, description = "The query", body = Envelope<views::StaffQuery>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn in_progress(errand: Errand, Staff(by): Staff, Id(id): Id) -> Result<Response, ApiError> {
    let (query, actor) = (QueryId::new(id), acting(&by));
    let command = DonorQueryCommand::MarkInProgress { by, at: clock::now() };
    let outcome = errand.carry_out(query, &actor, command).await?;
    errand.answer(query, &outcome, None).await
}
