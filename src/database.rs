//! How connections to PostgreSQL are made: always as the service's role, which may append facts but never change them.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::time::timeout;

use crate::config::{Config, Secret};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Appends facts: commits are durable.
    Append,
    /// Reads facts and read models.
    Read,
    /// Reads rows by their keys.
    LookUp,
    /// Fills read models. They can be rebuilt from the log, so a commit need not wait for the disk.
    Project,
    /// Plans what is to be told outside, which is done again if it is lost, so a commit need not wait for the disk.
    React,
}

/// How long a transaction that writes may stand still before PostgreSQL ends it: a node that freezes in the middle of one
/// holds its rows, and whoever takes over from it waits for them.
const IDLE_LIMIT: &str = "5s";

/// How many connections look rows up: few, because each statement answers everybody who asked meanwhile. Two of each kind
/// are under way at most: queries, conversations, messages.
const LOOK_UPS: u32 = 6;

/// Statements are planned once. By itself PostgreSQL takes a list that it does not know for one of ten values, finds what
/// it could keep dearer than a plan for one value, and plans anew each time, which takes longer than to look up the row.
/// Only for statements that go by a key, whose best plan is the same for all values, and so that no plan that was made while
/// a table was small can read all of it: where tables are joined, each is told its keys.
const KEPT: &str = "force_generic_plan";

/// Options for a connection of the service. The read models' schema comes first in the search path.
pub fn options(url: &Secret, purpose: Purpose) -> Result<PgConnectOptions, sqlx::Error> {
    let (durability, idle_limit, plans) = match purpose {
        Purpose::Append => ("on", IDLE_LIMIT, "auto"),
        Purpose::Read => ("on", "60s", "auto"),
        Purpose::LookUp => ("on", "60s", KEPT),
        Purpose::Project => ("off", IDLE_LIMIT, KEPT),
        Purpose::React => ("off", IDLE_LIMIT, "auto"),
    };
    Ok(PgConnectOptions::from_str(url.expose())?.application_name("concierge").options([
        ("role", "concierge_service"),
        ("search_path", "read,public"),
        ("synchronous_commit", durability),
        // Prepared statements keep their plan for long; one made on an empty table must suit a full one. Whatever the
        // service asks has an index.
        ("enable_seqscan", "off"),
        // A table of a few rows has to be scanned all the same. That is then reckoned so dear that compiling the statement
        // looks worth it, for a fifth of a second of a core each time.
        ("jit", "off"),
        ("plan_cache_mode", plans),
        ("idle_in_transaction_session_timeout", idle_limit),
    ]))
}

/// A pool of such connections. It connects when first used, so that a node can start before its database.
pub fn pool(url: &Secret, purpose: Purpose, size: u32) -> Result<PgPool, sqlx::Error> {
    Ok(pool_options(size).connect_lazy_with(options(url, purpose)?))
}

/// Pools for what somebody waits for. PostgreSQL ends a statement on them that takes longer than
/// [`Config::read_timeout_ms`], so that none keeps its connection for ever.
#[derive(Clone, Debug)]
pub struct Serving {
    /// For questions of any kind.
    pub reads: PgPool,
    /// For rows by their keys.
    pub look_ups: PgPool,
    /// The connections that both made.
    pub made: Made,
}

impl Serving {
    /// Pools of a node, as configured.
    pub fn new(config: &Config) -> Result<Self, sqlx::Error> {
        let made = Made::default();
        let pool = |purpose, size| {
            let limit = ("statement_timeout", config.read_timeout_ms.to_string());
            let options = options(&config.database_url, purpose)?.options([limit]);
            let counted = made.clone();
            let counting = pool_options(size).after_connect(move |_, _| {
                counted.0.fetch_add(1, Ordering::SeqCst);
                Box::pin(async { Ok(()) })
            });
            Ok::<_, sqlx::Error>(counting.connect_lazy_with(options))
        };
        let reads = pool(Purpose::Read, config.read_connections)?;
        let look_ups = pool(Purpose::LookUp, LOOK_UPS)?;
        Ok(Self { reads, look_ups, made })
    }
}

/// How many connections pools have made. A database that crashes ends them all, so that nobody reads what it kept and what
/// it lost on the same one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Made(Arc<AtomicU64>);

impl Made {
    /// So many until now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn pool_options(size: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(2))
        .max_lifetime(Duration::from_mins(10))
        .test_before_acquire(false)
}

/// What PostgreSQL answers within a time. One that vanished without a word, or a network that did, would be waited for for
/// ever: whoever waits for an answer owes nothing, so nothing of TCP times out.
///
/// # Errors
/// Those of the question, and [`io::ErrorKind::TimedOut`]. What was asked may still happen; its connection is of no use.
pub async fn within<T>(limit: Duration, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(limit, asked).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// Begins a transaction, which is rolled back if its caller goes away, at whatever moment.
///
/// With `sqlx` 0.8.6 alone there is one at which it is not: while the answer to `begin` is on its way, the connection does
/// not know yet that it has a transaction, and goes back to the pool in the middle of it. Whatever is written on it next,
/// on its own as it believes, is lost in the end. So a task that nobody gives up waits for that answer.
#[allow(clippy::disallowed_methods, reason = "the one place that may begin; the task lasts as long as a statement")]
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await }).await;
    begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
