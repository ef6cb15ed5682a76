//! The feed as pages, for clients that ask instead of listening.

use aggregates::ids::QueryId;
use aggregates::recorded::Position;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error::{ErrorBody, PushError};
use super::feed::{Audience, Cursor, End, Reached};
use super::frames::Frame;
use super::{Caller, Push};

const DEFAULT_LIMIT: i64 = 200;
const MAX_LIMIT: i64 = 1_000;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Facts after this position; from the beginning if absent.
    #[param(minimum = 0)]
    after: Option<i64>,
    /// The history that `after` is of, as an earlier page told it.
    epoch: Option<String>,
    /// How many facts to look at, at most.
    #[param(minimum = 1, maximum = 1000, default = 200)]
    limit: Option<i64>,
    /// Only facts about this query.
    query: Option<i64>,
}

/// A page of the feed.
#[derive(Serialize, ToSchema)]
pub(super) struct EventPage {
    /// The facts, in order; fewer than the limit even in the middle if some are not for this caller.
    events: Vec<Frame>,
    /// The cursor for the next page.
    #[schema(value_type = i64)]
    next: Position,
    /// Everything up to here can be read; the last page is the one whose `next` reaches it.
    #[schema(value_type = i64)]
    head: Position,
    /// Whether `after` is of another history, or beyond this one: read again what matters, and go on from `head`.
    resync: bool,
    /// The history that positions belong to: what to send with `after`.
    #[schema(value_type = String, format = "uuid")]
    epoch: Uuid,
}

/// A page of the live feed.
///
/// Staff get every fact but what others say to each other in chat, donors those about their own queries. A fact is on a page only after the reads it invites show it.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "feed",
    params(PageQuery),
    security(("staff" = []), ("donor" = [])),
    responses(
        (status = 200, body = EventPage),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 404, description = "No such query, or one of somebody else", body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
pub(super) async fn page(
    State(push): State<Push>,
    query: Result<Query<PageQuery>, QueryRejection>,
    caller: Caller,
) -> Result<Json<EventPage>, PushError> {
    let Query(query) = query?;
    let audience = Audience::of(push.feed.accounts.authenticate(&caller.bearer()?).await?);
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(PushError::Invalid("limit must be between 1 and 1000"));
    }
    let from = Cursor { after: Position(query.after.unwrap_or_default().max(0)), epoch: query.epoch };
    // Read before the queries are listed: whatever was passed is in the read models.
    let Reached { passed: head, epoch } = push.feed.reached().await.map_err(|error| failed(&error))?;
    let queries = queries(&push, &audience, query.query.map(QueryId::new)).await?;
    if !from.is_of(epoch) || is_beyond(&push, from.after, head).await? {
        return Ok(Json(EventPage { events: Vec::new(), next: head, head, resync: true, epoch }));
    }
    let history = push.feed.history(&audience, queries.as_deref(), from.after, head, limit).await;
    let history = history.map_err(|error| failed(&error))?;
    let events = history.frames.into_iter().filter_map(|(_, told)| told).map(|(frame, _)| frame).collect();
    Ok(Json(EventPage { events, next: history.covered.max(from.after), head, resync: false, epoch }))
}

/// Whether a cursor lies beyond the log, and not only beyond what this node has told of it.
async fn is_beyond(push: &Push, after: Position, told: Position) -> Result<bool, PushError> {
    if after <= told {
        return Ok(false);
    }
    let head = push.feed.log.head().await.map_err(|error| failed(&error))?;
    Ok(after > head)
}

/// The queries to look at; all if there is no list.
async fn queries(push: &Push, audience: &Audience, only: Option<QueryId>) -> Result<Option<Vec<QueryId>>, PushError> {
    let donor = match audience {
        Audience::Staff(_) => return Ok(only.map(|query| vec![query])),
        Audience::Donor(donor) => donor,
    };
    let own = push.feed.queries_of(donor).await.map_err(|error| failed(&error))?;
    match only {
        None => Ok(Some(own)),
        Some(query) if own.contains(&query) => Ok(Some(vec![query])),
        Some(_) => Err(PushError::NotFound),
    }
}

/// What a feed that could not be opened means for a plain request.
pub(super) fn refused(end: End) -> PushError {
    match end {
        End::Unauthorized(_) => PushError::Unauthorized,
        End::Slow(_) | End::Stopping(_) | End::Unavailable(_) => PushError::Unavailable,
    }
}

fn failed(error: &dyn std::error::Error) -> PushError {
    tracing::error!(%error, "Could not read a page of the feed");
    PushError::Unavailable
}
