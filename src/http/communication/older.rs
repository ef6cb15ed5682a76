//! Paths that only the oldest dashboard knows. Where they mean what a newer path means, they do it.

use std::sync::Arc;

use aggregates::ids::{CallRequestId, QueryId};
use aggregates::vocabulary::CallMode;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use projections::requests;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{answering, asking, start};
use crate::accounts::Principal;
use crate::http::answer::{self, CallEnvelope};
use crate::http::auth::{self, Anyone};
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::{CommandErrors, CommandHeaders, Either, ReadErrors};
use crate::http::{Api, lenient, rules, views};

/// A wish for a call about a query that the path does not name.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    /// The query.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    query_id: Option<i64>,
    /// `VIDEO`, `AUDIO` or `SCREEN`, in any letter case.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::call_type))]
    mode: Option<String>,
}

/// The answer to a call request.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// `ACCEPTED` or `DECLINED`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::verdict))]
    status: Option<String>,
    /// The request; without it, or 0, the one that waits for an answer.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    call_request_id: Option<i64>,
}

/// A call request.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Withdrawal {
    /// The request.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    request_id: Option<i64>,
}

/// Nothing was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nothing {}

/// Call a donor, naming the query in the body.
#[utoipa::path(
    post,
    path = "/communication/call",
    tag = "calls",
    params(CommandHeaders),
    request_body = About,
    responses(
        (status = 201, description = "The call, with a way in for its caller", body = CallEnvelope<views::StaffCall>),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn start(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Body(about): Body<About>,
) -> Result<Response, ApiError> {
    let (query, mode) = (about.query()?, about.mode());
    start::as_staff(&errand, by, query, mode).await
}

/// Ask for a call, naming the query in the body. Staff need not ask: they are told to start one, and nothing happens.
#[utoipa::path(
    post,
    path = "/communication/request-call",
    tag = "calls",
    params(CommandHeaders),
    request_body = About,
    responses((status = 201, description = "The request", body = CallEnvelope<views::Ask>), CommandErrors),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn request(
    errand: Errand,
    Anyone(caller): Anyone,
    Body(about): Body<About>,
) -> Result<Response, ApiError> {
    match caller {
        Principal::Donor(donor) => asking::as_donor(&errand, &donor, about.query()?, about.mode()).await,
        Principal::Staff(_) => {
            let message = "Nothing was requested: staff start calls themselves";
            Ok(answer::about_call(StatusCode::CREATED, None::<Nothing>, Some(message)))
        }
    }
}

/// Answer a call request.
#[utoipa::path(
    put,
    path = "/communication/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = Verdict,
    responses(
        (
            status = 200,
            description = "The call, or the declined request",
            body = CallEnvelope<Either<views::StaffCall, views::StaffCallRequest>>
        ),
        CommandErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn answer(
    errand: Errand,
    auth::Staff(by): auth::Staff,
    Id(id): Id,
    Body(verdict): Body<Verdict>,
) -> Result<Response, ApiError> {
    let query = QueryId::new(id);
    let request = verdict.call_request_id.filter(|request| *request != 0).map(CallRequestId::new);
    let missing = || ApiError::Invalid(vec![Violation::new("status", "isEnum", "status should not be empty")]);
    let word = verdict.status.ok_or_else(missing)?;
    if word.eq_ignore_ascii_case(rules::ACCEPTED) {
        return answering::with_call(&errand, by, query, request, None).await;
    }
    let request = asking::named_or_pending(&errand.api, query, request).await?;
    answering::with_no(&errand, by, query, request).await
}

/// The requests about a query that wait for an answer.
#[utoipa::path(
    get,
    path = "/communication/call-requests/{id}",
    tag = "calls",
    params(("id" = i64, Path, description = "The query")),
    responses(
        (status = 200, description = "At most one", body = CallEnvelope<Vec<views::StaffCallRequest>>),
        ReadErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn pending(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
) -> Result<Response, ApiError> {
    asking::pending_of(&api, &staff, QueryId::new(id)).await
}

/// Take a call request off the table: its donor withdraws it, staff decline it.
#[utoipa::path(
    post,
    path = "/communication/cancel-call-request",
    tag = "calls",
    params(CommandHeaders),
    request_body = Withdrawal,
    responses(
        (
            status = 201,
            description = "The request",
            body = CallEnvelope<Either<views::StaffCallRequest, views::DonorCallRequest>>
        ),
        CommandErrors
    ),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn withdraw(
    errand: Errand,
    Anyone(caller): Anyone,
    Body(body): Body<Withdrawal>,
) -> Result<Response, ApiError> {
    let text = "requestId must be an integer number";
    let missing = || ApiError::Invalid(vec![Violation::new("requestId", "isInt", text)]);
    let request = CallRequestId::new(body.request_id.ok_or_else(missing)?);
    let row = requests::find(&errand.api.reads, request).await?.ok_or_else(asking::no_such_request)?;
    match caller {
        Principal::Donor(donor) => asking::take_back(&errand, &donor, row.query_id, Some(request)).await,
        Principal::Staff(staff) => answering::with_no(&errand, staff, row.query_id, request).await,
    }
}

impl About {
    fn query(&self) -> Result<QueryId, ApiError> {
        let message = "a call needs the query it is about".into();
        self.query_id.map(QueryId::new).ok_or(ApiError::Unprocessable { code: "query_required", message })
    }

    fn mode(&self) -> CallMode {
        self.mode.as_deref().and_then(CallMode::parse).unwrap_or(CallMode::Video)
    }
}
