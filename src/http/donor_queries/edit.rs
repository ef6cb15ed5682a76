//! `PATCH donor-queries/:id`: details are corrected, or the status is set as the old clients do.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use aggregates::people::Staff;
use aggregates::personal::Personal;
use aggregates::vocabulary::QueryStatus;
use axum::response::Response;
use garde::Validate;
use projections::queries;
use serde::Deserialize;
use utoipa::ToSchema;

use super::transfer;
use crate::clock;
use crate::http::answer::{self, Envelope};
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::{CommandErrors, CommandHeaders};
use crate::http::{auth, lenient, rules, views};

/// What changes. Who holds a query, and who resolved it, follows from commands and cannot be written; whose it is never
/// changes. Such keys are dropped like any other that is not here.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Edits {
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    donor: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    test: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    stage: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_line))]
    device: Option<String>,
    /// Carries out the command that leads to this status.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::status))]
    status: Option<String>,
    /// Whom to hand it to; needed with `TRANSFERRED`, and means nothing without.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    transferred_to_user_id: Option<i64>,
    /// A note for the target of a transfer.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::text_or_empty))]
    transfer_note: Option<String>,
}

/// Correct a query.
#[utoipa::path(
    patch,
    path = "/donor-queries/{id}",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = Edits,
    responses((status = 200, description = "The query", body = Envelope<views::StaffQuery>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn edit(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Id(id): Id,
    Body(body): Body<Edits>,
) -> Result<Response, ApiError> {
    let (query, actor) = (QueryId::new(id), auth::acting(&by));
    // The correction first: after a transfer it would be somebody else's to make.
    let transition = transition(&errand, &by, &body).await?;
    let commands: Vec<_> = correction(by, body).into_iter().chain(transition).collect();
    if !commands.is_empty() {
        let outcome = errand.carry_out_all(query, &actor, &commands).await?;
        return errand.answer(query, &outcome, None).await;
    }
    let row = queries::find(&errand.api.reads, query).await?.ok_or(ApiError::query_not_found())?;
    let data = views::StaffQuery::new(&row, &errand.api.accounts.list());
    Ok(answer::of_query(&row, answer::enveloped(errand.success(), data, None), errand.api.freshness.applied()))
}

async fn transition(errand: &Errand, by: &Staff, body: &Edits) -> Result<Option<DonorQueryCommand>, ApiError> {
    let Some(status) = body.status.as_deref().and_then(QueryStatus::parse) else { return Ok(None) };
    let (by, at) = (by.clone(), clock::now());
    Ok(Some(match status {
        QueryStatus::InProgress => DonorQueryCommand::MarkInProgress { by, at },
        QueryStatus::PendingReply => DonorQueryCommand::MarkPendingReply { by, at },
        QueryStatus::Resolved => DonorQueryCommand::ResolveQuery { by, notice: errand.notice().await?, at },
        QueryStatus::Transferred => {
            let text = "transferredToUserId must be an integer number";
            let missing = || ApiError::Invalid(vec![Violation::new("transferredToUserId", "isInt", text)]);
            let target = body.transferred_to_user_id.ok_or_else(missing)?;
            transfer::command(errand, by, target, body.transfer_note.clone()).await?
        }
    }))
}

fn correction(by: Staff, body: Edits) -> Option<DonorQueryCommand> {
    let Edits { donor, test, stage, device, .. } = body;
    let changes = donor.is_some() || test.is_some() || stage.is_some() || device.is_some();
    changes.then(|| DonorQueryCommand::EditQuery {
        by,
        donor: donor.map(Personal::Known),
        test,
        stage,
        device,
        at: clock::now(),
    })
}
