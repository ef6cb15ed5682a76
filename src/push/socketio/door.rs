//! Who is let in: a seat for every connection, and a good token for every socket.

use std::sync::{Arc, Mutex, PoisonError};

use aggregates::ids::QueryId;
use aggregates::recorded::Position;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;
use socketioxide::extract::{self, SocketRef, TryData};
use thiserror::Error;

use super::Mouth;
use super::session::{self, MAX_ROOMS, Session, Who};
use crate::accounts::{Principal, TokenError};
use crate::config::DonorAccess;
use crate::push::Push;
use crate::push::caller::{Caller, bearer};
use crate::push::error::PushError;
use crate::push::feed::{Audience, Cursor};
use crate::push::seats::Seat;

/// The seat of a connection. It travels in the request that opened the connection, which lives as long.
#[derive(Clone)]
pub(super) struct Place(Arc<Mutex<Seat>>);

/// Why a socket was not let in; what it says is the message of the client's `connect_error`.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    /// No token, where one is needed.
    #[error("unauthorized")]
    NoToken,
    /// A token that is not good.
    #[error("unauthorized: {0}")]
    BadToken(TokenError),
    /// The token could not be checked.
    #[error("unavailable: {0}")]
    Unchecked(TokenError),
    /// No seat.
    #[error("{0}")]
    NoSeat(PushError),
    /// The cursor is none.
    #[error("after must be a position: a whole number")]
    BadCursor,
}

/// What the client said in `auth`.
struct Greeting {
    token: Option<String>,
    from: Option<Cursor>,
    rooms: Vec<QueryId>,
}

impl Place {
    /// Counts the seat for who sits there.
    pub(super) fn of(&self, audience: &Audience) -> Result<(), PushError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).of(audience)
    }
}

/// Takes a seat for a request that opens a connection; those that belong to one sit already.
pub(super) async fn take_seat(
    State(push): State<Push>,
    caller: Caller,
    mut request: Request,
    next: Next,
) -> Result<Response, PushError> {
    let query = request.uri().query().unwrap_or_default();
    if !query.split('&').any(|pair| pair.starts_with("sid=")) {
        let seat = push.seats.at_address(caller.address)?;
        request.extensions_mut().insert(Place(Arc::new(Mutex::new(seat))));
    }
    Ok(next.run(request).await)
}

/// Finds out who wants to enter the namespace, and what for. A token that is not good is refused, never nobody.
pub(super) async fn admit(
    socket: SocketRef,
    extract::State(mouth): extract::State<Mouth>,
    TryData(auth): TryData<Value>,
    extract::HttpExtension(place): extract::HttpExtension<Place>,
) -> Result<(), Refusal> {
    let greeting = Greeting::read(&auth.unwrap_or_default(), bearer(&socket.req_parts().headers))?;
    let session = match greeting.token {
        Some(token) => {
            let principal = mouth.push.feed.accounts.authenticate(&token).await?;
            place.of(&Audience::of(principal.clone())).map_err(Refusal::NoSeat)?;
            let session = Session::new(place, greeting.from, greeting.rooms);
            session.is_of(Who::from(principal), Some(token));
            session
        }
        None if mouth.push.donor_access == DonorAccess::Open => Session::new(place, greeting.from, greeting.rooms),
        None => return Err(Refusal::NoToken),
    };
    let session = Arc::new(session);
    socket.extensions.insert(Arc::clone(&session));
    // Before the client hears that it is in: nothing that it says then is missed.
    socket.on("joinQueryRoom", session::join);
    socket.on("leaveQueryRoom", session::leave);
    socket.on_disconnect(async move || session.ends());
    Ok(())
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid | TokenError::Expired | TokenError::Revoked => Self::BadToken(error),
            TokenError::Unavailable => Self::Unchecked(error),
        }
    }
}

impl From<Principal> for Who {
    fn from(principal: Principal) -> Self {
        match principal {
            Principal::Staff(staff) => Self::Staff(staff.id),
            Principal::Donor(donor) => Self::Donor(donor),
        }
    }
}

impl Greeting {
    /// Reads `auth`; the token may be in the header instead, where the oldest clients send it.
    fn read(auth: &Value, header: Option<String>) -> Result<Self, Refusal> {
        let token = match auth.get("token") {
            None | Some(Value::Null) => header,
            Some(Value::String(token)) if token.trim().is_empty() => header,
            Some(Value::String(token)) => Some(token.trim().trim_start_matches("Bearer ").to_owned()),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(Refusal::BadToken(TokenError::Invalid));
            }
        };
        let epoch = auth.get("epoch").and_then(Value::as_str).map(str::to_owned);
        let from = match auth.get("after") {
            None | Some(Value::Null) => None,
            Some(after) => {
                let after = whole(after).ok_or(Refusal::BadCursor)?;
                Some(Cursor { after: Position(after.max(0)), epoch })
            }
        };
        let rooms = auth.get("queries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let rooms = rooms.iter().filter_map(whole).map(QueryId::new).take(MAX_ROOMS).collect();
        Ok(Self { token, from, rooms })
    }
}

/// A whole number, or a text that is one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(auth: &Value) -> Option<String> {
        Greeting::read(auth, Some("of the header".to_owned())).ok()?.token
    }

    #[test]
    fn the_token_of_the_header_is_good_enough_without_another() {
        for nothing in [json!(null), json!([]), json!({}), json!({ "token": null }), json!({ "token": " " })] {
            assert_eq!(token(&nothing).as_deref(), Some("of the header"));
        }
        assert_eq!(token(&json!({ "token": "Bearer mine" })).as_deref(), Some("mine"));
        assert_eq!(token(&json!({ "token": 17 })), None);
    }

    #[test]
    fn a_cursor_is_a_whole_number_in_digits_or_in_text() {
        let after = |after: Value| {
            let greeting = Greeting::read(&json!({ "after": after }), None);
            greeting.map(|greeting| greeting.from.map(|cursor| cursor.after))
        };
        for (said, meant) in [(json!(17), 17), (json!("17"), 17), (json!(-1), 0)] {
            assert_eq!(after(said).expect("a good cursor"), Some(Position(meant)));
        }
        assert_eq!(after(json!(null)).expect("no cursor"), None);
        for nonsense in [json!("soon"), json!(1.5), json!([1])] {
            assert!(matches!(after(nonsense), Err(Refusal::BadCursor)));
        }
    }
}
