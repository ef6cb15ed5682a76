//! `PATCH donor-queries/:id`: details are corrected, the status is set as the old clients do, or the donor's device is new.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use aggregates::people::Staff;
use aggregates::personal::Personal;
use aggregates::vocabulary::QueryStatus;
use axum::response::Response;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::transfer;
use crate::accounts::Principal;
use crate::accounts::devices::DeviceKind;
use crate::clock;
use crate::http::answer::{self, Envelope};
use crate::http::auth::Anyone;
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::{ApiError, Violation};
use crate::http::joining::{self, Reader};
use crate::http::lookups::Conversation;
use crate::http::openapi::{CommandErrors, CommandHeaders, Either};
use crate::http::{Api, auth, lenient, rules, views};

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
    /// The push token of the donor's device: all that the donor may send.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_push_token))]
    fcm_token: Option<String>,
}

/// Correct a query.
#[utoipa::path(
    patch,
    path = "/donor-queries/{id}",
    tag = "donor queries",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = Edits,
    responses(
        (
            status = 200,
            description = "The query; less of it for its donor",
            body = Envelope<Either<views::StaffQuery, views::DonorQuery>>
        ),
        CommandErrors
    ),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn edit(
    errand: Errand,
    Anyone(caller): Anyone,
    Id(id): Id,
    Body(body): Body<Edits>,
) -> Result<Response, ApiError> {
    let query = QueryId::new(id);
    match caller {
        Principal::Staff(by) => by_staff(errand, by, query, body).await,
        Principal::Donor(_) => by_donor(&errand, &caller, query, body).await,
    }
}

async fn by_staff(errand: Errand, by: Staff, query: QueryId, mut body: Edits) -> Result<Response, ApiError> {
    let actor = auth::acting(&by);
    let push_token = body.fcm_token.take();
    // The correction first: after a transfer it would be somebody else's to make.
    let transition = transition(&errand, &by, &body).await?;
    let commands: Vec<_> = correction(by, body).into_iter().chain(transition).collect();
    let outcome = match commands.as_slice() {
        [] => None,
        commands => Some(errand.carry_out_all(query, &actor, commands).await?),
    };
    if let Some(push_token) = push_token {
        register(&errand.api, query, &push_token).await?;
    }
    if let Some(outcome) = outcome {
        return errand.answer(query, &outcome, None).await;
    }
    let row = errand.api.lookups.query(query).await?.ok_or(ApiError::query_not_found())?;
    let data = views::StaffQuery::new(&row, &errand.api.accounts.list());
    Ok(answer::of_query(&row, answer::enveloped(errand.success(), data, None), errand.api.freshness.applied()))
}

async fn by_donor(errand: &Errand, caller: &Principal, query: QueryId, body: Edits) -> Result<Response, ApiError> {
    super::visible(&errand.api, query, caller).await?;
    let Edits { donor: None, test: None, stage: None, device: None, status: None, fcm_token: Some(push_token), .. } =
        body
    else {
        return Err(ApiError::Forbidden);
    };
    register(&errand.api, query, &push_token).await?;
    let found = errand.api.lookups.conversation(query).await?.ok_or(ApiError::query_not_found())?;
    let Conversation { row, said } = &*found;
    let calls = joining::calls_shown(&errand.api, said, std::slice::from_ref(row), Reader::Donor).await?;
    let data = views::DonorQuery::new(row, said, &calls, &errand.api.accounts.list());
    Ok(answer::of_query(row, answer::enveloped(errand.success(), data, None), errand.api.freshness.applied()))
}

/// Notes the device of a query's donor.
async fn register(api: &Api, query: QueryId, push_token: &str) -> Result<(), ApiError> {
    let (state, _) = api.dispatcher.load(query).await?;
    let origin = state.origin().ok_or(ApiError::query_not_found())?;
    let registered = api.devices.register_donor(&origin.donor_id, origin.session, DeviceKind::Token, push_token);
    Ok(registered.await?)
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
