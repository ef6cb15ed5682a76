//! What happens outside the desk after a fact: notes on devices, mail, rooms that close, and timers.
//!
//! A [`Planner`] follows the log and writes down, once, what each fact asks for ([`aggregates::policy::effects`]). Workers
//! on every node take those rows and carry them: at least once, one row per device or person, so that a retry does not
//! repeat what succeeded. Each channel has workers of its own, so a provider that hangs slows nobody else. What fails for
//! good stays as a dead letter, which staff see and may have tried again ([`Deliveries`]). Nothing is sent by a rebuild or
//! a replay: only the planner's checkpoint says what is new.
//!
//! To add an effect: its variant in [`aggregates::policy`], its row in `plan`, and its arm in `carry`.

mod audience;
mod carry;
mod compose;
mod deliveries;
mod plan;
mod planner;
mod spread;
mod store;
mod target;
mod timers;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::gauge;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::audience::Audiences;
use self::spread::Spreader;
use self::store::{Backlog, Store};
use self::work::Workers;
use crate::bus::Bus;
use crate::dispatch::Dispatcher;
use crate::lease::{self, Duty};
use crate::log::Log;

pub use self::carry::Carrier;
pub use self::deliveries::{Deliveries, DeliveryFilter, DeliveryRow, DeliveryState, MAX_PAGE, Redelivery};
pub use self::planner::Planner;
pub use self::target::Channel;
pub use self::timers::Timers;

/// How often the backlog is measured.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How often old rows are forgotten.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// How many facts may wait to be planned, and for how many seconds a delivery that is due may wait for a worker, before
/// that is worth a warning.
const LAG_WARNING: i64 = 1_000;
const OVERDUE_WARNING: f64 = 60.0;

/// The reactions of one node.
pub struct Reactions {
    log: Log,
    pool: PgPool,
    relaxed: PgPool,
    planned: watch::Sender<()>,
    trouble: watch::Sender<Option<String>>,
}

impl Reactions {
    /// Reactions whose sendings are recorded through a pool whose commits are durable. What is planned and spread, and
    /// would be again, goes through the `relaxed` one, whose commits do not wait for the disk: a worker that takes a
    /// delivery, before it sends anything, makes durable all that was written before.
    pub fn new(log: Log, pool: PgPool, relaxed: PgPool) -> Self {
        Self { log, pool, relaxed, planned: watch::Sender::new(()), trouble: watch::Sender::new(None) }
    }

    /// What staff see of them; also on nodes that carry nothing.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.pool.clone(), self.planned.clone())
    }

    /// What somebody should look at, if there is something. Follows the rows of all nodes.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Starts planning (whenever this node holds the lock), carrying and firing timers.
    pub fn start(
        self,
        bus: Bus,
        dispatcher: Dispatcher,
        carrier: &Carrier,
        database: PgConnectOptions,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let spreader = Spreader {
            store: Store::new(self.relaxed.clone()),
            audiences: Audiences::new(carrier.clone()),
            planned: self.planned.clone(),
        };
        tasks.spawn(spreader.run(stop.clone()));
        for channel in Channel::ALL {
            let workers = Workers {
                channel: *channel,
                store: Store::new(self.pool.clone()),
                carrier: carrier.clone(),
                planned: self.planned.clone(),
            };
            tasks.spawn(workers.run(stop.clone()));
        }
        let timers = Timers::new(self.pool.clone(), self.log.clone(), dispatcher);
        tasks.spawn(timers.run(self.planned.subscribe(), stop.clone()));
        let planner = Planner::new(bus, carrier.clone(), self.relaxed.clone(), self.planned.clone());
        let until = stop.clone();
        tasks.spawn(async move { lease::hold(&database, Duty::Planner, &until, || planner.run()).await });
        tasks.spawn(sweep(Store::new(self.pool.clone()), stop.clone()));
        let until = stop.clone();
        tasks.spawn(async move { until.run_until_cancelled(self.report()).await });
    }

    /// Measures from time to time what waits and what failed.
    async fn report(self) {
        let store = Store::new(self.pool.clone());
        let mut turns = tokio::time::interval(REPORT_EVERY);
        loop {
            turns.tick().await;
            let measured = async { Ok::<_, sqlx::Error>((store.checkpoint().await?, store.backlog().await?)) };
            let (Ok((planned, backlog)), Ok(head)) = (measured.await, self.log.head().await) else { continue };
            let lag = (head.0 - planned.0).max(0);
            tell_metrics(lag, &backlog);
            self.trouble.send_replace(trouble(lag, &backlog));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts stay below 2^52")]
fn tell_metrics(lag: i64, backlog: &BTreeMap<Channel, Backlog>) {
    gauge!("reactions_lag_events").set(lag as f64);
    for (channel, backlog) in backlog {
        gauge!("deliveries_pending", "channel" => channel.as_str()).set(backlog.pending as f64);
        gauge!("deliveries_dead", "channel" => channel.as_str()).set(backlog.dead as f64);
        gauge!("deliveries_overdue_seconds", "channel" => channel.as_str()).set(backlog.overdue_seconds);
    }
}

/// The first thing somebody should look at.
fn trouble(lag: i64, backlog: &BTreeMap<Channel, Backlog>) -> Option<String> {
    if lag > LAG_WARNING {
        return Some(format!("{lag} facts wait to be planned"));
    }
    backlog.iter().find_map(|(channel, backlog)| {
        let (channel, waited) = (channel.as_str(), backlog.overdue_seconds);
        if waited > OVERDUE_WARNING {
            Some(format!("a {channel} delivery has waited {waited:.0} s for a worker"))
        } else if backlog.dead_today > 0 {
            Some(format!("{} {channel} deliveries failed for good within a day", backlog.dead_today))
        } else {
            None
        }
    })
}

/// Forgets old deliveries now and then.
async fn sweep(store: Store, stop: CancellationToken) {
    let mut turns = tokio::time::interval(SWEEP_EVERY);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        match store.sweep().await {
            Ok(0) => {}
            Ok(count) => info!("Forgot {count} deliveries"),
            Err(error) => warn!(%error, "Old deliveries could not be forgotten"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::store::Backlog;
    use super::{Channel, trouble};

    #[test]
    fn what_waits_or_failed_is_worth_a_look() {
        let with = |backlog| BTreeMap::from([(Channel::Mail, backlog)]);
        assert_eq!(trouble(0, &with(Backlog { pending: 9, dead: 3, ..Backlog::default() })), None);
        assert!(trouble(0, &with(Backlog { dead_today: 3, ..Backlog::default() })).is_some());
        assert!(trouble(0, &with(Backlog { overdue_seconds: 61.0, ..Backlog::default() })).is_some());
        assert!(trouble(1_001, &with(Backlog::default())).is_some());
    }
}
