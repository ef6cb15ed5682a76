//! A gapless, ordered reader of facts: live from NATS where that works, from the log where it does not.
//!
//! Every fact knows which one came before it, so a reader sees at once whether it missed something, and reads that from
//! the log. A message without the service's seal is never believed, but a reason to look. It opens its live feed first and
//! reads the log after that; what comes twice is dropped by position. While there is no feed it looks into the log by
//! itself, a little later than a feed would have told, and so it does while a feed repeats what was read long ago, because
//! the stream is being refilled: what is new stands behind all of that.

use std::sync::Arc;
use std::time::Duration;

use aggregates::recorded::{Position, StoredEvent};
use metrics::counter;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::bus::{Bus, BusError, Delivery, Feed, Link, Scope};
use crate::log::{Log, LogError};

/// How long a quiet feed is trusted before the log is asked whether there was really nothing.
const CHECK_LIVE: Duration = Duration::from_secs(1);

/// How often the log is asked while there is no feed.
const CHECK_ALONE: Duration = Duration::from_millis(100);

/// How often at most the log is asked while there is no feed and this node appends a lot, or somebody forges a lot.
const CHECK_SPACING: Duration = Duration::from_millis(10);

/// A feed that tells facts which lie this far before what was seen will not tell anything new soon. Under load a reader that
/// looked into the log is a few hundred ahead, and its feed comes after at once.
const FAR_BEHIND: i64 = 4_096;

/// How long to wait before a feed that could not be opened is tried again.
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// A reader of the facts after a position. What waits for it is bounded: beyond that it reads the log.
pub struct Tail {
    log: Log,
    bus: Bus,
    scope: Scope,
    /// Every fact up to here was handed out.
    seen: Position,
    /// The log has facts up to here that may not have been handed out.
    goal: Position,
    live: Live,
    /// Until when the feed is not trusted, if it told what was seen long ago.
    stale_until: Option<Instant>,
    check_at: Instant,
    checked_at: Instant,
    link: watch::Receiver<Link>,
    appended: watch::Receiver<Position>,
}

enum Live {
    Closed {
        retry_at: Instant,
    },
    /// A task of its own: the readers of a node open their feeds one after the other, and none may wait for one that is busy.
    Opening(AbortOnDropHandle<Result<Box<Feed>, BusError>>),
    Open(Box<Feed>),
}

/// Why a waiting tail woke up.
enum Woken {
    Delivered(Delivery),
    Opened(Result<Box<Feed>, BusError>),
    Ended,
    Retry,
    Look,
    Appended,
}

impl Tail {
    /// Reads the facts after a position, of all partitions or one.
    pub fn start(log: Log, bus: Bus, scope: Scope, after: Position) -> Self {
        let now = Instant::now();
        Self {
            seen: after,
            goal: after,
            live: Live::Closed { retry_at: now },
            stale_until: None,
            check_at: now,
            checked_at: now,
            link: bus.link(),
            appended: log.appended(),
            log,
            bus,
            scope,
        }
    }

    /// The next facts, at least one and at most `max`, each exactly once and in order. Waits as long as there is none; can
    /// be dropped and called again without losing any.
    pub async fn next_batch(&mut self, max: usize) -> Vec<StoredEvent> {
        loop {
            match self.catch_up(max).await {
                Ok(batch) if !batch.is_empty() => return batch,
                Ok(_) => {}
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "Cannot read the log");
                    sleep(REOPEN_AFTER).await;
                    continue;
                }
            }
            let batch = self.listen(max).await;
            if !batch.is_empty() {
                return batch;
            }
        }
    }

    /// Reads what the log has and was not handed out; nothing if the feed is believed.
    async fn catch_up(&mut self, max: usize) -> Result<Vec<StoredEvent>, LogError> {
        if self.goal <= self.seen && Instant::now() >= self.check_at {
            self.goal = self.log.head().await?;
            self.checked_at = Instant::now();
            self.trust();
        }
        if self.goal <= self.seen {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let batch = match self.scope {
            Scope::All => self.log.read_after(self.seen, limit).await?,
            Scope::One(partition) => self.log.read_partition(partition, self.seen, self.goal, limit).await?,
        };
        if batch.len() < max {
            // Nothing up to the goal is left. It was the head when it was set, so it is safe to stand on.
            self.seen = self.goal;
        }
        if let Some(last) = batch.last() {
            self.seen = self.seen.max(last.position);
        }
        Ok(batch)
    }

    /// Waits for something to happen, and takes what the feed has.
    async fn listen(&mut self, max: usize) -> Vec<StoredEvent> {
        match self.wait().await {
            Woken::Delivered(delivery) => self.drain(delivery, max),
            Woken::Opened(Ok(feed)) => {
                // Facts that were published before this moment are in the log.
                self.live = Live::Open(feed);
                self.look_now();
                Vec::new()
            }
            Woken::Opened(Err(error)) => {
                debug!(error = &error as &dyn std::error::Error, scope = ?self.scope, "Cannot open a feed");
                self.close(REOPEN_AFTER);
                Vec::new()
            }
            Woken::Ended => {
                counter!("tail_feeds_ended_total").increment(1);
                self.close(Duration::ZERO);
                self.look_now();
                Vec::new()
            }
            Woken::Retry => {
                self.open();
                Vec::new()
            }
            Woken::Look => Vec::new(),
            Woken::Appended => {
                self.look_soon();
                Vec::new()
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let is_stale = self.is_stale();
        let Self { live, link, appended, check_at, .. } = self;
        match live {
            Live::Open(feed) => tokio::select! {
                biased;
                // Before the feed, which has no pause if it is stale.
                () = sleep_until(*check_at), if is_stale => Woken::Look,
                Ok(()) = appended.changed(), if is_stale => Woken::Appended,
                delivery = feed.next() => delivery.map_or(Woken::Ended, Woken::Delivered),
                () = sleep_until(*check_at) => Woken::Look,
            },
            Live::Opening(opening) => tokio::select! {
                // One that panicked is like one that has only just begun and ended.
                opened = opening => opened.map_or(Woken::Ended, Woken::Opened),
                Ok(()) = appended.changed() => Woken::Appended,
                () = sleep_until(*check_at) => Woken::Look,
            },
            Live::Closed { retry_at } => {
                let up = async {
                    // An error means that the bus is gone, and the feed with it.
                    if link.wait_for(|link| link.up).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    sleep_until(*retry_at).await;
                };
                tokio::select! {
                    () = up => Woken::Retry,
                    Ok(()) = appended.changed() => Woken::Appended,
                    () = sleep_until(*check_at) => Woken::Look,
                }
            }
        }
    }

    /// Takes a fact and whatever has arrived behind it.
    fn drain(&mut self, first: Delivery, max: usize) -> Vec<StoredEvent> {
        let mut batch = Vec::new();
        if !self.is_stale() {
            self.trust();
        }
        let mut next = Some(first);
        while let Some(delivery) = next {
            if !self.accept(delivery, &mut batch) || batch.len() == max {
                break;
            }
            next = match &mut self.live {
                Live::Open(feed) => feed.next_now(),
                Live::Opening(_) | Live::Closed { .. } => None,
            };
        }
        batch
    }

    /// Takes a fact that follows what was seen, drops one that was seen; `false` if something is missing before it.
    fn accept(&mut self, delivery: Delivery, batch: &mut Vec<StoredEvent>) -> bool {
        let (position, previous, event) = match delivery {
            Delivery::Fact { position, previous, event } => (position, previous, event),
            Delivery::Forged => {
                counter!("tail_forged_total").increment(1);
                self.look_soon();
                return false;
            }
            Delivery::Missed => {
                counter!("tail_overruns_total").increment(1);
                self.look_now();
                return false;
            }
        };
        if position <= self.seen {
            counter!("tail_duplicates_total").increment(1);
            let is_far = self.seen.0 - position.0 > FAR_BEHIND;
            self.stale_until = is_far.then(|| Instant::now() + CHECK_LIVE);
            return true;
        }
        let previous = match self.scope {
            Scope::All => Position(position.0 - 1),
            Scope::One(_) => previous,
        };
        match event {
            Some(event) if previous <= self.seen && event.position == position && self.wants(&event) => {
                self.seen = event.position;
                self.stale_until = None;
                batch.push(Arc::unwrap_or_clone(event));
                true
            }
            Some(_) | None => {
                counter!("tail_gap_fills_total").increment(1);
                self.look_now();
                false
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the task ends with the tail, or before")]
    fn open(&mut self) {
        let (bus, scope) = (self.bus.clone(), self.scope);
        let opening = tokio::spawn(async move { bus.open_feed(scope).await.map(Box::new) });
        self.live = Live::Opening(AbortOnDropHandle::new(opening));
    }

    fn is_stale(&self) -> bool {
        self.stale_until.is_some_and(|until| Instant::now() < until)
    }

    fn close(&mut self, pause: Duration) {
        self.live = Live::Closed { retry_at: Instant::now() + pause };
        self.stale_until = None;
    }

    /// Whether a fact is in scope: somebody may repeat a genuine one under the subject of another partition.
    fn wants(&self, event: &StoredEvent) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::One(partition) => event.partition() == partition,
        }
    }

    /// Brings the next look into the log forward, but not by so much that whoever causes it keeps the log busy.
    fn look_soon(&mut self) {
        self.check_at = self.check_at.min(self.checked_at + CHECK_SPACING);
    }

    fn look_now(&mut self) {
        self.check_at = Instant::now();
    }

    /// Puts the next look into the log off for as long as the feed can be trusted.
    fn trust(&mut self) {
        let is_told = matches!(self.live, Live::Open(_)) && !self.is_stale();
        let patience = if is_told { CHECK_LIVE } else { CHECK_ALONE };
        self.check_at = Instant::now() + patience;
    }
}
