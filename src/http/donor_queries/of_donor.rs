//! `GET donor-queries/user?donorId=` and `donor/:donorId`: the queries of one donor.

use std::sync::Arc;

use aggregates::ids::DonorId;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use projections::messages;
use projections::page::{MAX_LIMIT, Page};
use projections::queries::{self, ListFilter, Order};
use serde::Deserialize;
use utoipa::IntoParams;

use super::listing::NEWEST_IN_LIST;
use crate::accounts::Principal;
use crate::http::answer::{self, Envelope};
use crate::http::auth::Anyone;
use crate::http::body::{Name, Params};
use crate::http::error::{ApiError, Violation};
use crate::http::joining::{self, Reader};
use crate::http::openapi::ReadErrors;
use crate::http::{Api, lenient, rules, views};

/// Which donor.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct OfDonor {
    /// The donor's identity; a donor may leave it out.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    donor_id: Option<String>,
}

/// A donor's queries without an envelope, newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/user",
    tag = "donor queries",
    params(OfDonor),
    responses((status = 200, description = "At most 200 queries", body = Vec<views::DonorQuery>), ReadErrors),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn named_in_query(
    State(api): State<Arc<Api>>,
    Anyone(caller): Anyone,
    Params(params): Params<OfDonor>,
) -> Result<Json<Vec<views::DonorQuery>>, ApiError> {
    let text = "donorId should not be empty";
    let missing = || ApiError::Invalid(vec![Violation::new("donorId", "isNotEmpty", text)]);
    let own = match &caller {
        Principal::Donor(donor) => Some(donor.donor_id.clone()),
        Principal::Staff(_) => None,
    };
    let donor_id = params.donor_id.map(DonorId::new).or(own).ok_or_else(missing)?;
    Ok(Json(of_donor(&api, &caller, donor_id).await?))
}

/// A donor's queries, newest first.
#[utoipa::path(
    get,
    path = "/donor-queries/donor/{donorId}",
    tag = "donor queries",
    params(("donorId" = String, Path, description = "The donor's identity")),
    responses((status = 200, description = "At most 200 queries", body = Envelope<Vec<views::DonorQuery>>), ReadErrors),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn named_in_path(
    State(api): State<Arc<Api>>,
    Anyone(caller): Anyone,
    Name(donor_id): Name,
) -> Result<Response, ApiError> {
    let data = of_donor(&api, &caller, DonorId::new(donor_id)).await?;
    Ok(answer::enveloped(StatusCode::OK, data, None))
}

/// A donor sees the queries of their own session and is told nothing about others. Staff see what a donor would.
async fn of_donor(api: &Api, caller: &Principal, donor_id: DonorId) -> Result<Vec<views::DonorQuery>, ApiError> {
    let session = match caller {
        Principal::Donor(donor) if donor.donor_id != donor_id => {
            return Err(ApiError::NotFound("Donor not found".into()));
        }
        Principal::Donor(donor) => donor.session,
        Principal::Staff(_) => None,
    };
    let filter = ListFilter { donor_id: Some(donor_id), donor_session: session, ..ListFilter::default() };
    let rows = queries::list(&api.reads, &filter, Order::CreatedDesc, &Page::first(MAX_LIMIT)).await?.rows;
    let ids: Vec<_> = rows.iter().map(|row| row.query_id).collect();
    let said = messages::latest_of_queries(&api.reads, &ids, NEWEST_IN_LIST).await?;
    let reader = match caller {
        Principal::Donor(_) => Reader::Donor,
        Principal::Staff(_) => Reader::Onlooker,
    };
    let calls = joining::calls_shown(api, &said, &rows, reader).await?;
    let people = api.accounts.list();
    Ok(rows.iter().map(|row| views::DonorQuery::new(row, &said, &calls, &people)).collect())
}
