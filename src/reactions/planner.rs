//! Follows the log and writes down what each fact asks for, once: rows and checkpoint in one transaction.
//!
//! One node plans at a time. The checkpoint is the fence: if two ever plan at once, one of them changes no row, writes
//! nothing, and begins anew from where the other got. The log is followed by position, so nothing depends on what NATS
//! remembers, and rebuilding a read model plans nothing.

use std::time::Duration;

use aggregates::recorded::{Position, RecordedEvent, StoredEvent};
use metrics::counter;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::audience::{Audiences, Whole};
use super::carry::Carrier;
use super::plan::{Plan, Planned};
use super::store::{Store, Verdict};
use super::target::Target;
use super::work::word;
use crate::bus::{Bus, Scope};
use crate::log::{Log, LogError};
use crate::tail::Tail;

/// How many facts are planned in one transaction.
const HANDFUL: usize = 256;

/// How long facts are gathered for one transaction on a busy desk: nobody misses a note that comes so much later.
const PACE: Duration = Duration::from_millis(25);

/// How long a plan waits for the read models, before audiences are left to be looked up later.
const PATIENCE: Duration = Duration::from_millis(250);

/// The pause before a planner that failed tries again.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// Plans what happens outside the desk.
pub struct Planner {
    log: Log,
    bus: Bus,
    store: Store,
    audiences: Audiences,
    planned: watch::Sender<()>,
}

impl Planner {
    /// A planner that finds out at once who is meant, where that can be known: most is for nobody, and is then a row that is
    /// done. It writes through a pool whose commits need not be durable: rows and checkpoint are lost together, and are made
    /// durable by the first delivery that is taken. `planned` is touched whenever there is something to do.
    pub fn new(bus: Bus, carrier: Carrier, pool: PgPool, planned: watch::Sender<()>) -> Self {
        let log = carrier.log.clone();
        Self { log, bus, store: Store::new(pool), audiences: Audiences::new(carrier), planned }
    }

    /// Plans whether or not somebody else does too, for ever. Can be dropped at any point.
    pub async fn run(&self) {
        loop {
            if let Err(error) = self.follow().await {
                warn!(error = &error as &dyn std::error::Error, "Cannot plan; trying again");
                sleep(RESTART_AFTER).await;
            }
        }
    }

    /// Plans from the checkpoint until somebody else moves it.
    async fn follow(&self) -> Result<(), LogError> {
        let mut at = self.store.checkpoint().await?;
        let mut tail = Tail::start(self.log.clone(), self.bus.clone(), Scope::All, at);
        loop {
            let batch = tail.next_batch(HANDFUL).await;
            let Some(last) = batch.last().map(|fact| fact.position) else { continue };
            let plan = self.spread(Plan::of(&self.open(&batch).await?)).await;
            if !self.store.keep(&plan, at, last).await? {
                debug!(position = at.0, "Another planner was faster");
                return Ok(());
            }
            at = last;
            if !plan.is_done() {
                self.planned.send_replace(());
            }
            if !plan.is_empty() {
                sleep(PACE).await;
            }
        }
    }

    /// Puts a delivery for each device or person in the place of one for an audience. What cannot be looked up now is kept
    /// whole, and spread later.
    async fn spread(&self, plan: Plan) -> Plan {
        let wholes: Vec<Whole<'_>> = plan.deliveries.iter().filter_map(whole).collect();
        let Ok(found) = self.audiences.verdicts(&wholes, PATIENCE).await else { return plan };
        let mut found = found.into_iter();
        let deliveries = plan.deliveries.into_iter().flat_map(|planned| {
            let verdict = whole(&planned).and_then(|_| found.next());
            spread(planned, verdict)
        });
        Plan { deliveries: deliveries.collect(), timers: plan.timers }
    }

    /// Opens facts. One that this version cannot read asks for nothing that could be known: it is told and passed over,
    /// or nobody would hear of anything any more.
    async fn open(&self, batch: &[StoredEvent]) -> Result<Vec<RecordedEvent>, LogError> {
        let mut facts = Vec::with_capacity(batch.len());
        for (stored, opened) in batch.iter().zip(self.log.open_fresh(batch).await?) {
            match opened {
                Ok(fact) => facts.push(fact),
                Err(error) => {
                    let Position(position) = stored.position;
                    counter!("reactions_unreadable_facts_total").increment(1);
                    error!(
                        position,
                        error = &error as &dyn std::error::Error,
                        "Nobody hears of the fact at {position}"
                    );
                }
            }
        }
        Ok(facts)
    }
}

/// What is to be looked up of a delivery; nothing if it is not for an audience.
fn whole(planned: &Planned) -> Option<Whole<'_>> {
    let Planned { position, query, target, payload, .. } = planned;
    match *target {
        Target::Audience(to) => Some(Whole { position: *position, query: *query, to, payload }),
        Target::Mailbox(_) | Target::StaffDevice(..) | Target::DonorDevice(_) | Target::Room(_) => None,
    }
}

/// What is written in the place of one delivery.
fn spread(planned: Planned, verdict: Option<Verdict>) -> Vec<Planned> {
    let Some(verdict) = verdict else { return vec![planned] };
    let (channel, outcome) = (planned.channel.as_str(), word(&verdict));
    let rows = match verdict {
        Verdict::Each(targets) => targets.into_iter().map(|target| Planned { target, ..planned.clone() }).collect(),
        Verdict::Skipped(why) => vec![Planned { skipped: Some(why), ..planned }],
        Verdict::NotYet { .. } | Verdict::Again { .. } | Verdict::Sent(_) | Verdict::Dead(_) => return vec![planned],
    };
    counter!("deliveries_total", "channel" => channel, "outcome" => outcome).increment(1);
    rows
}
