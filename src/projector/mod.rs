//! Applies facts to the read models, and tells who waits how far it got.
//!
//! The nodes that project share the partitions. A node reads each of its own through a [`Tail`]; lanes take whatever has
//! arrived and apply it for all read models in one transaction, together with their checkpoints. The checkpoints are the
//! fence: if two nodes ever project one partition at once, one of them changes no row and starts anew from where the other
//! got.

mod checkpoints;
mod freshness;
mod lane;
pub mod rebuild;

use std::time::Duration;

use aggregates::recorded::{PARTITIONS, Partition, Position, StoredEvent};
use metrics::gauge;
use projections::Projection;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::checkpoints::Checkpoints;
use self::freshness::Mark;
use self::lane::Lane;
use crate::bus::{Bus, Scope};
use crate::config::Secret;
use crate::database::{self, Purpose};
use crate::lease::{self, Duty};
use crate::log::{Log, LogError};
use crate::tail::Tail;

pub use checkpoints::DeadLetter;
pub use freshness::Freshness;

/// How many facts a tail hands over at once.
const HANDFUL: usize = 128;

/// How many handfuls may wait before a lane; then its tails wait, and NATS behind them. On a busy desk a handful is often one
/// fact, and every partition has a tail: with room for eight, a lane never saw more than a few of the facts that there were.
const WAITING: usize = 32;

/// How often the lag is measured.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The pause before a projector that failed starts anew.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// Keeps the read models.
pub struct Projector {
    log: Log,
    bus: Bus,
    freshness: Freshness,
    pool: PgPool,
    database: PgConnectOptions,
    lanes: u16,
}

/// Where a read model stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The read model.
    pub projection: Projection,
    /// The last fact it applied, in whichever partition.
    pub position: Position,
    /// How many positions it is behind the log where it is furthest behind.
    pub lag: i64,
    /// What it could not apply.
    pub stopped: Vec<DeadLetter>,
}

/// Where all read models stand.
pub async fn standings(log: &Log, pool: &PgPool) -> Result<Vec<Standing>, LogError> {
    let heads = log.partition_heads(Position(i64::MAX)).await?;
    let checkpoints = Checkpoints::load(pool).await?;
    let letters = checkpoints::dead_letters(pool).await?;
    let standing = |projection: Projection| {
        let at = |partition| checkpoints.of(projection, partition);
        let behind = Partition::all().zip(&heads).map(|(partition, head)| head.0 - at(partition).0);
        Standing {
            projection,
            position: Partition::all().map(at).max().unwrap_or_default(),
            lag: behind.max().unwrap_or_default().max(0),
            stopped: letters.iter().filter(|letter| letter.projection == projection).cloned().collect(),
        }
    };
    Ok(Projection::ALL.iter().map(|projection| standing(*projection)).collect())
}

/// Lets a read model try again what it could not apply. Returns how many partitions go on.
pub async fn resume(pool: &PgPool, projection: Projection) -> Result<u64, sqlx::Error> {
    checkpoints::resume(pool, projection).await
}

/// Why a projector starts anew.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    /// Somebody moved a checkpoint back, or freed a partition that had been stopped: facts have to be read again.
    #[error("the checkpoints were changed by somebody else")]
    Moved,
    /// The database could not be read.
    #[error("the database is unavailable")]
    Database(#[from] sqlx::Error),
    /// A task panicked.
    #[error("a part of the projector broke")]
    Broken(#[from] JoinError),
}

impl Projector {
    /// A projector with a pool of its own, whose commits do not wait for the disk. `lanes` is how many batches it applies
    /// at once; one is enough unless the database has cores to spare.
    pub fn new(log: Log, bus: Bus, url: &Secret, freshness: Freshness, lanes: u16) -> Result<Self, sqlx::Error> {
        let lanes = lanes.clamp(1, PARTITIONS);
        let pool = database::pool(url, Purpose::Project, u32::from(lanes) + 1)?;
        let database = database::options(url, Purpose::Project)?;
        Ok(Self { log, bus, freshness, pool, database, lanes })
    }

    /// Projects this node's share of the partitions until shutdown: all of them if no other node projects.
    pub async fn run(self, shutdown: CancellationToken) {
        let work = |parts: Vec<u16>| self.project(parts.into_iter().map(Partition).collect());
        lease::share(&self.database, Duty::Projector, PARTITIONS, &shutdown, work).await;
    }

    /// Projects some partitions, whether or not somebody else does too, for ever. Can be dropped at any point.
    pub async fn project(&self, partitions: Vec<Partition>) {
        let mut failing = false;
        loop {
            let interrupted = self.session(&partitions).await;
            match interrupted {
                Interrupted::Moved => {
                    info!("Projecting anew from the checkpoints");
                    failing = false;
                }
                Interrupted::Database(_) | Interrupted::Broken(_) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(error = &interrupted as &dyn std::error::Error, "Cannot project; trying again");
                    }
                    sleep(RESTART_AFTER).await;
                }
            }
        }
    }

    /// Projects from the checkpoints until something makes it necessary to look at them again.
    async fn session(&self, partitions: &[Partition]) -> Interrupted {
        let checkpoints = match self.prepare(partitions).await {
            Ok(checkpoints) => checkpoints,
            Err(error) => return error.into(),
        };
        let mut tasks = JoinSet::new();
        for lane in 0..partitions.len().min(usize::from(self.lanes)) {
            let (sender, inbox) = mpsc::channel(WAITING);
            for partition in partitions.iter().skip(lane).step_by(usize::from(self.lanes)) {
                let after = checkpoints.least(*partition);
                let tail = Tail::start(self.log.clone(), self.bus.clone(), Scope::One(*partition), after);
                tasks.spawn(feed(tail, sender.clone()));
            }
            let lane = Lane::new(self, inbox, checkpoints.clone());
            tasks.spawn(lane.run());
        }
        tasks.spawn(report(self.log.clone(), self.pool.clone(), self.freshness.clone()));
        // Lanes end by saying why; the rest ends only with them. All tasks are aborted with the set.
        match tasks.join_next().await {
            Some(ended) => ended.unwrap_or_else(Interrupted::from),
            None => Interrupted::Moved,
        }
    }

    /// Reads where to begin. What was stopped gets another chance.
    async fn prepare(&self, partitions: &[Partition]) -> Result<Checkpoints, sqlx::Error> {
        let retried = checkpoints::retry(&self.pool, partitions).await?;
        if retried > 0 {
            warn!(retried, "Trying again what {retried} read models could not apply");
        }
        let believed = self.freshness.believed();
        let checkpoints = Checkpoints::load(&self.pool).await?;
        for partition in partitions {
            let mark = Mark { applied: checkpoints.least(*partition), stopped: false };
            self.freshness.compare(&believed, *partition, mark);
        }
        // Whoever begins does so perhaps because the database crashed and lost what had been announced.
        Freshness::announce(&self.bus, &[]);
        gauge!("projection_dead_letters").set(0.0);
        Ok(checkpoints)
    }
}

/// Hands what a tail reads to a lane.
async fn feed(mut tail: Tail, lane: mpsc::Sender<Vec<StoredEvent>>) -> Interrupted {
    while lane.send(tail.next_batch(HANDFUL).await).await.is_ok() {}
    Interrupted::Moved
}

/// Measures from time to time how far the read models are behind the log.
async fn report(log: Log, pool: PgPool, freshness: Freshness) -> Interrupted {
    loop {
        sleep(REPORT_EVERY).await;
        if let Ok(delay) = freshness.delay().await {
            gauge!("projection_lag_seconds").set(delay.as_secs_f64());
        }
        for standing in standings(&log, &pool).await.unwrap_or_default() {
            #[allow(clippy::cast_precision_loss, reason = "positions stay below 2^52")]
            gauge!("projection_lag_events", "projection" => standing.projection.name()).set(standing.lag as f64);
        }
    }
}
