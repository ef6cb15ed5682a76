//! The envelopes of success, and the headers that say which state an answer shows.

use aggregates::recorded::Position;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use projections::queries::QueryRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::idempotency::{Fleeting, Subject};
use super::layers::{POSITION, REPLAYED};
use crate::dispatch::{Outcome, Said};

/// The envelope of donor queries and messages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// The status code once more.
    status: u16,
    /// What was asked for.
    data: T,
    /// What happened, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The envelope of calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallEnvelope<T> {
    /// Whether there is something to answer with; errors have a body of their own.
    success: bool,
    /// What happened, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// What was asked for, if there is any.
    data: Option<T>,
}

/// The envelope of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListEnvelope<T> {
    /// The status code once more.
    pub(super) status: u16,
    /// One page.
    pub(super) data: Vec<T>,
    /// The length of the whole list, or as much of it as was counted.
    pub(super) total: i64,
    /// Whether `total` is all of it.
    pub(super) total_exact: bool,
    /// The most rows of a page.
    pub(super) limit: i64,
    /// The number of this page, if pages were asked for by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<i64>,
    /// What to send as `cursor` for the page that follows; null on the last one.
    pub(super) next_cursor: Option<String>,
}

/// The answer to a command whose effect is not visible yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Later {
    /// Always 202.
    status: u16,
    /// What to send as `min_position` to a read that is to show the effect.
    position: i64,
    /// What the command was about.
    data: LaterData,
}

/// What a command was about.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LaterData {
    /// The query; the message, if it was said to a colleague.
    id: i64,
    /// The token that opens it, if it was just opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    donor_token: Option<String>,
}

/// Data in its envelope.
pub(super) fn enveloped<T: Serialize>(status: StatusCode, data: T, message: Option<&str>) -> Response {
    let message = message.map(str::to_owned);
    (status, Json(Envelope { status: status.as_u16(), data, message })).into_response()
}

/// What was asked about a call, in its envelope. Nothing to answer with is no success, and no error either.
pub(super) fn about_call<T: Serialize>(status: StatusCode, data: Option<T>, message: Option<&'static str>) -> Response {
    (status, Json(CallEnvelope { success: data.is_some(), message, data })).into_response()
}

/// An answer that lets somebody join a call: it is not kept, so that no way in outlives the request.
pub(super) fn fleeting(mut response: Response) -> Response {
    response.extensions_mut().insert(Fleeting);
    response
}

/// An answer that shows one query: tagged with its version, and kept under its donor's key if it is kept.
pub(super) fn of_query(row: &QueryRow, response: Response, position: Position) -> Response {
    let mut response = at(response, position);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", row.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.extensions_mut().insert(Subject(row.donor_id.clone()));
    response
}

/// The answer to a command that shows the query it was about.
pub(super) fn of_command(row: &QueryRow, response: Response, outcome: &Outcome) -> Response {
    of_query(row, after(response, outcome), outcome.position)
}

/// The answer to a command: shows everything up to its last fact, and says if it was carried out before.
pub(super) fn after(response: Response, outcome: &Outcome) -> Response {
    let response = at(response, outcome.position);
    if outcome.replayed { replayed(response) } else { response }
}

/// An answer to a command that was carried out before, under the same key.
pub(super) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}

/// An answer that shows everything up to a position.
pub(super) fn at(mut response: Response, position: Position) -> Response {
    response.headers_mut().insert(POSITION.clone(), HeaderValue::from(position.0));
    response
}

/// The command is done, and its effect will be visible later.
pub(super) fn later(query: i64, outcome: &Outcome) -> Response {
    after(accepted(LaterData { id: query, donor_token: None }, outcome.position), outcome)
}

/// The query is open, and will be visible later.
pub(super) fn opened_later(query: i64, donor_token: String, outcome: &Outcome) -> Response {
    after(accepted(LaterData { id: query, donor_token: Some(donor_token) }, outcome.position), outcome)
}

/// The answer to a message in a chat: kept under the chat's key, if it is kept.
pub(super) fn of_chat(response: Response, said: &Said) -> Response {
    let mut response = at(response, said.position);
    response.extensions_mut().insert(Subject(said.members.subject()));
    if said.replayed { replayed(response) } else { response }
}

/// The message was said in a chat, and will be visible later.
pub(super) fn said_later(message: i64, said: &Said) -> Response {
    of_chat(accepted(LaterData { id: message, donor_token: None }, said.position), said)
}

fn accepted(data: LaterData, position: Position) -> Response {
    let status = StatusCode::ACCEPTED;
    (status, Json(Later { status: status.as_u16(), position: position.0, data })).into_response()
}
