//! Publishes the log to NATS, fact by fact in order, and notices when the stream forgot or disagrees.
//!
//! The log is its own outbox and the stream its own checkpoint: a relay reads the stream's last message, goes on behind it,
//! and lets each publish say which message it must follow. Whoever dies at whichever step, and however many relays run at
//! once, the stream stays a copy of the log.

use std::time::Duration;

use aggregates::recorded::{PARTITIONS, Position, StoredEvent};
use metrics::{counter, gauge};
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::bus::{Bus, BusError, LastMessage, Link, MAX_WINDOW, Outgoing, Signal, Signals, Stop};
use crate::lease::{self, Duty};
use crate::log::{Log, LogError};

/// How many of the last facts an empty stream is refilled with. Readers take history from the log anyway, and new facts too
/// until the stream has them: this many take a few seconds.
const REFILL: i64 = 100_000;

/// How long an idle relay waits at most before it looks into the log.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// The longest pause between attempts while NATS or the database is away.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Tells the relay, wherever it runs, that there are new facts, up to the position in its body.
const HINT: &str = "appended";

/// Why facts could not be relayed.
#[derive(Debug, Error)]
pub enum RelayError {
    /// NATS could not be used.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Where the stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The place in the log of the last fact in the stream.
    pub position: Position,
    /// The number of the last message in the stream.
    pub sequence: u64,
    heads: Vec<Position>,
}

/// What came of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is in the stream.
    Done,
    /// The stream does not end where it should: [`Relay::resume`] again.
    Resync,
}

/// One relay. Its steps can be called in any order and abandoned at any point; [`run`] calls them in the right one.
pub struct Relay {
    log: Log,
    bus: Bus,
    published: Position,
    /// Where the stream ended when it was last looked at.
    reached: Option<Position>,
}

/// Relays facts whenever this node holds the lock, until shutdown.
pub async fn run(log: Log, bus: Bus, database: PgConnectOptions, shutdown: CancellationToken) {
    lease::hold(&database, Duty::Relay, &shutdown, || lead(&log, &bus)).await;
}

/// Wakes the relay of whichever node when this one appended something, until shutdown.
pub async fn hint(log: Log, bus: Bus, shutdown: CancellationToken) {
    let mut appended = log.appended();
    while let Some(Ok(())) = shutdown.run_until_cancelled(appended.changed()).await {
        let last = *appended.borrow();
        bus.publish_signal(HINT, last.to_string().into_bytes());
    }
}

async fn lead(log: &Log, bus: &Bus) {
    let mut relay = Relay::new(log.clone(), bus.clone());
    let hints = bus.subscribe_signal(HINT).await.ok();
    let mut wake = Wake { appended: log.appended(), link: bus.link(), hints, hinted: Position::START };
    let (mut pause, _lag) = (Duration::ZERO, Lag);
    loop {
        match relay.follow(&mut wake, &mut pause).await {
            Ok(()) => {}
            Err(error) if pause.is_zero() => {
                warn!(error = &error as &dyn std::error::Error, "Facts wait in the log: they cannot be relayed");
                pause = POLL_EVERY;
            }
            Err(_) => pause = MAX_PAUSE.min(2 * pause),
        }
        if !pause.is_zero() {
            relay.fall_behind().await;
        }
        tokio::select! {
            () = sleep(pause) => {}
            _ = wake.link.changed() => {}
        }
    }
}

/// How many facts are not in the stream yet, as long as this node is the relay.
struct Lag;

impl Lag {
    #[allow(clippy::cast_precision_loss, reason = "positions stay below 2^52")]
    fn is(facts: i64) {
        gauge!("relay_lag_events").set(facts as f64);
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        Self::is(0);
    }
}

/// What makes an idle relay look.
struct Wake {
    appended: watch::Receiver<Position>,
    link: watch::Receiver<Link>,
    hints: Option<Signals>,
    /// There should be facts up to here; a stranger may say so too.
    hinted: Position,
}

/// Why a relay waits no longer.
#[derive(PartialEq)]
enum Woken {
    /// There may be new facts.
    Look,
    /// The connection changed, and the stream may be another one.
    Moved,
}

impl Wake {
    /// Waits for a reason to look for facts after those that were published.
    async fn wait(&mut self, published: Position) -> Woken {
        if self.hinted > published {
            return Woken::Look;
        }
        let hint = async {
            // Most hints are this node's own, about what is published by now.
            while let Some(signal) = next(&mut self.hints).await {
                let known = std::str::from_utf8(&signal.body).ok().and_then(|text| text.parse().ok()).map(Position);
                self.hinted = self.hinted.max(known.unwrap_or_default());
                if known.is_none_or(|appended| appended > published) {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = self.appended.changed() => Woken::Look,
            () = hint => Woken::Look,
            () = sleep(POLL_EVERY) => Woken::Look,
            _ = self.link.changed() => Woken::Moved,
        }
    }
}

async fn next(hints: &mut Option<Signals>) -> Option<Signal> {
    hints.as_mut()?.next().await
}

impl Relay {
    /// A relay that knows nothing yet.
    pub fn new(log: Log, bus: Bus) -> Self {
        Self { log, bus, published: Position::START, reached: None }
    }

    /// Relays until the stream has to be looked at again.
    async fn follow(&mut self, wake: &mut Wake, pause: &mut Duration) -> Result<(), RelayError> {
        wake.link.mark_unchanged();
        let mut cursor = self.resume().await?;
        self.reached = Some(cursor.position);
        if !std::mem::take(pause).is_zero() {
            info!(position = cursor.position.0, "Relaying again after position {}", cursor.position);
        }
        self.log.keep_appended();
        loop {
            wake.appended.mark_unchanged();
            let window = self.next_window(&cursor).await?;
            Lag::is(self.lag(&cursor, &window).await?);
            if window.is_empty() {
                wake.hinted = cursor.position;
            }
            if !window.is_empty() && self.publish_window(&mut cursor, &window).await? == Progress::Resync {
                counter!("relay_resync_total").increment(1);
                return Ok(());
            }
            // A window that was not full was all there was, but for what was appended meanwhile or by other nodes: that ends
            // the wait at once.
            if window.len() < MAX_WINDOW && wake.wait(cursor.position).await == Woken::Moved {
                return Ok(());
            }
        }
    }

    /// Finds the end of the stream, and makes sure that it is a piece of this log: a stream that is ahead of the log or
    /// holds something else is thrown away.
    pub async fn resume(&mut self) -> Result<Cursor, RelayError> {
        match self.bus.last_message().await? {
            LastMessage::Fact { sequence, position, event_id } => {
                let same = self.log.read_after(Position(position.0 - 1), 1).await?;
                if same.first().is_none_or(|fact| fact.position != position || fact.event_id != event_id) {
                    return self.start_over("the stream disagrees with the log").await;
                }
                if position < self.published {
                    self.regressed("the stream lost its end");
                }
                Ok(Cursor { position, sequence, heads: self.log.partition_heads(position).await? })
            }
            LastMessage::None(sequence) => {
                if self.published > Position::START {
                    self.regressed("the stream was emptied");
                }
                self.refill(sequence).await
            }
            LastMessage::Foreign => self.start_over("the stream ends with a message that is not ours").await,
        }
    }

    /// The facts that come next.
    pub async fn read_window(&self, cursor: &Cursor) -> Result<Vec<StoredEvent>, RelayError> {
        Ok(self.log.read_after(cursor.position, MAX_WINDOW.cast_signed() as i64).await?)
    }

    /// The same, of which this node usually still knows what it appended itself.
    async fn next_window(&self, cursor: &Cursor) -> Result<Vec<StoredEvent>, RelayError> {
        let known = self.log.just_appended(cursor.position, MAX_WINDOW);
        if known.is_empty() { self.read_window(cursor).await } else { Ok(known) }
    }

    /// Publishes facts behind the cursor and moves it behind those that are in the stream for certain.
    pub async fn publish_window(
        &mut self,
        cursor: &mut Cursor,
        window: &[StoredEvent],
    ) -> Result<Progress, RelayError> {
        let mut heads = cursor.heads.clone();
        let outgoing: Vec<_> = window
            .iter()
            .map(|event| Outgoing { event, previous: std::mem::replace(&mut heads[index(event)], event.position) })
            .collect();
        let published = self.bus.publish_window(cursor.sequence, &outgoing).await;
        for event in &window[..published.acked] {
            cursor.heads[index(event)] = event.position;
            cursor.position = event.position;
            cursor.sequence += 1;
        }
        self.published = self.published.max(cursor.position);
        self.reached = Some(cursor.position);
        counter!("relay_published_total").increment(published.acked as u64);
        #[allow(clippy::cast_precision_loss, reason = "positions stay below 2^52")]
        gauge!("relay_position").set(cursor.position.0 as f64);
        match published.stopped {
            None => Ok(Progress::Done),
            Some(Stop::WrongSequence) => Ok(Progress::Resync),
            Some(Stop::Displaced) => {
                self.start_over("the server remembers facts that the stream lost").await?;
                Ok(Progress::Resync)
            }
            Some(Stop::Failed(error)) => Err(error.into()),
        }
    }

    async fn start_over(&mut self, reason: &str) -> Result<Cursor, RelayError> {
        self.regressed(reason);
        self.bus.recreate_stream().await?;
        self.refill(0).await
    }

    /// The place from which an empty stream is filled.
    async fn refill(&self, sequence: u64) -> Result<Cursor, RelayError> {
        let position = Position((self.log.head().await?.0 - REFILL).max(0));
        let heads = if position == Position::START {
            vec![Position::START; usize::from(PARTITIONS)]
        } else {
            self.log.partition_heads(position).await?
        };
        Ok(Cursor { position, sequence, heads })
    }

    fn regressed(&mut self, reason: &str) {
        warn!(published = self.published.0, "Refilling the stream: {reason}");
        counter!("relay_stream_regressions_total").increment(1);
        self.published = Position::START;
    }

    /// How many facts are not in the stream yet.
    async fn lag(&self, cursor: &Cursor, window: &[StoredEvent]) -> Result<i64, RelayError> {
        if window.len() < MAX_WINDOW {
            return Ok(i64::try_from(window.len()).unwrap_or(i64::MAX));
        }
        Ok(self.log.head().await?.0 - cursor.position.0)
    }

    /// Takes note of what waits while nothing can be relayed: what came since it could be, or was first tried.
    async fn fall_behind(&mut self) {
        if let Ok(head) = self.log.head().await {
            Lag::is((head.0 - self.reached.get_or_insert(head).0).max(0));
        }
    }
}

fn index(event: &StoredEvent) -> usize {
    usize::from(event.partition().0)
}
