//! One after the other: takes the facts that have arrived and applies them for all read models in one transaction.

use std::borrow::Cow;
use std::time::Duration;

use aggregates::recorded::{Partition, Position, RecordedEvent, StoredEvent};
use metrics::{counter, gauge, histogram};
use projections::{Projection, checkpoint};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::checkpoints::{self, Checkpoints, DeadLetter, Move, Parked};
use super::freshness::{Freshness, Mark};
use super::{HANDFUL, Interrupted, Projector};
use crate::bus::Bus;
use crate::database;
use crate::log::{Log, LogError};

/// How many facts are applied at once at most.
const MAX_BATCH: usize = 2_000;

/// How often a batch is tried before the fact that spoils it is searched.
const TRIES: u32 = 3;

/// The pause after the first failure; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause while the database is away.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How often a lane with a stopped partition looks whether an operator freed it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A lane owns some partitions.
pub(super) struct Lane {
    log: Log,
    bus: Bus,
    freshness: Freshness,
    pool: PgPool,
    inbox: mpsc::Receiver<Vec<StoredEvent>>,
    checkpoints: Checkpoints,
    stopped: Vec<(Projection, Partition)>,
    look_at: Instant,
}

/// Why a batch could not be applied.
enum Refused {
    /// Trying again would not help.
    Poison(sqlx::Error),
    /// The projector has to begin anew.
    Interrupted(Interrupted),
}

impl Lane {
    pub(super) fn new(
        projector: &Projector,
        inbox: mpsc::Receiver<Vec<StoredEvent>>,
        checkpoints: Checkpoints,
    ) -> Self {
        Self {
            log: projector.log.clone(),
            bus: projector.bus.clone(),
            freshness: projector.freshness.clone(),
            pool: projector.pool.clone(),
            inbox,
            checkpoints,
            stopped: Vec::new(),
            look_at: Instant::now(),
        }
    }

    /// Applies what arrives until the projector has to begin anew.
    pub(super) async fn run(mut self) -> Interrupted {
        loop {
            if let Err(interrupted) = self.step().await {
                return interrupted;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Interrupted> {
        let arrived = tokio::select! {
            arrived = self.inbox.recv() => arrived.ok_or(Interrupted::Moved)?,
            () = sleep_until(self.look_at), if !self.stopped.is_empty() => return self.look().await,
        };
        let batch = self.gather(arrived);
        #[allow(clippy::cast_precision_loss, reason = "a batch has a few thousand facts at most")]
        histogram!("projection_batch_size").record(batch.len() as f64);
        let (events, unreadable) = self.open(&batch).await;
        match self.apply(Projection::ALL, &events, TRIES).await {
            Ok(()) => {}
            Err(Refused::Poison(error)) => self.isolate(&events, &error).await?,
            Err(Refused::Interrupted(interrupted)) => return Err(interrupted),
        }
        for (event, reason) in unreadable {
            let parked = Parked { partition: event.partition(), position: event.position, event_id: &event.event_id };
            for projection in Projection::ALL {
                self.stop(*projection, &parked, &reason).await?;
            }
        }
        Ok(())
    }

    /// Takes whatever else has arrived, without waiting, in the order of the log.
    fn gather(&mut self, mut batch: Vec<StoredEvent>) -> Vec<StoredEvent> {
        while batch.len() + HANDFUL <= MAX_BATCH {
            let Ok(more) = self.inbox.try_recv() else { break };
            batch.extend(more);
        }
        batch.sort_by_key(|event| event.position);
        batch
    }

    /// Opens facts. A partition ends at its first fact that cannot be read.
    async fn open<'a>(&self, batch: &'a [StoredEvent]) -> (Vec<RecordedEvent>, Vec<(&'a StoredEvent, String)>) {
        let mut events = Vec::with_capacity(batch.len());
        let mut unreadable: Vec<(&StoredEvent, String)> = Vec::new();
        for (stored, opened) in batch.iter().zip(self.open_patiently(batch).await) {
            let partition = stored.partition();
            if unreadable.iter().any(|(event, _)| event.partition() == partition) || self.is_stopped(partition) {
                continue;
            }
            match opened {
                Ok(event) => events.push(event),
                Err(reason) => unreadable.push((stored, reason.to_string())),
            }
        }
        (events, unreadable)
    }

    /// Opens facts as soon as their keys can be looked up.
    async fn open_patiently(&self, batch: &[StoredEvent]) -> Vec<Result<RecordedEvent, LogError>> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.log.open_fresh(batch).await {
                Ok(opened) => return opened,
                Err(error) => warn!(%error, "Cannot open facts now; trying again"),
            }
            sleep(pause).await;
            pause = MAX_PAUSE.min(2 * pause);
        }
    }

    /// Applies facts for some read models in one transaction, or none of them. Waits for a database that is away.
    async fn apply(&mut self, projections: &[Projection], events: &[RecordedEvent], tries: u32) -> Result<(), Refused> {
        let (mut failures, mut pause) = (0, FIRST_PAUSE);
        loop {
            match self.attempt(projections, events).await {
                Ok(Some(moves)) => {
                    self.moved(&moves);
                    return Ok(());
                }
                Ok(None) => self.give_way().await.map_err(Refused::Interrupted)?,
                Err(error) if projections::is_passing(&error) => {
                    warn!(%error, "The read models cannot be written; trying again");
                    sleep(pause).await;
                    pause = MAX_PAUSE.min(2 * pause);
                }
                Err(error) => {
                    failures += 1;
                    if failures == tries {
                        return Err(Refused::Poison(error));
                    }
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    /// One transaction; `None` if a checkpoint was not where it should be. The checkpoints come first: whoever replaces the
    /// tables holds them, and is waited for before a table is touched.
    async fn attempt(
        &self,
        projections: &[Projection],
        events: &[RecordedEvent],
    ) -> Result<Option<Vec<Move>>, sqlx::Error> {
        let due: Vec<_> = projections.iter().map(|projection| (*projection, self.due(*projection, events))).collect();
        let moves: Vec<_> = due.iter().flat_map(|(projection, events)| self.moves(*projection, events)).collect();
        if moves.is_empty() {
            return Ok(Some(moves));
        }
        let mut transaction = database::begin(&self.pool).await?;
        if !checkpoint::advance(&mut transaction, &moves).await? {
            return Ok(None);
        }
        for (projection, events) in &due {
            if !events.is_empty() {
                projection.project(&mut transaction, events).await?;
            }
        }
        transaction.commit().await?;
        Ok(Some(moves))
    }

    /// The facts that a read model has not applied yet: usually all.
    fn due<'a>(&self, projection: Projection, events: &'a [RecordedEvent]) -> Cow<'a, [RecordedEvent]> {
        let is_due = |event: &RecordedEvent| {
            let partition = event.partition();
            event.position > self.checkpoints.of(projection, partition)
                && !self.stopped.contains(&(projection, partition))
        };
        if events.iter().all(is_due) {
            return Cow::Borrowed(events);
        }
        Cow::Owned(events.iter().filter(|event| is_due(event)).cloned().collect())
    }

    /// Where a read model's checkpoints go when it has applied some facts.
    fn moves(&self, projection: Projection, events: &[RecordedEvent]) -> Vec<Move> {
        let last = |partition| events.iter().rev().find(|event| event.partition() == partition);
        Partition::all()
            .filter_map(|partition| {
                let position = last(partition)?.position;
                Some((projection, partition, self.checkpoints.of(projection, partition), position))
            })
            .collect()
    }

    /// Remembers what was applied and wakes who waits for it.
    fn moved(&mut self, moves: &[Move]) {
        let mut partitions: Vec<Partition> = moves.iter().map(|(_, partition, ..)| *partition).collect();
        partitions.sort();
        partitions.dedup();
        for (projection, partition, _, to) in moves {
            self.checkpoints.set(*projection, *partition, *to);
        }
        self.tell(&partitions);
        for (projection, partition, _, Position(to)) in moves {
            let labels = [("projection", projection.name().to_owned()), ("partition", partition.0.to_string())];
            #[allow(clippy::cast_precision_loss, reason = "positions stay below 2^52")]
            gauge!("projection_position", &labels).set(*to as f64);
        }
    }

    fn tell(&self, partitions: &[Partition]) {
        let mark = |partition: &Partition| {
            let stopped = self.stopped.iter().any(|(_, stopped)| stopped == partition);
            (*partition, Mark { applied: self.checkpoints.least(*partition), stopped })
        };
        let marks: Vec<_> = partitions.iter().map(mark).collect();
        for (partition, mark) in &marks {
            self.freshness.note(*partition, *mark);
        }
        Freshness::announce(&self.bus, &marks);
    }

    /// Somebody else projects too: takes over its checkpoints, and with them drops what it has applied.
    async fn give_way(&mut self) -> Result<(), Interrupted> {
        counter!("projection_fence_refusals_total").increment(1);
        let now = Checkpoints::load(&self.pool).await?;
        for partition in Partition::all() {
            for projection in Projection::ALL {
                if now.of(*projection, partition) < self.checkpoints.of(*projection, partition) {
                    return Err(Interrupted::Moved);
                }
            }
        }
        self.checkpoints = now;
        Ok(())
    }

    /// Finds out which read model cannot apply which fact, and lets all others go on.
    async fn isolate(&mut self, events: &[RecordedEvent], error: &sqlx::Error) -> Result<(), Interrupted> {
        warn!(%error, facts = events.len(), "A batch cannot be applied; looking for the fact that spoils it");
        for projection in Projection::ALL {
            match self.apply(&[*projection], events, 1).await {
                Ok(()) => {}
                Err(Refused::Interrupted(interrupted)) => return Err(interrupted),
                Err(Refused::Poison(_)) => self.apply_singly(*projection, events).await?,
            }
        }
        Ok(())
    }

    async fn apply_singly(&mut self, projection: Projection, events: &[RecordedEvent]) -> Result<(), Interrupted> {
        for event in events {
            match self.apply(&[projection], std::slice::from_ref(event), 1).await {
                Ok(()) => {}
                Err(Refused::Interrupted(interrupted)) => return Err(interrupted),
                Err(Refused::Poison(error)) => self.stop(projection, &event.into(), &error.to_string()).await?,
            }
        }
        Ok(())
    }

    /// Stops a read model in a partition, loudly.
    async fn stop(&mut self, projection: Projection, event: &Parked<'_>, error: &str) -> Result<(), Interrupted> {
        let (name, partition, position) = (projection.name(), event.partition, event.position);
        if self.stopped.contains(&(projection, partition)) || position <= self.checkpoints.of(projection, partition) {
            return Ok(());
        }
        checkpoints::park(&self.pool, projection, event, error).await?;
        tracing::error!(
            projection = name,
            partition = partition.0,
            position = position.0,
            error,
            "The read model {name} stops in partition {}: it cannot apply the fact at position {position}",
            partition.0
        );
        self.stopped.push((projection, partition));
        gauge!("projection_dead_letters").increment(1.0);
        self.tell(&[partition]);
        Ok(())
    }

    /// Looks whether somebody took a dead letter away, so that the facts since then have to be read again.
    async fn look(&mut self) -> Result<(), Interrupted> {
        self.look_at = Instant::now() + LOOK_EVERY;
        let letters = checkpoints::dead_letters(&self.pool).await?;
        let is_parked = |(projection, partition): &(Projection, Partition)| {
            letters.iter().any(|letter: &DeadLetter| (letter.projection, letter.partition) == (*projection, *partition))
        };
        if self.stopped.iter().all(is_parked) { Ok(()) } else { Err(Interrupted::Moved) }
    }

    /// Whether no read model goes on in a partition.
    fn is_stopped(&self, partition: Partition) -> bool {
        Projection::ALL.iter().all(|projection| self.stopped.contains(&(*projection, partition)))
    }
}
