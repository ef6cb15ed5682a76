//! Work in parts that several nodes do at once: each holds a lock per part, up to an equal share.
//!
//! All locks of a node belong to one session of PostgreSQL, and so does its presence, a lock that everybody holds
//! together. Each lock is a pair, the duty's number and the part's, and so is not the single number of [`super::hold`].
//! Who is there and who holds what is read from PostgreSQL's own table of locks: nobody elects, nobody assigns.
//! Whoever has more parts than its share gives the rest back, whoever has fewer takes what is free, and a session that
//! ends frees everything it held. Shares are rounded up and nothing is taken back below that, so who comes last may get
//! less than the others: five nodes share 16 parts as 4, 4, 4, 4 and 0.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{CONTEND_EVERY, Duty, SILENCE, WATCH_EVERY, connect};
use crate::database::within;

/// How often a node that lacks parts looks for free ones: what nobody holds is work that waits.
const CLAIM_EVERY: Duration = Duration::from_millis(100);

/// A node's place among those who share a duty.
pub struct Share {
    connection: PgConnection,
    duty: Duty,
    parts: u16,
    held: BTreeSet<u16>,
}

/// Who is there, and what nobody holds.
#[derive(Debug, PartialEq, Eq)]
struct View {
    members: u16,
    free: Vec<u16>,
}

/// Does the work of the parts that this node holds, until shutdown. The work is dropped and begun anew whenever the parts
/// change, and dropped when the locks are lost. As with [`super::hold`], two nodes may believe for a moment that they hold
/// the same part.
pub async fn share<W: Future<Output = ()>>(
    options: &PgConnectOptions,
    duty: Duty,
    parts: u16,
    shutdown: &CancellationToken,
    mut work: impl FnMut(Vec<u16>) -> W,
) {
    let name = duty.name();
    let mut is_failing = false;
    while !shutdown.is_cancelled() {
        let worked = async {
            let mut share = within(SILENCE, Share::join(options, duty, parts)).await?;
            is_failing = false;
            let worked = shutdown.run_until_cancelled(share.work(&mut work)).await;
            metrics::gauge!("lease_held", "duty" => name).set(0.0);
            share.leave().await;
            worked.unwrap_or(Ok(()))
        };
        if let Err(error) = worked.await {
            if !std::mem::replace(&mut is_failing, true) {
                warn!(duty = name, %error, "Lost the parts of the {name}, or cannot contend for them");
            }
            shutdown.run_until_cancelled(sleep(CONTEND_EVERY)).await;
        }
    }
}

impl Share {
    /// Becomes one of those who share, without a part yet.
    pub async fn join(options: &PgConnectOptions, duty: Duty, parts: u16) -> Result<Self, sqlx::Error> {
        let mut connection = connect(options).await?;
        sqlx::query("select pg_advisory_lock_shared($1, $2)")
            .bind(duty.key())
            .bind(i32::from(parts))
            .execute(&mut connection)
            .await?;
        Ok(Self { connection, duty, parts, held: BTreeSet::new() })
    }

    /// Takes what is free up to this node's share, or gives back what is more than that. Whether anything changed.
    pub async fn balance(&mut self) -> Result<bool, sqlx::Error> {
        let View { members, free } = self.look().await?;
        let goal = usize::from(self.parts.div_ceil(members.max(1)));
        if self.held.len() > goal {
            let surplus: Vec<u16> = self.held.iter().copied().skip(goal).collect();
            self.give(&surplus).await?;
            return Ok(true);
        }
        let wanted: Vec<u16> = free.into_iter().take(goal - self.held.len()).collect();
        Ok(!wanted.is_empty() && self.take(&wanted).await?)
    }

    /// The parts that this node holds, in order.
    pub fn held(&self) -> Vec<u16> {
        self.held.iter().copied().collect()
    }

    /// Gives everything back.
    pub async fn leave(self) {
        // If the session cannot be closed it is broken, which gives the locks back too.
        let _ = timeout(WATCH_EVERY, self.connection.close()).await;
    }

    /// Works until the session is gone.
    async fn work<W: Future<Output = ()>>(&mut self, work: &mut impl FnMut(Vec<u16>) -> W) -> Result<(), sqlx::Error> {
        within(SILENCE, self.balance()).await?;
        loop {
            let (held, name) = (self.held(), self.duty.name());
            info!(
                duty = name,
                held = held.len(),
                "This node is the {name} of {} of {} parts now",
                held.len(),
                self.parts
            );
            #[allow(clippy::cast_precision_loss, reason = "there are few parts")]
            metrics::gauge!("lease_held", "duty" => name).set(held.len() as f64);
            let working = async {
                if !held.is_empty() {
                    work(held).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = working => {}
                changed = self.changed() => changed?,
            }
        }
    }

    /// Waits until the parts that this node holds are others.
    async fn changed(&mut self) -> Result<(), sqlx::Error> {
        loop {
            let is_idle = self.held.is_empty();
            sleep(if is_idle { CLAIM_EVERY } else { CONTEND_EVERY }).await;
            if within(SILENCE, self.balance()).await? {
                return Ok(());
            }
        }
    }

    async fn look(&mut self) -> Result<View, sqlx::Error> {
        let locks: Vec<i64> = sqlx::query_scalar(
            "select objid::bigint
             from pg_locks
             where locktype = 'advisory'
             and database = (select oid from pg_database where datname = current_database())
             and classid = $1::bigint::oid
             and objsubid = 2
             and granted",
        )
        .bind(i64::from(self.duty.key()))
        .fetch_all(&mut self.connection)
        .await?;
        Ok(view(self.parts, &locks))
    }

    /// Takes those of some free parts that nobody else takes at this moment. Whether there were any.
    async fn take(&mut self, wanted: &[u16]) -> Result<bool, sqlx::Error> {
        let taken: Vec<i32> = sqlx::query_scalar(
            "select part
             from unnest($2::int[]) as part
             where pg_try_advisory_lock($1, part)",
        )
        .bind(self.duty.key())
        .bind(wanted.iter().copied().map(i32::from).collect::<Vec<_>>())
        .fetch_all(&mut self.connection)
        .await?;
        self.held.extend(taken.iter().filter_map(|part| u16::try_from(*part).ok()));
        Ok(!taken.is_empty())
    }

    async fn give(&mut self, surplus: &[u16]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "select pg_advisory_unlock($1, part)
             from unnest($2::int[]) as part",
        )
        .bind(self.duty.key())
        .bind(surplus.iter().copied().map(i32::from).collect::<Vec<_>>())
        .execute(&mut self.connection)
        .await?;
        self.held.retain(|part| !surplus.contains(part));
        Ok(())
    }
}

fn view(parts: u16, locks: &[i64]) -> View {
    let members = locks.iter().filter(|lock| **lock == i64::from(parts)).count();
    let free = (0..parts).filter(|part| !locks.contains(&i64::from(*part))).collect();
    View { members: u16::try_from(members).unwrap_or(u16::MAX), free }
}

#[cfg(test)]
mod tests {
    use super::{View, view};

    #[test]
    fn members_are_counted_and_parts_without_a_lock_are_free() {
        assert_eq!(view(4, &[4, 1, 4, 3]), View { members: 2, free: vec![0, 2] });
    }
}
