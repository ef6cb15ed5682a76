//! Notes requests: a bounded queue that never makes a request wait, and one writer behind it.

use std::net::IpAddr;
use std::time::Duration;

use aggregates::ids::UserId;
use chrono::{DateTime, Utc};
use metrics::counter;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::KEPT_DAYS;

/// How many requests may wait to be written; those beyond are counted and forgotten.
const QUEUE: usize = 4_096;
/// How many are written at once.
const BATCH: usize = 256;
/// How many are kept however new they are, so that a flood of refusals cannot fill the disk.
const MOST: i64 = 1_000_000;
/// How many old ones one statement deletes.
const FORGOTTEN_AT_ONCE: i64 = 10_000;
/// How often old ones are deleted.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// Why a request is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Somebody logged in, or tried to.
    LogIn,
    /// An account changed.
    Account,
    /// The caller may not do that, or not so often.
    Refused,
    /// A fault of the service.
    Error,
}

impl RequestKind {
    const fn word(self) -> &'static str {
        match self {
            Self::LogIn => "log_in",
            Self::Account => "account",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

/// A request worth remembering.
#[derive(Clone, Debug)]
pub struct Noted {
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// Why it is remembered.
    pub kind: RequestKind,
    /// Who sent it, if it was a staff member.
    pub staff: Option<UserId>,
    /// What its path named, or the account that was tried at a log-in.
    pub subject: Option<i64>,
    /// Its name in log lines.
    pub request_id: String,
    /// Its method.
    pub method: String,
    /// Its route, without values.
    pub route: Option<String>,
    /// The status code it was answered with.
    pub status: u16,
    /// The code of the error it was answered with.
    pub code: Option<String>,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// With which client.
    pub user_agent: Option<String>,
    /// How long the answer took.
    pub took: Duration,
}

impl Noted {
    fn level(&self) -> &'static str {
        match self.status {
            500.. => "error",
            400.. => "warn",
            _ => "info",
        }
    }
}

/// Where requests are noted. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(mpsc::Sender<Noted>);

/// A recorder, and the queue that [`keep`] writes from.
pub fn recorder() -> (Recorder, mpsc::Receiver<Noted>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Recorder(sender), receiver)
}

impl Recorder {
    /// Notes a request; counted and forgotten if too many wait to be written.
    pub fn note(&self, request: Noted) {
        if self.0.try_send(request).is_err() {
            counter!("request_audit_dropped_total").increment(1);
        }
    }
}

/// Writes what was noted until the node stops, then what is left; deletes what is old.
pub async fn keep(pool: PgPool, mut queue: mpsc::Receiver<Noted>, stop: CancellationToken) {
    let mut turns = tokio::time::interval(FORGET_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = turns.tick() => forget(&pool).await,
            // Nothing comes once nobody is left who notes.
            received = queue.recv_many(&mut batch, BATCH) => match received {
                0 => break,
                _ => write(&pool, &mut batch).await,
            },
        }
    }
    queue.close();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        write(&pool, &mut batch).await;
    }
}

/// Writes a batch. One that cannot be written is counted and forgotten: the desk works without.
async fn write(pool: &PgPool, batch: &mut Vec<Noted>) {
    if let Err(error) = insert(pool, batch).await {
        counter!("request_audit_dropped_total").increment(batch.len() as u64);
        warn!(%error, requests = batch.len(), "Requests could not be noted");
    }
    batch.clear();
}

async fn insert(pool: &PgPool, batch: &[Noted]) -> sqlx::Result<()> {
    fn column<T>(batch: &[Noted], value: impl FnMut(&Noted) -> T) -> Vec<T> {
        batch.iter().map(value).collect()
    }
    sqlx::query(
        "insert into request_audit (at, level, kind, staff_id, subject_id, request_id, method, route, status, code, address,
                                    user_agent, took_ms)
         select *
         from unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                     $8::text[], $9::smallint[], $10::text[], $11::text[], $12::text[], $13::integer[])",
    )
    .bind(column(batch, |request| request.at))
    .bind(column(batch, |request| request.level().to_owned()))
    .bind(column(batch, |request| request.kind.word().to_owned()))
    .bind(column(batch, |request| request.staff.map(UserId::get)))
    .bind(column(batch, |request| request.subject))
    .bind(column(batch, |request| request.request_id.clone()))
    .bind(column(batch, |request| request.method.clone()))
    .bind(column(batch, |request| request.route.clone()))
    .bind(column(batch, |request| i16::try_from(request.status).unwrap_or(i16::MAX)))
    .bind(column(batch, |request| request.code.clone()))
    .bind(column(batch, |request| request.address.map(|address| address.to_string())))
    .bind(column(batch, |request| request.user_agent.clone()))
    .bind(column(batch, |request| i32::try_from(request.took.as_millis()).unwrap_or(i32::MAX)))
    .execute(pool)
    .await?;
    Ok(())
}

/// Deletes what is old, some at a time: however many there are, no statement takes long.
async fn forget(pool: &PgPool) {
    let mut forgotten = 0;
    let done = loop {
        match forget_some(pool).await {
            Ok(0) => break Ok(()),
            Ok(some) => forgotten += some,
            Err(error) => break Err(error),
        }
    };
    if forgotten > 0 {
        info!("Forgot {forgotten} requests");
    }
    if let Err(error) = done {
        warn!(%error, "Old requests could not be forgotten");
    }
}

async fn forget_some(pool: &PgPool) -> sqlx::Result<u64> {
    let deleted = sqlx::query(
        "delete from request_audit
         where id = any(array(
             select id
             from request_audit
             where at < now() - make_interval(days => $1)
                or id <= (select max(id) from request_audit) - $2
             limit $3
         ))",
    )
    .bind(i32::from(KEPT_DAYS))
    .bind(MOST)
    .bind(FORGOTTEN_AT_ONCE)
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::{Noted, QUEUE, RequestKind, recorder};

    fn refused() -> Noted {
        Noted {
            at: DateTime::UNIX_EPOCH,
            kind: RequestKind::Refused,
            staff: None,
            subject: None,
            request_id: "request-1".to_owned(),
            method: "GET".to_owned(),
            route: None,
            status: 401,
            code: None,
            address: None,
            user_agent: None,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_flood_fills_the_queue_and_nothing_else() {
        let (recorder, queue) = recorder();
        for _ in 0..2 * QUEUE {
            recorder.note(refused());
        }
        assert_eq!(queue.len(), QUEUE);
    }
}
