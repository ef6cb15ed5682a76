//! `PATCH` and `POST donor-queries/:id/resolve`: a staff member is done with a query.

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

/// Resolve a query.
#[utoipa::path(
    method(patch, post),
    path = "/donor-queries/{id}/resolve",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    responses(
        (status = 200, description = "The query, to a PATCH", body = Envelope<views::StaffQuery>),
        (status = 201, description = "The query, to a POST", body = Envelope<views::StaffQuery>),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn resolve(errand: Errand, Staff(by): Staff, Id(id): Id) -> Result<Response, ApiError> {
    let (query, actor, notice) = (QueryId::new(id), acting(&by), errand.notice().await?);
    let command = DonorQueryCommand::ResolveQuery { by, notice, at: clock::now() };
    let outcome = errand.carry_out(query, &actor, command).await?;
    errand.answer(query, &outcome, None).await
}
