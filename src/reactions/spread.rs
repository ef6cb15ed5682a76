//! Puts a delivery for each device or person in the place of one for an audience: of those that could not be spread when
//! they were planned, because the read models were behind or the database was away. Nothing is sent here; whatever is lost
//! with a crash is done again.

use std::time::Duration;

use aggregates::policy::Audience;
use metrics::counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::audience::{Audiences, Whole};
use super::carry::{ASK_AGAIN, FRESH_WITHIN, skipped, unknown};
use super::plan::Payload;
use super::store::{Delivery, Due, Store, Verdict};
use super::target::Target;
use super::work::{POLL, settle, something_new, word};
use crate::clock;

/// How many audiences are looked up at once.
const GROUP: usize = 256;

/// After how long somebody else may take what was taken here: longer than it takes to find out whom it is for, and not so
/// long that a phone whose node died need not ring any more.
const LEASE: Duration = Duration::from_secs(10);

/// Spreads deliveries on one node.
pub(super) struct Spreader {
    pub(super) store: Store,
    pub(super) audiences: Audiences,
    pub(super) planned: watch::Sender<()>,
}

impl Spreader {
    /// Spreads what is due until the stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut planned = self.planned.subscribe();
        while !stop.is_cancelled() {
            let taken = self.store.take(Due::Whole, GROUP, LEASE).await.unwrap_or_else(|error| {
                warn!(error = &error as &dyn std::error::Error, "Cannot read the deliveries");
                Vec::new()
            });
            if !taken.is_empty()
                && let Err(error) = self.spread(&taken).await
            {
                warn!(error = &error as &dyn std::error::Error, "Cannot find out who is to be told; tried again soon");
                self.put_off(&taken).await;
            }
            if taken.len() < GROUP {
                stop.run_until_cancelled(something_new(&mut planned, POLL)).await;
            }
        }
    }

    async fn spread(&self, deliveries: &[Delivery]) -> Result<(), sqlx::Error> {
        let verdicts = self.verdicts(deliveries).await?;
        let settle = |(delivery, verdict): (_, _)| (delivery, settle(delivery, verdict));
        let settled: Vec<(&Delivery, Verdict)> = deliveries.iter().zip(verdicts).map(settle).collect();
        for (delivery, verdict) in &settled {
            let channel = delivery.channel.as_str();
            counter!("deliveries_total", "channel" => channel, "outcome" => word(verdict)).increment(1);
        }
        self.store.record_all(&settled).await?;
        if settled.iter().any(|(_, verdict)| matches!(verdict, Verdict::Each(_))) {
            self.planned.send_replace(());
        }
        Ok(())
    }

    /// Gives back what could not be spread. If that fails too, somebody takes it after the lease.
    async fn put_off(&self, deliveries: &[Delivery]) {
        let again: Vec<_> =
            deliveries.iter().map(|delivery| (delivery, Verdict::NotYet { after: ASK_AGAIN })).collect();
        if let Err(error) = self.store.record_all(&again).await {
            warn!(error = &error as &dyn std::error::Error, "Cannot put the deliveries off");
        }
    }

    /// What becomes of each delivery.
    async fn verdicts(&self, deliveries: &[Delivery]) -> Result<Vec<Verdict>, sqlx::Error> {
        let read: Vec<Result<(Audience, Payload), Verdict>> = deliveries.iter().map(read).collect();
        let mut wholes = Vec::with_capacity(read.len());
        for (Delivery { position, query, .. }, read) in deliveries.iter().zip(&read) {
            if let Ok((to, payload)) = read {
                wholes.push(Whole { position: *position, query: *query, to: *to, payload });
            }
        }
        let mut found = self.audiences.verdicts(&wholes, FRESH_WITHIN).await?.into_iter();
        Ok(read.into_iter().filter_map(|read| read.err().or_else(|| found.next())).collect())
    }
}

/// Reads for whom a row is and what it is about, if its audience can be looked up; for any other, what becomes of it.
fn read(delivery: &Delivery) -> Result<(Audience, Payload), Verdict> {
    if delivery.expires_at.is_some_and(|end| end <= clock::now()) {
        return Err(skipped("too late"));
    }
    let Some(Target::Audience(to)) = Target::parse(&delivery.target) else { return Err(unknown()) };
    let payload = serde_json::from_value(delivery.payload.clone()).map_err(|_| unknown())?;
    Ok((to, payload))
}
