//! `POST webhooks/daily`: Daily.co tells who is in a room, and the call begins or ends.
//!
//! Nothing is lost if a delivery comes twice, late or out of order: a call begins and ends once, and who is in a room is
//! known by when they came.

use std::sync::Arc;

use aggregates::call_session::CallSessionCommand;
use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::Caller;
use aggregates::people::Actor;
use aggregates::recorded::Metadata;
use aggregates::vocabulary::EndReason;
use axum::extract::{OriginalUri, Request, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use projections::calls::{self, CallRow};
use serde::Serialize;
use tracing::debug;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::layers::RequestId;
use super::openapi::PublicErrors;
use super::{Api, body};
use crate::clock;
use crate::dispatch::{CommandContext, DispatchError};
use crate::integrations::calls::{Delivery, Notice};

const TIMESTAMP: &str = "X-Webhook-Timestamp";
const SIGNATURE: &str = "X-Webhook-Signature";

/// How Daily shows that a delivery is its own.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes headers that the handler reads")]
struct DeliveryHeaders {
    /// When it was signed, in Unix seconds; at most five minutes from now.
    #[param(rename = "X-Webhook-Timestamp")]
    timestamp: Option<String>,
    /// HMAC-SHA256 of the timestamp, a dot and the body, under the webhook's secret, in base64.
    #[param(rename = "X-Webhook-Signature")]
    signature: Option<String>,
}

/// The delivery need not be sent again.
#[derive(Serialize, ToSchema)]
struct Received {
    /// Always true.
    received: bool,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(daily))
}

/// Take a delivery of Daily.co.
#[utoipa::path(
    post,
    path = "/webhooks/daily",
    tag = "webhooks",
    params(DeliveryHeaders),
    request_body(content = Object, description = "An event of Daily.co; unknown ones are accepted and ignored"),
    responses(
        (status = 200, description = "Taken, or known already, or of no interest", body = Received),
        (status = 401, description = "The signature does not fit, or is too old", body = super::error::ErrorBody),
        (status = 404, description = "No webhook is configured", body = super::error::ErrorBody),
        PublicErrors
    )
)]
async fn daily(
    State(api): State<Arc<Api>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    OriginalUri(asked): OriginalUri,
    request: Request,
) -> Result<Json<Received>, ApiError> {
    let Some(webhooks) = api.rooms.webhooks() else {
        return Err(ApiError::NoSuchRoute { method: request.method().to_string(), path: asked.path().to_owned() });
    };
    let headers = request.headers().clone();
    let body = body::read(request).await?;
    let delivery = webhooks.read(text(&headers, TIMESTAMP), text(&headers, SIGNATURE), &body, clock::now());
    let delivery = delivery.map_err(|error| {
        debug!("A delivery is not believed: {error}");
        ApiError::Unauthorized
    })?;
    if let Some(delivery) = delivery {
        take(&api, &request_id, &delivery).await?;
    }
    Ok(Json(Received { received: true }))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

async fn take(api: &Api, request_id: &str, delivery: &Delivery) -> Result<(), ApiError> {
    let Some(call) = calls::by_room(&api.reads, &delivery.room).await? else {
        // Daily knows one domain, on which others may have rooms too. Ours will show soon; Daily tells again.
        return if api.rooms.is_ours(&delivery.room) { Err(ApiError::Unavailable(None)) } else { Ok(()) };
    };
    let mut metadata = Metadata::of(&Actor::System, request_id);
    metadata.causation_id = format!("daily:{}", delivery.id);
    let context = CommandContext { metadata, if_match: None, key: None };
    let roster = api.rooms.roster();
    let done = match &delivery.notice {
        Notice::MeetingStarted => start(api, &call, &context).await,
        Notice::Joined(presence) => {
            roster.joined(&delivery.room, presence).await?;
            start(api, &call, &context).await
        }
        Notice::Left { presence, at } => return Ok(roster.left(&delivery.room, presence, *at).await?),
        Notice::MeetingEnded { at } => {
            if !roster.emptied(&delivery.room, *at).await? {
                return Ok(());
            }
            end(api, &call, &context).await
        }
    };
    match done {
        // A call that is over, about a query that may be gone: there is nothing left to do.
        Err(DispatchError::Refused(_) | DispatchError::CallRefused(_)) => Ok(()),
        done => Ok(done?),
    }
}

async fn start(api: &Api, call: &CallRow, context: &CommandContext) -> Result<(), DispatchError> {
    let command = CallSessionCommand::StartCall { by: Actor::System, at: clock::now() };
    api.dispatcher.call(call.call_id, call.query_id, command, context).await.map(drop)
}

async fn end(api: &Api, call: &CallRow, context: &CommandContext) -> Result<(), DispatchError> {
    let command = DonorQueryCommand::EndCall {
        call: call.call_id,
        reason: EndReason::Abandoned,
        by: Caller::System,
        at: clock::now(),
    };
    api.dispatcher.query(call.query_id, command, context).await.map(drop)
}
