//! Walks along the log and hands each fact to the hub once the read models show it.

use std::time::Duration;

use aggregates::recorded::{Partition, Position};
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::feed::readable;
use super::hub::Hub;
use crate::bus::{Bus, Scope};
use crate::log::{Log, LogError};
use crate::projector::Freshness;
use crate::tail::Tail;

/// How many facts are taken at a time.
const BATCH: usize = 256;

/// After how many facts those who tell them get a turn, however many more are there.
const BREATH: i64 = 32;

/// After how long it is worth a warning that the read models are behind.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before the log is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// The only one who tells the hub what happened.
pub(super) struct Walker {
    pub(super) log: Log,
    pub(super) bus: Bus,
    pub(super) freshness: Freshness,
    pub(super) hub: Hub,
}

impl Walker {
    /// Walks until the node stops, then lets every listener go.
    pub(super) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.walk()).await;
        self.hub.stop();
    }

    async fn walk(&self) {
        let head = self.begin().await;
        let mut tail = Tail::start(self.log.clone(), self.bus.clone(), Scope::All, head);
        loop {
            let batch = tail.next_batch(BATCH).await;
            let opened = retried(|| self.log.open_fresh(&batch)).await;
            for (stored, opened) in batch.iter().zip(opened) {
                let position = stored.position;
                self.until_shown(stored.partition(), position).await;
                self.freshness.passed(position);
                match readable(position, opened) {
                    Some(fact) => self.hub.deliver(&fact),
                    None => self.hub.skip(position, stored.query),
                }
                if position.0 % BREATH == 0 {
                    yield_now().await;
                }
            }
        }
    }

    /// Opens the hub at the head of the log, as soon as the read models show everything up to there.
    async fn begin(&self) -> Position {
        let epoch = retried(|| self.log.epoch()).await;
        let head = retried(|| self.log.head()).await;
        let heads = retried(|| self.log.partition_heads(head)).await;
        for (partition, position) in Partition::all().zip(heads) {
            self.until_shown(partition, position).await;
        }
        self.freshness.passed(head);
        self.hub.begin(epoch, head);
        info!(position = %head, "The feed begins after {head}");
        head
    }

    /// Waits until the read models show a fact. Those of a stopped partition never will, and nobody waits for them.
    async fn until_shown(&self, partition: Partition, position: Position) {
        while !self.freshness.reached(partition, position, PATIENCE).await {
            if self.freshness.is_stopped(partition) {
                return;
            }
            warn!(partition = partition.0, %position, "The feed waits for the read models of partition {}", partition.0);
        }
    }
}

/// Asks the log until it answers: without it there is nothing to tell.
async fn retried<T, F: Future<Output = Result<T, LogError>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "The feed cannot read the log");
                sleep(RETRY).await;
            }
        }
    }
}
