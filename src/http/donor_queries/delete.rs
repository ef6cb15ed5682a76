//! `DELETE donor-queries/:id`: a query leaves the desk. Its facts stay.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::http::answer::{self, Envelope};
use crate::http::auth::{SuperAdmin, acting};
use crate::http::body::Id;
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::openapi::{CommandErrors, CommandHeaders};

/// Which query is gone.
#[derive(Serialize, ToSchema)]
struct Deleted {
    id: i64,
}

/// Delete a query.
#[utoipa::path(
    delete,
    path = "/donor-queries/{id}",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    responses((status = 200, description = "Its id", body = Envelope<Deleted>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn delete(errand: Errand, SuperAdmin(by): SuperAdmin, Id(id): Id) -> Result<Response, ApiError> {
    let (query, actor) = (QueryId::new(id), acting(&by));
    let outcome = errand.carry_out(query, &actor, DonorQueryCommand::DeleteQuery { by, at: clock::now() }).await?;
    if !errand.is_shown(query, outcome.position).await {
        return Ok(answer::later(id, &outcome));
    }
    Ok(answer::after(answer::enveloped(errand.success(), Deleted { id }, None), &outcome))
}
