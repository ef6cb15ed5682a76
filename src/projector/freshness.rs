//! How far the read models got: what a command awaits before it answers, and a frame before it is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aggregates::recorded::{Partition, Position};
use sqlx::PgPool;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::checkpoints;
use crate::bus::Bus;
use crate::clock;
use crate::database::Made;
use crate::log::{Log, LogError};

/// How long a wait relies on being told before it looks into the database.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a look into the database may take.
const LOOK: Duration = Duration::from_secs(1);

/// The news that a batch was applied, between nodes.
const SIGNAL: &str = "applied";

/// How far the read models got. Cheap to clone.
#[derive(Clone)]
pub struct Freshness {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    pool: PgPool,
    marks: Vec<watch::Sender<Known>>,
    walked: watch::Sender<Position>,
    looked: Mutex<Option<Instant>>,
    /// The connections that `pool` made, and how many of them were no news at the last look.
    made: Made,
    seen: AtomicU64,
    /// How often a look found less than was believed.
    losses: AtomicU64,
}

/// How far all read models got in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Every read model has applied the partition's facts up to here.
    pub(super) applied: Position,
    /// A read model could not apply a fact and waits for an operator.
    pub(super) stopped: bool,
}

/// What is known of a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    mark: Mark,
    /// Up to where its facts were applied once: further than they are if the database lost some.
    once: Position,
}

impl Freshness {
    /// Knows nothing yet; `pool` is asked when nobody else tells.
    pub fn new(log: Log, pool: PgPool) -> Self {
        Self::of_reads(log, pool, Made::default())
    }

    /// The same for those who read on that pool, with the connections it makes: see [`Self::held_since`].
    pub fn of_reads(log: Log, pool: PgPool, made: Made) -> Self {
        let marks = Partition::all().map(|_| watch::Sender::new(Known::default())).collect();
        let inner = Inner {
            log,
            pool,
            marks,
            walked: watch::Sender::new(Position::START),
            looked: Mutex::new(None),
            made,
            seen: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Waits until every read model has applied the facts of a partition up to a position; `false` on time-out, and at
    /// once if a read model is stopped before it.
    pub async fn reached(&self, partition: Partition, position: Position, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut marks = self.mark(partition).subscribe();
        loop {
            let Known { mark, .. } = *marks.borrow_and_update();
            if mark.applied >= position {
                return true;
            }
            if mark.stopped && !self.look(PATIENCE).await {
                return false;
            }
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            if timeout_at(deadline.min(now + PATIENCE), marks.changed()).await.is_err() {
                // Whoever looks wakes everybody who waits; a look that takes too long is given up with the wait.
                let _ = timeout_at(deadline, self.look(PATIENCE)).await;
            }
        }
    }

    /// Waits until every read model has applied all facts up to a position, as far as [`Self::applied`] promises; `false` on
    /// time-out, and at once if there is no such fact. What comes after a stop of a read model is only waited for until it
    /// was walked past: one fact that cannot be applied must not take reads from everybody.
    pub async fn reached_all(&self, position: Position, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut walked = self.inner.walked.subscribe();
        if timeout_at(deadline.min(Instant::now() + PATIENCE), walked.wait_for(|walked| *walked >= position))
            .await
            .is_ok()
            && self.lost().is_none()
        {
            return true;
        }
        let partitions = async {
            if self.inner.log.head().await? < position {
                return Ok(None);
            }
            self.inner.log.partition_heads(position).await.map(Some)
        };
        let Ok(Ok(Some(heads))) = timeout_at(deadline, partitions).await else { return false };
        for (partition, head) in Partition::all().zip(heads) {
            if !self.reached(partition, head, deadline.saturating_duration_since(Instant::now())).await {
                return false;
            }
        }
        self.passed(position);
        true
    }

    /// Everything up to here is applied, except in partitions that are stopped.
    pub fn applied(&self) -> Position {
        let walked = *self.inner.walked.borrow();
        self.lost().map_or(walked, |kept| kept.min(walked))
    }

    /// How often the database was found to have lost what was applied.
    pub fn losses(&self) -> u64 {
        self.inner.losses.load(Ordering::SeqCst)
    }

    /// Whether what was waited for since so many [losses](Self::losses) was there while it was read, as far as is known. To
    /// be asked after the reading: a crash ends every connection, and what came on one that is new may be older than what
    /// was believed before. So only then the database is asked; what it does not answer is not so.
    pub async fn held_since(&self, losses: u64) -> bool {
        let made = self.inner.made.count();
        if self.inner.seen.load(Ordering::SeqCst) < made {
            // Whoever waits for somebody else's look shares it.
            let Ok(mut looked) = timeout(LOOK, self.inner.looked.lock()).await else { return false };
            if self.inner.seen.load(Ordering::SeqCst) < made {
                if !self.compare_all().await {
                    return false;
                }
                self.inner.seen.fetch_max(made, Ordering::SeqCst);
                *looked = Some(Instant::now());
            }
        }
        self.losses() == losses
    }

    /// For how long the first fact that is not applied has been in the log; zero if all are.
    pub async fn delay(&self) -> Result<Duration, LogError> {
        let waiting = self.inner.log.read_after(self.applied(), 1).await?;
        let age = waiting.first().map(|fact| clock::now() - fact.recorded_at);
        // A database whose clock is ahead makes a negative age.
        Ok(age.and_then(|age| age.to_std().ok()).unwrap_or_default())
    }

    /// Takes note that everything up to a position is applied. Called by whoever walks all facts in order and waits for
    /// each with [`Self::reached`].
    pub fn passed(&self, position: Position) {
        self.inner.walked.send_if_modified(|walked| raise(walked, position));
    }

    /// Whether a read model could not apply a fact of a partition and waits for an operator, so that nobody else should
    /// wait for it.
    pub fn is_stopped(&self, partition: Partition) -> bool {
        self.mark(partition).borrow().mark.stopped
    }

    /// The partitions that are stopped; for `/health`.
    pub fn stopped(&self) -> Vec<Partition> {
        Partition::all().filter(|partition| self.is_stopped(*partition)).collect()
    }

    /// Takes note of what a projector did, and wakes who waits for it. Never goes back: news may overtake each other.
    pub(super) fn note(&self, partition: Partition, mark: Mark) {
        self.mark(partition).send_if_modified(|known| {
            let changed = known.mark.stopped != mark.stopped;
            known.mark.stopped = mark.stopped;
            raise(&mut known.once, mark.applied);
            raise(&mut known.mark.applied, mark.applied) || changed
        });
    }

    /// What is believed at the moment, for [`Self::compare`].
    pub(super) fn believed(&self) -> Vec<Position> {
        self.inner.marks.iter().map(|known| known.borrow().mark.applied).collect()
    }

    /// Takes note of a checkpoint that was read after something was [believed](Self::believed). Every announcement follows
    /// its commit, so a checkpoint before what was believed is one that the database lost in a crash; only such a one
    /// goes back.
    pub(super) fn compare(&self, believed: &[Position], partition: Partition, mark: Mark) {
        if mark.applied < believed[usize::from(partition.0)] {
            self.inner.losses.fetch_add(1, Ordering::SeqCst);
            self.mark(partition).send_modify(|known| known.mark.applied = mark.applied);
        }
        self.note(partition, mark);
    }

    /// Tells the other nodes. With no marks at all, they look for themselves.
    pub(super) fn announce(bus: &Bus, marks: &[(Partition, Mark)]) {
        let body: Vec<_> = marks.iter().map(|(partition, mark)| (partition, mark.applied, mark.stopped)).collect();
        if let Ok(body) = serde_json::to_vec(&body) {
            bus.publish_signal(SIGNAL, body);
        }
    }

    /// Listens to the projectors of other nodes until shutdown. What they say about facts that are not in the log, as after
    /// it was restored from a backup, is passed over.
    pub async fn follow(&self, bus: &Bus, shutdown: &CancellationToken) {
        let mut signals = match bus.subscribe_signal(SIGNAL).await {
            Ok(signals) => signals,
            Err(error) => return warn!(%error, "Waits will poll: cannot listen to other projectors"),
        };
        let mut head = Position::START;
        while let Some(Some(signal)) = shutdown.run_until_cancelled(signals.next()).await {
            let marks: Vec<(Partition, Position, bool)> = serde_json::from_slice(&signal.body).unwrap_or_default();
            if marks.is_empty() {
                self.look(Duration::ZERO).await;
            }
            for (partition, applied, stopped) in marks {
                let Some(mark) = self.inner.marks.get(usize::from(partition.0)) else { continue };
                let known = mark.borrow().mark.applied.max(head);
                if applied > known {
                    head = self.inner.log.head().await.unwrap_or(head);
                }
                if applied <= known.max(head) {
                    self.note(partition, Mark { applied, stopped });
                }
            }
        }
    }

    /// Looks into the database, unless somebody does or did a moment ago. `false` if nothing was looked up.
    async fn look(&self, at_most_every: Duration) -> bool {
        let Ok(mut looked) = self.inner.looked.try_lock() else { return false };
        if looked.is_some_and(|at| at.elapsed() < at_most_every) {
            return false;
        }
        let compared = self.compare_all().await;
        if compared {
            *looked = Some(Instant::now());
        }
        compared
    }

    /// Compares all that is believed with the checkpoints; `false` if they could not be read.
    async fn compare_all(&self) -> bool {
        let believed = self.believed();
        let look = timeout(LOOK, checkpoints::marks(&self.inner.pool));
        let Ok(Ok(marks)) = look.await else { return false };
        for (partition, mark) in marks {
            self.compare(&believed, partition, mark);
        }
        true
    }

    /// The least that was kept of a partition of which the database lost what was applied, until that is applied again.
    fn lost(&self) -> Option<Position> {
        let known = self.inner.marks.iter().map(|known| *known.borrow());
        let lost = known.filter(|Known { mark, once }| !mark.stopped && mark.applied < *once);
        lost.map(|known| known.mark.applied).min()
    }

    fn mark(&self, partition: Partition) -> &watch::Sender<Known> {
        &self.inner.marks[usize::from(partition.0)]
    }
}

/// Moves a position forward; `false` if it was there already.
fn raise(known: &mut Position, position: Position) -> bool {
    let raised = position > *known;
    *known = position.max(*known);
    raised
}
