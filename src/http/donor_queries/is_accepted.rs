//! `GET donor-queries/:id/is-accepted`: does somebody take care of it?

use std::sync::Arc;

use aggregates::ids::QueryId;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::answer::{self, Envelope};
use crate::http::auth::Anyone;
use crate::http::body::Id;
use crate::http::error::ApiError;
use crate::http::openapi::ReadErrors;
use crate::http::{Api, views};

/// Does somebody take care of a query?
#[utoipa::path(
    get,
    path = "/donor-queries/{id}/is-accepted",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query")),
    responses((status = 200, description = "Whether, and who", body = Envelope<views::Acceptance>), ReadErrors),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn is_accepted(
    State(api): State<Arc<Api>>,
    Anyone(caller): Anyone,
    Id(id): Id,
) -> Result<Response, ApiError> {
    let row = super::visible(&api, QueryId::new(id), &caller).await?;
    let data = views::Acceptance::new(&row, &api.accounts.list());
    Ok(answer::enveloped(StatusCode::OK, data, None))
}
