//! The lists of queries for staff: each names which queries it shows, and in which order.

use std::sync::Arc;

use aggregates::vocabulary::QueryStatus;
use axum::extract::State;
use axum::response::Response;
use projections::queries::{Assigned, ListFilter, Order};

use super::listing::{self, Filters};
use crate::http::answer::ListEnvelope;
use crate::http::auth::Staff;
use crate::http::body::{Name, Params};
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::ReadErrors;
use crate::http::{Api, views};

fn open() -> ListFilter {
    ListFilter { statuses: vec![QueryStatus::InProgress, QueryStatus::PendingReply], ..ListFilter::default() }
}

fn in_status(status: QueryStatus) -> ListFilter {
    ListFilter { statuses: vec![status], ..ListFilter::default() }
}

/// Every query; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn all(State(api): State<Arc<Api>>, Params(filters): Params<Filters>) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, ListFilter::default(), Order::CreatedDesc).await
}

/// Every open query, whoever holds it; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/general",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn general(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, open(), Order::CreatedDesc).await
}

/// Open queries that nobody holds; who has waited longest comes first.
#[utoipa::path(
    get,
    path = "/donor-queries/unassigned",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn unassigned(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, ListFilter { assigned: Assigned::Unassigned, ..open() }, Order::CreatedAsc).await
}

/// Open queries that the caller holds; what changed last comes first.
#[utoipa::path(
    get,
    path = "/donor-queries/my-queries",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn mine(
    State(api): State<Arc<Api>>,
    Staff(staff): Staff,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, ListFilter { assigned: Assigned::To(staff.id), ..open() }, Order::UpdatedDesc).await
}

/// Queries that were handed to the caller and not taken up yet; what changed last comes first.
#[utoipa::path(
    get,
    path = "/donor-queries/transferred-to-me",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn transferred_to_me(
    State(api): State<Arc<Api>>,
    Staff(staff): Staff,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(
        &api,
        &filters,
        ListFilter { transferred_to: Some(staff.id), ..in_status(QueryStatus::Transferred) },
        Order::UpdatedDesc,
    )
    .await
}

/// Queries being worked on; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/in-progress",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn in_progress(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, in_status(QueryStatus::InProgress), Order::CreatedDesc).await
}

/// Queries whose donor waits for an answer; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/pending-reply",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn pending_reply(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, in_status(QueryStatus::PendingReply), Order::CreatedDesc).await
}

/// Closed queries; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/resolved",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn resolved(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, in_status(QueryStatus::Resolved), Order::CreatedDesc).await
}

/// Queries that were handed over and not taken up yet; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/transferred",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn transferred(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    listing::answer(&api, &filters, in_status(QueryStatus::Transferred), Order::CreatedDesc).await
}

/// Queries in one status; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/status/{status}",
    tag = "donor queries",
    params(("status" = String, Path, description = "The status"), Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_status(
    State(api): State<Arc<Api>>,
    Name(word): Name,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    let text = "status must be one of the statuses";
    let unknown = || ApiError::Invalid(vec![Violation::new("status", "isEnum", text)]);
    let status = QueryStatus::parse(&word).ok_or_else(unknown)?;
    listing::answer(&api, &filters, in_status(status), Order::CreatedDesc).await
}

/// Queries in some statuses, or in any; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/filtered/statuses",
    tag = "donor queries",
    params(Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_statuses(
    State(api): State<Arc<Api>>,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    let list = ListFilter { statuses: filters.wanted(), ..ListFilter::default() };
    listing::answer(&api, &filters, list, Order::CreatedDesc).await
}

/// Queries of donors with this name or address; newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/user/{email}",
    tag = "donor queries",
    params(("email" = String, Path, description = "The donor's name or address, exactly"), Filters),
    responses((status = 200, description = "A page", body = ListEnvelope<views::StaffQueryWithMessages>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_donor_name(
    State(api): State<Arc<Api>>,
    Name(donor): Name,
    Params(filters): Params<Filters>,
) -> Result<Response, ApiError> {
    let list = ListFilter { donor_name: Some(donor), ..ListFilter::default() };
    listing::answer(&api, &filters, list, Order::CreatedDesc).await
}
