//! Donor queries: opening, reading and moving them.

mod accept;
mod close;
mod delete;
mod edit;
mod is_accepted;
pub(super) mod listing;
mod lists;
mod mark;
mod of_donor;
mod one;
mod open;
mod remind;
mod resolve;
mod start_call;
mod transfer;

use std::sync::Arc;

use aggregates::ids::QueryId;
use projections::queries::QueryRow;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ApiError;
use crate::accounts::{DonorPrincipal, Principal};

pub(super) use transfer::active;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(open::open, lists::all))
        .routes(routes!(start_call::start_call))
        .routes(routes!(lists::general))
        .routes(routes!(lists::unassigned))
        .routes(routes!(lists::mine))
        .routes(routes!(lists::transferred_to_me))
        .routes(routes!(lists::in_progress))
        .routes(routes!(lists::pending_reply))
        .routes(routes!(lists::resolved))
        .routes(routes!(lists::transferred))
        .routes(routes!(lists::of_status))
        .routes(routes!(lists::of_statuses))
        .routes(routes!(lists::of_donor_name))
        .routes(routes!(of_donor::named_in_query))
        .routes(routes!(of_donor::named_in_path))
        .routes(routes!(one::bare))
        .routes(routes!(one::one, edit::edit, delete::delete))
        .routes(routes!(is_accepted::is_accepted))
        .routes(routes!(accept::accept))
        .routes(routes!(resolve::resolve))
        .routes(routes!(transfer::transfer))
        .routes(routes!(mark::pending_reply))
        .routes(routes!(mark::in_progress))
        .routes(routes!(remind::remind))
        .routes(routes!(close::close))
}

/// A query that somebody may see. One that is not theirs is not there.
pub(super) async fn visible(api: &Api, query: QueryId, caller: &Principal) -> Result<QueryRow, ApiError> {
    let row = api.lookups.query(query).await?.ok_or(ApiError::query_not_found())?;
    match caller {
        Principal::Donor(donor) if !donor.owns(&row.donor_id, row.donor_session) => Err(ApiError::query_not_found()),
        Principal::Donor(_) | Principal::Staff(_) => Ok(row),
    }
}

/// Makes sure that a query is the donor's own, by the log: a command must not rest on a read model.
pub(super) async fn check_owned(api: &Api, query: QueryId, donor: &DonorPrincipal) -> Result<(), ApiError> {
    let (state, _) = api.dispatcher.load(query).await?;
    let is_owned = state.origin().is_some_and(|origin| donor.owns(&origin.donor_id, origin.session));
    if is_owned { Ok(()) } else { Err(ApiError::query_not_found()) }
}
