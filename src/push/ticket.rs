//! Tickets: how a browser's `EventSource`, which can send no header, shows who it is without a token in the address.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ErrorBody, PushError};
use super::{Caller, Push};

/// How long a ticket is good.
const LIFETIME: Duration = Duration::from_secs(30);

/// How many tickets may be out at a time; beyond it, some die early.
const CAPACITY: u64 = 10_000;

/// The tickets that are out: each opens one stream, once, with the token it was bought with. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tickets {
    tokens: Cache<String, String>,
}

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

/// A ticket for `GET /api/v1/events/stream`: good once, for thirty seconds.
#[utoipa::path(
    post,
    path = "/api/v1/events/ticket",
    tag = "feed",
    operation_id = "feedTicket",
    security(("staff" = []), ("donor" = [])),
    responses(
        (status = 201, body = Ticket),
        (status = 401, body = ErrorBody),
    )
)]
pub(super) async fn ticket(State(push): State<Push>, caller: Caller) -> Result<(StatusCode, Json<Ticket>), PushError> {
    let token = caller.bearer()?;
    push.feed.accounts.authenticate(&token).await?;
    let ticket = Ticket { ticket: push.tickets.issue(token), expires_in: LIFETIME.as_secs() };
    Ok((StatusCode::CREATED, Json(ticket)))
}

impl Tickets {
    pub(super) fn new() -> Self {
        Self { tokens: Cache::builder().max_capacity(CAPACITY).time_to_live(LIFETIME).build() }
    }

    /// The token a ticket was bought with, the first time.
    pub(super) fn redeem(&self, ticket: &str) -> Option<String> {
        self.tokens.remove(ticket)
    }

    fn issue(&self, token: String) -> String {
        let ticket = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        self.tokens.insert(ticket.clone(), token);
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once() {
        let tickets = Tickets::new();
        let ticket = tickets.issue("token".to_owned());
        assert_eq!(tickets.redeem(&ticket).as_deref(), Some("token"));
        assert_eq!(tickets.redeem(&ticket), None);
        assert_eq!(tickets.redeem("made up"), None);
    }
}
