//! The workers of one channel: they take what is due, have it carried, and record what came of it.
//!
//! A bounded number is under way at once, each for a bounded time. A provider that fails is asked again later and later;
//! one that names a time is left alone until then.

use std::time::Duration;

use metrics::{counter, histogram};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::carry::Carrier;
use super::store::{Delivery, Due, Store, Verdict};
use super::target::Channel;

/// How often rows are looked for that nobody told of: retries, and what other nodes planned.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(30);

/// After how long somebody else may take what a worker took: longer than it may try.
const LEASE: Duration = Duration::from_mins(1);

/// How often a delivery is tried before staff have to look at it.
const ATTEMPTS: i32 = 8;

/// The longest pause between two attempts, and the longest a provider is left alone.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// The workers of one channel on one node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Workers {
    pub(super) channel: Channel,
    pub(super) store: Store,
    pub(super) carrier: Carrier,
    pub(super) planned: watch::Sender<()>,
}

impl Workers {
    /// Works until the stop, then lets what is under way end.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut planned = self.planned.subscribe();
        let at_once = at_once(self.channel);
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            let free = at_once - under_way.len();
            let taken = if free == 0 { Vec::new() } else { self.take(free).await };
            let may_be_more = taken.len() == free;
            for delivery in taken {
                let workers = self.clone();
                under_way.spawn(async move { workers.attempt(&delivery).await });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = under_way.join_next(), if may_be_more => tell_if_broken(&ended),
                () = something_new(&mut planned, POLL), if !may_be_more => {}
            }
            while let Some(ended) = under_way.try_join_next() {
                tell_if_broken(&ended);
            }
        }
        while let Some(ended) = under_way.join_next().await {
            tell_if_broken(&ended);
        }
    }

    async fn take(&self, at_most: usize) -> Vec<Delivery> {
        self.store.take(Due::Of(self.channel), at_most, LEASE).await.unwrap_or_else(|error| {
            warn!(error = &error as &dyn std::error::Error, "Cannot read the deliveries");
            Vec::new()
        })
    }

    /// Tries once, and records what came of it.
    async fn attempt(&self, delivery: &Delivery) {
        let began = Instant::now();
        let carried = timeout(LIMIT, self.carrier.carry(delivery)).await;
        let verdict = carried.unwrap_or_else(|_| Verdict::Again {
            after: Duration::ZERO,
            why: format!("no answer within {} s", LIMIT.as_secs()),
        });
        let verdict = settle(delivery, verdict);
        let (id, channel) = (delivery.id, self.channel.as_str());
        histogram!("delivery_seconds", "channel" => channel).record(began.elapsed().as_secs_f64());
        counter!("deliveries_total", "channel" => channel, "outcome" => word(&verdict)).increment(1);
        if let Verdict::Dead(why) = &verdict {
            warn!(delivery.id = id, channel, why, "The delivery {id} failed for good");
        }
        match self.store.record_all(&[(delivery, verdict)]).await {
            Ok(1) => {}
            Ok(_) => debug!(delivery.id = id, "Somebody else has the delivery {id} by now"),
            Err(error) => {
                warn!(delivery.id = id, error = &error as &dyn std::error::Error, "The delivery {id} is tried again");
            }
        }
    }
}

/// How many deliveries of a channel are under way at once on a node.
const fn at_once(channel: Channel) -> usize {
    match channel {
        Channel::Push => 16,
        Channel::Mail | Channel::Room => 4,
    }
}

/// Waits until something was planned on this node, but not for ever: others plan too.
pub(super) async fn something_new(planned: &mut watch::Receiver<()>, limit: Duration) {
    if let Ok(Err(_)) = timeout(limit, planned.changed()).await {
        // Nobody plans here any more, so only time tells.
        sleep(limit).await;
    }
}

fn tell_if_broken(ended: &Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "A worker broke; what it had is tried again after its lease");
    }
}

/// Decides when a failed attempt is repeated, and whether.
pub(super) fn settle(delivery: &Delivery, verdict: Verdict) -> Verdict {
    let Verdict::Again { after, why } = verdict else { return verdict };
    if delivery.attempts >= ATTEMPTS {
        return Verdict::Dead(why);
    }
    let after = after.max(jittered(pause(delivery.channel, delivery.attempts))).min(LONGEST_PAUSE);
    Verdict::Again { after, why }
}

/// The pause after a number of attempts: all attempts together take hours for what is to be told soon, most of a day for
/// mail.
fn pause(channel: Channel, attempts: i32) -> Duration {
    let (first, factor) = match channel {
        Channel::Push | Channel::Room => (Duration::from_secs(2), 4_u32),
        Channel::Mail => (Duration::from_mins(1), 3),
    };
    let exponent = u32::try_from(attempts - 1).unwrap_or_default().min(10);
    first.saturating_mul(factor.pow(exponent))
}

/// Within a fifth of it, so that what failed together is not tried together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.8..1.2))
}

pub(super) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Sent(_) => "sent",
        Verdict::Skipped(_) => "skipped",
        Verdict::Again { .. } => "retried",
        Verdict::NotYet { .. } => "postponed",
        Verdict::Dead(_) => "dead",
        Verdict::Each(_) => "split",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aggregates::recorded::Position;
    use aggregates::testing::QUERY;

    use super::{ATTEMPTS, LONGEST_PAUSE, pause, settle};
    use crate::reactions::store::{Delivery, Verdict};
    use crate::reactions::target::Channel;

    fn after(channel: Channel, attempts: i32) -> Delivery {
        Delivery {
            id: 1,
            position: Position(1),
            query: QUERY,
            channel,
            target: "all-staff".to_owned(),
            payload: serde_json::Value::Null,
            attempts,
            expires_at: None,
        }
    }

    fn again(after: Duration) -> Verdict {
        Verdict::Again { after, why: "503".to_owned() }
    }

    #[test]
    fn mail_is_tried_for_most_of_a_day() {
        let all: Duration = (1..ATTEMPTS).map(|attempts| pause(Channel::Mail, attempts)).sum();
        assert!((12..24).contains(&(all.as_secs() / 3_600)), "{all:?}");
        let all: Duration = (1..ATTEMPTS).map(|attempts| pause(Channel::Push, attempts)).sum();
        assert!((1..6).contains(&(all.as_secs() / 3_600)), "{all:?}");
    }

    #[test]
    fn a_provider_that_names_a_time_is_left_alone_until_then() {
        let hour = Duration::from_hours(1);
        assert_eq!(settle(&after(Channel::Push, 1), again(hour)), again(hour));
        assert_eq!(settle(&after(Channel::Push, 1), again(hour * 24 * 365)), again(LONGEST_PAUSE));
    }

    #[test]
    fn what_failed_often_enough_is_left_to_staff() {
        assert!(matches!(settle(&after(Channel::Mail, ATTEMPTS - 1), again(Duration::ZERO)), Verdict::Again { .. }));
        assert_eq!(settle(&after(Channel::Mail, ATTEMPTS), again(Duration::ZERO)), Verdict::Dead("503".to_owned()));
        assert_eq!(settle(&after(Channel::Mail, ATTEMPTS), Verdict::Sent(None)), Verdict::Sent(None));
    }
}
