//! Tickets: how a browser's `EventSource`, which can send no header, shows who it is without a token in the address.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ErrorBody, PushError};
use super::{Caller, Push};
use crate::accounts::TICKET_SECONDS;

/// A ticket.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticket {
    /// To be sent as `?ticket=`.
    ticket: String,
    /// For how many seconds it is good.
    #[schema(example = 30)]
    expires_in: u64,
}

/// A ticket for `GET /api/v1/events/stream`.
///
/// Every node takes it for thirty seconds, and only as long as the token it was bought with is good. It may be shown
/// again within that time, as a browser does that comes back at once. A client whose stream ends later buys another and
/// says with `after` where it stopped.
#[utoipa::path(
    post,
    path = "/api/v1/events/ticket",
    tag = "feed",
    security(("staff" = []), ("donor" = [])),
    responses(
        (status = 201, body = Ticket),
        (status = 401, body = ErrorBody),
    )
)]
pub(super) async fn ticket(State(push): State<Push>, caller: Caller) -> Result<(StatusCode, Json<Ticket>), PushError> {
    let token = caller.bearer()?;
    push.feed.accounts.authenticate(&token).await?;
    let ticket = Ticket { ticket: push.feed.accounts.ticket(&token), expires_in: TICKET_SECONDS };
    Ok((StatusCode::CREATED, Json(ticket)))
}
