//! Tickets: how a browser's `EventSource`, which can send no header, shows who it is without a token in the address.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
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

/// How many of them one token may have bought: a greedy client loses its own.
const PER_TOKEN: usize = 8;

/// The tickets that are out: each opens one stream, once, with the token it was bought with. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tickets {
    tokens: Cache<String, String>,
    bought: Cache<String, Arc<Mutex<VecDeque<String>>>>,
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
        Self {
            tokens: Cache::builder().max_capacity(CAPACITY).time_to_live(LIFETIME).build(),
            bought: Cache::builder().max_capacity(CAPACITY).time_to_idle(LIFETIME).build(),
        }
    }

    /// The token a ticket was bought with, the first time.
    pub(super) fn redeem(&self, ticket: &str) -> Option<String> {
        self.tokens.remove(ticket)
    }

    fn issue(&self, token: String) -> String {
        let ticket = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let own = self.bought.get_with_by_ref(&token, Arc::default);
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        own.push_back(ticket.clone());
        if own.len() > PER_TOKEN
            && let Some(oldest) = own.pop_front()
        {
            self.tokens.invalidate(&oldest);
        }
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

    #[test]
    fn a_greedy_client_loses_its_own_tickets_only() {
        let tickets = Tickets::new();
        let of_another = tickets.issue("another".to_owned());
        let bought: Vec<_> = (0..=PER_TOKEN).map(|_| tickets.issue("greedy".to_owned())).collect();
        assert_eq!(tickets.redeem(&bought[0]), None);
        assert_eq!(tickets.redeem(&bought[1]).as_deref(), Some("greedy"));
        assert_eq!(tickets.redeem(&of_another).as_deref(), Some("another"));
    }
}
