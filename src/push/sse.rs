//! The feed as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use aggregates::recorded::Position;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{StreamExt, stream};
use metrics::{Gauge, gauge};
use serde::Deserialize;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::timeout;
use utoipa::IntoParams;

use super::error::{ErrorBody, PushError};
use super::fact::Telling;
use super::feed::{Audience, Cursor, End, Line, Subscription};
use super::notice::Notice;
use super::{Caller, Push, page};

/// How often a comment keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// After how long, at least and beyond that at most, a client comes back: spread out, so that they do not come all at once.
const RETRY_MS: u64 = 1_000;
const RETRY_SPREAD_MS: u64 = 4_000;

/// How many lines wait for a client that is slow to read.
const WAITING: usize = 16;

/// How long a client may take to make room for one more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to begin, and who asks.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Resume after this position. The header `Last-Event-ID`, which browsers send when they come back, goes first.
    after: Option<i64>,
    /// The same as `after`, under the name that others use.
    last_event_id: Option<i64>,
    /// The history that the position is of, as `live` told it. In another one it means nothing, and the answer is `resync`.
    epoch: Option<String>,
    /// A ticket of the last thirty seconds, for clients that cannot send an `Authorization` header.
    ticket: Option<String>,
}

/// Counts an open stream for as long as it lives.
struct Counted(Gauge);

/// The live feed as server-sent events.
///
/// Facts are plain messages with their position as `id`; `live`, `heartbeat`, `resync` and `close` are named events. After
/// `close` the stream ends. A client that sends its token comes back where it stopped, with `Last-Event-ID`. One that has a
/// ticket buys another and says the same with `after`: the address that an `EventSource` comes back to by itself still has
/// the old ticket, which is answered with 401 once its thirty seconds are over.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    tag = "feed",
    params(StreamQuery, ("Last-Event-ID" = Option<i64>, Header, description = "Resume after this position")),
    security(("staff" = []), ("donor" = []), ()),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
pub(super) async fn stream(
    State(push): State<Push>,
    query: Result<Query<StreamQuery>, QueryRejection>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<impl IntoResponse, PushError> {
    let Query(query) = query?;
    let mut seat = push.seats.at_address(caller.address)?;
    let token = match &query.ticket {
        Some(ticket) => push.feed.accounts.redeem(ticket)?,
        None => caller.bearer()?,
    };
    let audience = Audience::of(push.feed.accounts.authenticate(&token).await?);
    seat.of(&audience)?;
    let after = last_event_id(&headers)?.or(query.after).or(query.last_event_id);
    let from = after.map(|after| Cursor { after: Position(after.max(0)), epoch: query.epoch });
    let subscription = push.feed.open(audience, Some(token), from).await.map_err(page::refused)?;
    let (events, mut told) = mpsc::channel(WAITING);
    push.tracker.spawn(async move {
        let _held = (seat, Counted::new());
        tell(subscription, &events).await;
    });
    let stream = stream::poll_fn(move |context| told.poll_recv(context)).map(Ok::<_, Infallible>);
    let no_buffering = (HeaderName::from_static("x-accel-buffering"), "no");
    Ok(([no_buffering], Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, PushError> {
    let invalid = || PushError::Invalid("Last-Event-ID must be a position");
    match headers.get("last-event-id") {
        Some(value) if !value.is_empty() => {
            value.to_str().ok().and_then(|value| value.parse().ok()).map(Some).ok_or_else(invalid)
        }
        Some(_) | None => Ok(None),
    }
}

/// Hands the feed over until it ends, the client leaves, or does not read any more.
///
/// A task of its own: the server asks for nothing while the client's socket is full, so a stream that told itself would
/// wait for ever, and keep its seat.
async fn tell(mut subscription: Subscription, events: &Sender<Event>) {
    let mut retry = Some(retry());
    loop {
        let next = tokio::select! {
            next = subscription.next() => next,
            () = events.closed() => return,
        };
        let is_over = next.is_err();
        let event = next.map_or_else(close_event, |line| line_event(&line));
        let event = match retry.take() {
            Some(retry) => event.retry(retry),
            None => event,
        };
        let is_taken = matches!(timeout(PATIENCE, events.send(event)).await, Ok(Ok(())));
        if is_over || !is_taken {
            return;
        }
    }
}

fn line_event(line: &Line) -> Event {
    let event = Event::default().data(line.text.as_str());
    let event = match &line.telling {
        Telling::Fact(_) => event,
        Telling::Notice(notice) => event.event(notice.name()),
    };
    match line.position {
        Some(position) => event.id(position.to_string()),
        None => event,
    }
}

fn close_event(end: End) -> Event {
    let close = Notice::Close { reason: end.to_string(), resume_after: end.resume_after() };
    Event::default().event(close.name()).data(close.text().as_str())
}

fn retry() -> Duration {
    Duration::from_millis(RETRY_MS + rand::random::<u64>() % RETRY_SPREAD_MS)
}

impl Counted {
    fn new() -> Self {
        let open = gauge!("feed_connections", "mouth" => "sse");
        open.increment(1);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
