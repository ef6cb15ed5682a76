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
use crate::database;

/// How many old rows are deleted in one transaction.
const SWEEP: i64 = 1_000;

/// For how long it is remembered what became of a delivery.
const KEPT_DAYS: i32 = 30;

/// The rows of deliveries. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    pool: PgPool,
}

/// Which deliveries are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Those for audiences, of every channel.
    Whole,
    /// Those of a channel, each for one device, person or room.
    Of(Channel),
}

/// A delivery that a worker has taken.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) id: i64,
    pub(super) position: Position,
    pub(super) query: QueryId,
    pub(super) channel: Channel,
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
        let mut transaction = database::begin(&self.pool).await?;
        if !plan.timers.is_empty() {
            timers::keep(&mut transaction, &plan.timers).await?;
        }
        let rows = &plan.deliveries;
        let (moved,): (bool,) = sqlx::query_as(
            "with moved as (
                 update reaction_checkpoint
                 set position = $2
                 where position = $1
                 returning position
             ),
             planned as (
                 insert into deliveries (
                     position, query_id, effect, channel, target, payload, due_at, expires_at, state, reason, finished_at
                 )
                 select planned.position, query_id, effect, channel, target, payload, now(), expires_at,
                     case when skipped is null then 'pending' else 'skipped' end, skipped,
                     case when skipped is not null then now() end
                 from moved
                 cross join unnest(
                     $3::bigint[], $4::bigint[], $5::smallint[], $6::text[], $7::text[], $8::jsonb[],
                     $9::timestamptz[], $10::text[]
                 ) as planned (position, query_id, effect, channel, target, payload, expires_at, skipped)
                 on conflict (position, effect, target) do nothing
             )
             select exists (select from moved)",
        )
        .bind(from.0)
        .bind(to.0)
        .bind(column(rows, |row| row.position.0))
        .bind(column(rows, |row| row.query.get()))
        .bind(column(rows, |row| row.effect))
        .bind(column(rows, |row| row.channel.as_str()))
        .bind(column(rows, |row| row.target.to_string()))
        .bind(column(rows, |row| sqlx::types::Json(&row.payload)))
        .bind(column(rows, |row| row.expires_at))
        .bind(column(rows, |row| row.skipped.as_deref()))
        .fetch_one(&mut *transaction)
        .await?;
        if moved {
            transaction.commit().await?;
        }
        Ok(moved)
    }

    /// Takes deliveries that are due, for as long as `lease`.
    pub(super) async fn take(&self, due: Due, at_most: usize, lease: Duration) -> Result<Vec<Delivery>, sqlx::Error> {
        let statement = taking(match due {
            Due::Whole => "is_whole",
            Due::Of(_) => "channel = $3 and not is_whole",
        });
        let mut taking =
            sqlx::query(&statement).bind(i64::try_from(at_most).unwrap_or(i64::MAX)).bind(lease.as_secs_f64());
        if let Due::Of(channel) = due {
            taking = taking.bind(channel.as_str());
        }
        let rows = taking.fetch_all(&self.pool).await?;
        Ok(rows.iter().map(delivery).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Records what came of attempts, and how many of them were the last ones: an attempt that somebody else has followed
    /// by another changes nothing. At most one statement for each of the three kinds of change.
    pub(super) async fn record_all(&self, settled: &[(&Delivery, Verdict)]) -> Result<u64, sqlx::Error> {
        let (mut finished, mut postponed, mut split) = (Vec::new(), Vec::new(), Vec::new());
        for (delivery, verdict) in settled {
            match verdict {
                Verdict::Sent(id) => finished.push((*delivery, "sent", None, id.as_deref())),
                Verdict::Skipped(why) => finished.push((*delivery, "skipped", Some(why.as_str()), None)),
                Verdict::Dead(why) => finished.push((*delivery, "dead", Some(why.as_str()), None)),
                Verdict::Again { after, why } => postponed.push((*delivery, *after, 0, Some(why.as_str()))),
                Verdict::NotYet { after } => postponed.push((*delivery, *after, 1, None)),
                Verdict::Each(targets) => split.extend(targets.iter().map(|target| (*delivery, target))),
            }
        }
        Ok(self.finish(&finished).await? + self.postpone(&postponed).await? + self.split(&split).await?)
    }

    /// Ends deliveries: each with its state, a reason, and the provider's name for it.
    async fn finish(&self, rows: &[(&Delivery, &str, Option<&str>, Option<&str>)]) -> Result<u64, sqlx::Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let done = sqlx::query(
            "update deliveries as d
             set state = ended.state,
                 reason = left(ended.reason, 500),
                 provider_id = left(ended.provider_id, 500),
                 finished_at = now()
             from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[])
                 as ended (id, attempts, state, reason, provider_id)
             where d.id = any($1)
               and d.id = ended.id
               and d.attempts = ended.attempts
               and d.state = 'pending'",
        )
        .bind(column(rows, |(delivery, ..)| delivery.id))
        .bind(column(rows, |(delivery, ..)| delivery.attempts))
        .bind(column(rows, |(_, state, ..)| *state))
        .bind(column(rows, |(_, _, why, _)| *why))
        .bind(column(rows, |(.., provider_id)| *provider_id))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Puts deliveries back: each for how long, with how many attempts that are taken off its count, and why.
    async fn postpone(&self, rows: &[(&Delivery, Duration, i32, Option<&str>)]) -> Result<u64, sqlx::Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let done = sqlx::query(
            "update deliveries as d
             set due_at = now() + later.seconds * interval '1 second',
                 attempts = d.attempts - later.uncounted,
                 reason = coalesce(left(later.reason, 500), d.reason)
             from unnest($1::bigint[], $2::integer[], $3::float8[], $4::integer[], $5::text[])
                 as later (id, attempts, seconds, uncounted, reason)
             where d.id = any($1)
               and d.id = later.id
               and d.attempts = later.attempts
               and d.state = 'pending'",
        )
        .bind(column(rows, |(delivery, ..)| delivery.id))
        .bind(column(rows, |(delivery, ..)| delivery.attempts))
        .bind(column(rows, |(_, after, ..)| after.as_secs_f64()))
        .bind(column(rows, |(_, _, uncounted, _)| *uncounted))
        .bind(column(rows, |(.., why)| *why))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Puts a delivery for each target in the place of one for all of them: all at once, so none is lost or doubled.
    async fn split(&self, rows: &[(&Delivery, &Target)]) -> Result<u64, sqlx::Error> {
        if rows.is_empty() {
            return Ok(0);
        }
        let split: i64 = sqlx::query_scalar(
            "with told as (
                 select *
                 from unnest($1::bigint[], $2::integer[], $3::text[]) as told (id, attempts, target)
             ),
             wholes as (
                 delete from deliveries as d
                 using (select distinct id, attempts from told) as taken
                 where d.id = any($1)
                   and d.id = taken.id
                   and d.attempts = taken.attempts
                   and d.state = 'pending'
                 returning d.id, position, query_id, effect, channel, payload, expires_at, created_at
             ),
             made as (
                 insert into deliveries (
                     position, query_id, effect, channel, target, payload, due_at, expires_at, created_at
                 )
                 select position, query_id, effect, channel, told.target, payload, now(), expires_at, created_at
                 from wholes
                 join told using (id)
                 on conflict (position, effect, target) do nothing
             )
             select count(*) from wholes",
        )
        .bind(column(rows, |(delivery, _)| delivery.id))
        .bind(column(rows, |(delivery, _)| delivery.attempts))
        .bind(column(rows, |(_, target)| target.to_string()))
        .fetch_one(&self.pool)
        .await?;
        Ok(split.unsigned_abs())
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

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// Takes what is due and fulfils a condition: at most `$1`, for `$2` seconds.
fn taking(condition: &str) -> String {
    format!(
        "with due as (
             select id
             from deliveries
             where state = 'pending'
               and {condition}
               and due_at <= now()
             order by due_at
             limit $1
             for update skip locked
         )
         update deliveries as d
         set due_at = now() + $2 * interval '1 second',
             attempts = attempts + 1
         from due
         where d.id = due.id
         returning d.id, d.position, d.query_id, d.channel, d.target, d.payload, d.attempts, d.expires_at"
    )
}

/// A row as a worker takes it; nothing if its channel is one that this version does not know.
fn delivery(row: &PgRow) -> Result<Option<Delivery>, sqlx::Error> {
    let Some(channel) = Channel::parse(row.try_get("channel")?) else { return Ok(None) };
    Ok(Some(Delivery {
        id: row.try_get("id")?,
        position: Position(row.try_get("position")?),
        query: QueryId::new(row.try_get("query_id")?),
        channel,
        target: row.try_get("target")?,
        payload: row.try_get("payload")?,
        attempts: row.try_get("attempts")?,
        expires_at: row.try_get("expires_at")?,
    }))
}
