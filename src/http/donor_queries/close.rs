//! `POST donor-queries/:id/donor-close`: a donor needs no help any more.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use aggregates::people::Actor;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::clock;
use crate::http::answer::{self, Envelope};
use crate::http::auth::Donor;
use crate::http::body::{Body, Id};
use crate::http::errand::{Errand, if_there_now};
use crate::http::error::ApiError;
use crate::http::joining::{self, Reader};
use crate::http::lookups::Conversation;
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::{lenient, rules, views};

/// Who closes it. The credential says so too; if both do, they must agree.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Closing {
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    donor_id: Option<String>,
}

/// Close a query.
#[utoipa::path(
    post,
    path = "/donor-queries/{id}/donor-close",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = Closing,
    responses((status = 201, description = "The query", body = Envelope<views::DonorQuery>), CommandErrors),
    security(("donor" = []))
)]
pub(super) async fn close(
    errand: Errand,
    Donor(donor): Donor,
    Id(id): Id,
    Body(body): Body<Closing>,
) -> Result<Response, ApiError> {
    let query = QueryId::new(id);
    if body.donor_id.is_some_and(|named| named != donor.donor_id.as_str()) {
        return Err(ApiError::query_not_found());
    }
    super::check_owned(&errand.api, query, &donor).await?;
    let command = DonorQueryCommand::CloseQueryByDonor { notice: errand.notice().await?, at: clock::now() };
    let outcome = errand.carry_out(query, &Actor::Donor { id: donor.donor_id }, command).await?;
    let Some(shown) = errand.shown_with_messages(query, &outcome).await? else {
        return Ok(answer::later(id, &outcome));
    };
    let (api, Conversation { row, said }) = (&errand.api, &*shown);
    let calls = joining::calls_shown(api, said, std::slice::from_ref(row), Reader::Donor).await;
    let Some(calls) = if_there_now(calls.map(Some))? else { return Ok(answer::later(id, &outcome)) };
    let data = views::DonorQuery::new(row, said, &calls, &api.accounts.list());
    let response = answer::enveloped(StatusCode::CREATED, data, Some("Query closed successfully"));
    Ok(answer::of_command(row, response, &outcome))
}
