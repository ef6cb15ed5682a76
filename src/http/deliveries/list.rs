//! `GET deliveries`: what was told outside the desk, newest first.

use std::sync::Arc;

use aggregates::ids::QueryId;
use axum::Json;
use axum::extract::State;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Delivery;
use crate::http::body::Params;
use crate::http::error::ApiError;
use crate::http::openapi::ReadErrors;
use crate::http::{Api, lenient};
use crate::reactions::{Channel, DeliveryFilter, DeliveryState, MAX_PAGE};

/// How many rows a page has, if its client does not say.
const PAGE: i64 = 50;

/// Which deliveries, and where the page begins.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `pending`, `sent`, `skipped` or `dead`.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(known_state))]
    state: Option<String>,
    /// `push`, `mail` or `room`.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(known_channel))]
    channel: Option<String>,
    /// About this query.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    query_id: Option<i64>,
    /// The `nextCursor` of the page before.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    cursor: Option<i64>,
    /// The most rows, up to 200; 50 if absent.
    #[serde(deserialize_with = "lenient::optional_count")]
    #[garde(range(min = 1))]
    limit: Option<i64>,
}

/// One page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The status code once more.
    status: u16,
    data: Vec<Delivery>,
    /// What to send as `cursor` for the page that follows; null on the last one.
    next_cursor: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the signature that garde calls")]
fn known_state(value: &Option<String>, _: &()) -> garde::Result {
    let is_good = value.as_deref().is_none_or(|word| DeliveryState::parse(word).is_some());
    if is_good { Ok(()) } else { Err(garde::Error::new("isIn: must be one of pending, sent, skipped, dead")) }
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the signature that garde calls")]
fn known_channel(value: &Option<String>, _: &()) -> garde::Result {
    let is_good = value.as_deref().is_none_or(|word| Channel::parse(word).is_some());
    if is_good { Ok(()) } else { Err(garde::Error::new("isIn: must be one of push, mail, room")) }
}

/// What was told outside the desk, newest first; kept for 30 days.
#[utoipa::path(
    get,
    path = "/deliveries",
    tag = "deliveries",
    params(Wanted),
    responses((status = 200, description = "One page", body = Page), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, Params(wanted): Params<Wanted>) -> Result<Json<Page>, ApiError> {
    let filter = DeliveryFilter {
        state: wanted.state.as_deref().and_then(DeliveryState::parse),
        channel: wanted.channel.as_deref().and_then(Channel::parse),
        query_id: wanted.query_id.map(QueryId::new),
    };
    let limit = wanted.limit.unwrap_or(PAGE).min(MAX_PAGE);
    let rows = api.deliveries.list(filter, wanted.cursor, limit).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next_cursor = rows.last().map(|row| row.id).filter(|_| is_full);
    Ok(Json(Page { status: 200, data: rows.into_iter().map(Delivery::from).collect(), next_cursor }))
}
