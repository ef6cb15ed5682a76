//! Timers: rows with a due time. They fire on whichever node takes them first, and again if that node dies before the
//! command took effect; carrying the command out twice changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregates::donor_query::command::Caller;
use aggregates::donor_query::{DonorQueryCommand, DonorQueryError};
use aggregates::ids::{CallId, QueryId};
use aggregates::people::Actor;
use aggregates::policy::Timer;
use aggregates::recorded::Metadata;
use aggregates::vocabulary::EndReason;
use chrono::{DateTime, Utc};
use metrics::counter;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::work::{POLL, something_new};
use crate::clock;
use crate::dispatch::{CommandContext, DispatchError, Dispatcher};
use crate::log::{CommandKey, Log};

/// How many timers fire at once on a node.
const AT_ONCE: usize = 8;

/// After how long a timer that was taken may be taken again: longer than a command ever takes.
const LEASE: Duration = Duration::from_mins(1);

/// How long a timer's command may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Fires timers. Cheap to clone.
#[derive(Clone)]
pub struct Timers {
    pool: PgPool,
    log: Log,
    dispatcher: Dispatcher,
}

/// A timer that was taken.
#[derive(Clone, Copy, Debug)]
struct Due {
    timer: Timer,
    attempts: i32,
}

impl Timers {
    /// Timers of a database whose commands go through `dispatcher`.
    pub const fn new(pool: PgPool, log: Log, dispatcher: Dispatcher) -> Self {
        Self { pool, log, dispatcher }
    }

    /// Fires what is due until the stop, then lets what is under way end. `planned` tells that there may be more.
    pub async fn run(self, mut planned: watch::Receiver<()>, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            let due = self.take(AT_ONCE).await.unwrap_or_else(|error| {
                warn!(error = &error as &dyn std::error::Error, "Cannot read the timers");
                Vec::new()
            });
            let may_be_more = due.len() == AT_ONCE;
            for due in due {
                let timers = self.clone();
                under_way.spawn(async move { timers.fire(due).await });
            }
            while under_way.join_next().await.is_some() {}
            if !may_be_more {
                stop.run_until_cancelled(something_new(&mut planned, POLL)).await;
            }
        }
    }

    async fn take(&self, at_most: usize) -> Result<Vec<Due>, sqlx::Error> {
        let rows = sqlx::query(
            "with due as (
                 select kind, call_id
                 from timers
                 where due_at <= now()
                 order by due_at
                 limit $1
                 for update skip locked
             )
             update timers as t
             set due_at = now() + $2 * interval '1 second',
                 attempts = attempts + 1
             from due
             where t.kind = due.kind
               and t.call_id = due.call_id
             returning t.kind, t.query_id, t.call_id, t.attempts",
        )
        .bind(i64::try_from(at_most).unwrap_or(i64::MAX))
        .bind(LEASE.as_secs_f64())
        .fetch_all(&self.pool)
        .await?;
        let mut taken = Vec::new();
        for row in rows {
            let (query, call) = (QueryId::new(row.try_get("query_id")?), CallId::new(row.try_get("call_id")?));
            // A timer that this version does not know comes back after its lease, for a node that does.
            if let Some(timer) = parse(row.try_get("kind")?, query, call) {
                taken.push(Due { timer, attempts: row.try_get("attempts")? });
            }
        }
        Ok(taken)
    }

    /// Carries out what a timer is for, and forgets it. What failed comes back after the lease.
    async fn fire(&self, due: Due) {
        let (kind, query, call) = parts(due.timer);
        let outcome = timeout(LIMIT, self.carry_out(due.timer)).await;
        let failed = match outcome {
            // A query that is gone took its call along.
            Ok(Ok(()) | Err(DispatchError::Refused(DonorQueryError::NotFound))) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {LIMIT:?}")),
        };
        if let Some(error) = failed {
            counter!("timers_total", "kind" => kind, "outcome" => "failed").increment(1);
            warn!(call.id = %call, query.id = %query, error, "The timer {kind} of call {call} comes again");
            return;
        }
        counter!("timers_total", "kind" => kind, "outcome" => "fired").increment(1);
        info!(call.id = %call, query.id = %query, "The timer {kind} of call {call} fired");
        if let Err(error) = self.forget(due).await {
            warn!(error = &error as &dyn std::error::Error, "A timer that fired will fire again, without effect");
        }
    }

    async fn carry_out(&self, timer: Timer) -> Result<(), DispatchError> {
        let at = clock::now();
        let (query, command) = match timer {
            Timer::CallExpiry { query, call } => {
                (query, DonorQueryCommand::EndCall { call, reason: EndReason::Expired, by: Caller::System, at })
            }
            Timer::LongCall { query, call } => {
                (query, DonorQueryCommand::RemarkLongCall { call, notice: self.log.next_message_id().await?, at })
            }
        };
        let (kind, _, call) = parts(timer);
        let name = format!("{kind}:{call}");
        let context = CommandContext {
            metadata: Metadata::of(&Actor::System, format!("timer:{name}")),
            if_match: None,
            // What is said may be said once only, whoever says it.
            key: Some(CommandKey {
                scope: "timer".to_owned(),
                request_hash: Sha256::digest(name.as_bytes()).into(),
                key: name,
            }),
        };
        self.dispatcher.query(query, command, &context).await.map(|_| ())
    }

    /// Forgets a timer, unless it was armed again since.
    async fn forget(&self, due: Due) -> Result<(), sqlx::Error> {
        let (kind, _, call) = parts(due.timer);
        sqlx::query("delete from timers where kind = $1 and call_id = $2 and attempts = $3")
            .bind(kind)
            .bind(call.get())
            .bind(due.attempts)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Arms and disarms timers as planned.
pub(super) async fn keep(
    connection: &mut PgConnection,
    timers: &BTreeMap<Timer, Option<DateTime<Utc>>>,
) -> Result<(), sqlx::Error> {
    let disarmed: Vec<_> = timers.iter().filter(|(_, due)| due.is_none()).map(|(timer, _)| parts(*timer)).collect();
    let armed: Vec<_> = timers.iter().filter_map(|(timer, due)| due.map(|due| (parts(*timer), due))).collect();
    sqlx::query(
        "delete from timers as t
         using unnest($1::text[], $2::bigint[]) as disarmed (kind, call_id)
         where t.kind = disarmed.kind
           and t.call_id = disarmed.call_id",
    )
    .bind(disarmed.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>())
    .bind(disarmed.iter().map(|(.., call)| call.get()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "insert into timers (kind, query_id, call_id, due_at)
         select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[])
         on conflict (kind, call_id) do update
         set due_at = excluded.due_at, attempts = 0",
    )
    .bind(armed.iter().map(|((kind, ..), _)| *kind).collect::<Vec<_>>())
    .bind(armed.iter().map(|((_, query, _), _)| query.get()).collect::<Vec<_>>())
    .bind(armed.iter().map(|((.., call), _)| call.get()).collect::<Vec<_>>())
    .bind(armed.iter().map(|(_, due)| *due).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

const fn parts(timer: Timer) -> (&'static str, QueryId, CallId) {
    match timer {
        Timer::CallExpiry { query, call } => ("call_expiry", query, call),
        Timer::LongCall { query, call } => ("long_call", query, call),
    }
}

fn parse(kind: &str, query: QueryId, call: CallId) -> Option<Timer> {
    [Timer::CallExpiry { query, call }, Timer::LongCall { query, call }]
        .into_iter()
        .find(|timer| parts(*timer).0 == kind)
}
