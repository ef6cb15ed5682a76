//! The rows of deliveries: planned once, taken by one worker at a time, and never sent twice knowingly.
//!
//! Whoever takes a row counts an attempt and moves its due time on, so that somebody else tries if nothing more is heard.
//! What came of an attempt is only recorded while it is the last one: a worker that was asleep changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregates::ids::QueryId;
use aggregates::recorded::Position;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::plan::Plan;
use super::target::{Channel, Target};
use super::timers;

/// How many old rows are deleted in one transaction.
const SWEEP: i64 = 1_000;

/// For how long it is remembered what became of a delivery.
const KEPT_DAYS: i32 = 30;

/// The rows of deliveries. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    pool: PgPool,
}

/// A delivery that a worker has taken.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) id: i64,
    pub(super) position: Position,
    pub(super) query: QueryId,
    pub(super) target: String,
    pub(super) payload: serde_json::Value,
    /// How often it was taken, this time included.
    pub(super) attempts: i32,
    /// When it is too late.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is done. Holds the provider's name for it.
    Sent(Option<String>),
    /// There is no reason for it any more.
    Skipped(String),
    /// It is tried again; the attempt counts.
    Again { after: Duration, why: String },
    /// It could not be tried yet; that was no attempt.
    NotYet { after: Duration },
    /// It will not work, or was tried often enough. Staff may have it tried again.
    Dead(String),
    /// It is for several people or devices: a delivery each.
    Each(Vec<Target>),
}

/// How many deliveries of a channel wait, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Backlog {
    /// How many are to be tried, now or later.
    pub(super) pending: i64,
    /// How many failed for good in the last 30 days.
    pub(super) dead: i64,
    /// How many of those in the last day.
    pub(super) dead_today: i64,
    /// For how many seconds the one that waits longest could have been tried.
    pub(super) overdue_seconds: f64,
}

impl Store {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Up to where everything is planned.
    pub(super) async fn checkpoint(&self) -> Result<Position, sqlx::Error> {
        sqlx::query_scalar("select position from reaction_checkpoint").fetch_one(&self.pool).await.map(Position)
    }

    /// Writes a plan down and moves the checkpoint; `false`, and nothing is written, if another planner moved it before.
    pub(super) async fn keep(&self, plan: &Plan, from: Position, to: Position) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let moved = sqlx::query("update reaction_checkpoint set position = $2 where position = $1")
            .bind(from.0)
            .bind(to.0)
            .execute(&mut *transaction)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        let rows = &plan.deliveries;
        sqlx::query(
            "insert into deliveries (position, query_id, effect, channel, target, payload, due_at, expires_at)
             select position, query_id, effect, channel, target, payload, now(), expires_at
             from unnest(
                 $1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[]
             ) as planned (position, query_id, effect, channel, target, payload, expires_at)
             on conflict (position, effect, target) do nothing",
        )
        .bind(rows.iter().map(|row| row.position.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.query.get()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.effect).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.channel.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.target.to_string()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| sqlx::types::Json(&row.payload)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.expires_at).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        timers::keep(&mut transaction, &plan.timers).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes deliveries that are due, for as long as `lease`.
    pub(super) async fn take(
        &self,
        channel: Channel,
        at_most: usize,
        lease: Duration,
    ) -> Result<Vec<Delivery>, sqlx::Error> {
        let rows = sqlx::query(
            "with due as (
                 select id
                 from deliveries
                 where state = 'pending'
                   and channel = $1
                   and due_at <= now()
                 order by due_at
                 limit $2
                 for update skip locked
             )
             update deliveries as d
             set due_at = now() + $3 * interval '1 second',
                 attempts = attempts + 1
             from due
             where d.id = due.id
             returning d.id, d.position, d.query_id, d.target, d.payload, d.attempts, d.expires_at",
        )
        .bind(channel.as_str())
        .bind(i64::try_from(at_most).unwrap_or(i64::MAX))
        .bind(lease.as_secs_f64())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// Records what came of an attempt; `false` if somebody else has tried since.
    pub(super) async fn record(&self, delivery: &Delivery, verdict: &Verdict) -> Result<bool, sqlx::Error> {
        match verdict {
            Verdict::Sent(id) => self.finish(delivery, "sent", None, id.as_deref()).await,
            Verdict::Skipped(why) => self.finish(delivery, "skipped", Some(why), None).await,
            Verdict::Dead(why) => self.finish(delivery, "dead", Some(why), None).await,
            Verdict::Again { after, why } => self.postpone(delivery, *after, 0, Some(why)).await,
            Verdict::NotYet { after } => self.postpone(delivery, *after, 1, None).await,
            Verdict::Each(targets) => self.split(delivery, targets).await,
        }
    }

    async fn finish(
        &self,
        delivery: &Delivery,
        state: &str,
        why: Option<&str>,
        provider_id: Option<&str>,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(
            "update deliveries
             set state = $3, reason = left($4, 500), provider_id = left($5, 500), finished_at = now()
             where id = $1
               and state = 'pending'
               and attempts = $2",
        )
        .bind(delivery.id)
        .bind(delivery.attempts)
        .bind(state)
        .bind(why)
        .bind(provider_id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts a delivery back. `uncounted` attempts are taken off its count.
    async fn postpone(
        &self,
        delivery: &Delivery,
        after: Duration,
        uncounted: i32,
        why: Option<&str>,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(
            "update deliveries
             set due_at = now() + $3 * interval '1 second',
                 attempts = attempts - $4,
                 reason = coalesce(left($5, 500), reason)
             where id = $1
               and state = 'pending'
               and attempts = $2",
        )
        .bind(delivery.id)
        .bind(delivery.attempts)
        .bind(after.as_secs_f64())
        .bind(uncounted)
        .bind(why)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts a delivery for each target in the place of one for all of them: all at once, so none is lost or doubled.
    async fn split(&self, delivery: &Delivery, targets: &[Target]) -> Result<bool, sqlx::Error> {
        let made = sqlx::query(
            "with whole as (
                 delete from deliveries
                 where id = $1
                   and state = 'pending'
                   and attempts = $2
                 returning position, query_id, effect, channel, payload, expires_at, created_at
             )
             insert into deliveries (
                 position, query_id, effect, channel, target, payload, due_at, expires_at, created_at
             )
             select position, query_id, effect, channel, target, payload, now(), expires_at, created_at
             from whole
             cross join unnest($3::text[]) as targets (target)
             on conflict (position, effect, target) do nothing",
        )
        .bind(delivery.id)
        .bind(delivery.attempts)
        .bind(targets.iter().map(ToString::to_string).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(made.rows_affected() > 0)
    }

    /// What waits and what failed, by channel.
    pub(super) async fn backlog(&self) -> Result<BTreeMap<Channel, Backlog>, sqlx::Error> {
        let rows = sqlx::query(
            "select channel,
                count(*) filter (where state = 'pending') as pending,
                count(*) filter (where state = 'dead') as dead,
                count(*) filter (where state = 'dead' and finished_at > now() - interval '1 day') as dead_today,
                coalesce(
                    extract(epoch from now() - min(due_at) filter (where state = 'pending')), 0
                )::float8 as overdue_seconds
             from deliveries
             where state in ('pending', 'dead')
             group by channel",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut backlog: BTreeMap<_, _> = Channel::ALL.iter().map(|channel| (*channel, Backlog::default())).collect();
        for row in rows {
            // A channel that this version does not know has no worker here.
            let Some(channel) = Channel::parse(row.try_get("channel")?) else { continue };
            backlog.insert(
                channel,
                Backlog {
                    pending: row.try_get("pending")?,
                    dead: row.try_get("dead")?,
                    dead_today: row.try_get("dead_today")?,
                    overdue_seconds: row.try_get::<f64, _>("overdue_seconds")?.max(0.0),
                },
            );
        }
        Ok(backlog)
    }

    /// Forgets what was finished long ago, some rows at a time. Returns how many.
    pub(super) async fn sweep(&self) -> Result<u64, sqlx::Error> {
        let mut forgotten = 0;
        loop {
            let done = sqlx::query(
                "delete from deliveries
                 where id in (
                     select id
                     from deliveries
                     where finished_at < now() - make_interval(days => $1)
                     order by finished_at
                     limit $2
                     for update skip locked
                 )",
            )
            .bind(KEPT_DAYS)
            .bind(SWEEP)
            .execute(&self.pool)
            .await?
            .rows_affected();
            forgotten += done;
            if done < SWEEP.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }
}

fn delivery(row: &PgRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        id: row.try_get("id")?,
        position: Position(row.try_get("position")?),
        query: QueryId::new(row.try_get("query_id")?),
        target: row.try_get("target")?,
        payload: row.try_get("payload")?,
        attempts: row.try_get("attempts")?,
        expires_at: row.try_get("expires_at")?,
    })
}
