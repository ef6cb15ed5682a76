//! What a node does until its database answers: it tries again and again, says why, and serves nothing but its health.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use backon::{BackoffBuilder, ExponentialBuilder};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::serve::{self, Bounds};
use crate::accounts::Accounts;
use crate::config::Config;
use crate::http::health::{self, Condition, Probe};
use crate::log::Log;
use crate::migrate;

/// How long the database may take to let a node in.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long whoever comes is left waiting in the queue of the listener before there is anybody to turn them away. By then a
/// node that comes back has most often begun to serve, and a balancer that did not notice its absence has lost nothing.
const QUIET: Duration = Duration::from_secs(2);

/// The pauses between attempts: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Brings the schema up to date and reads the accounts, as soon as that is possible. If that takes longer than [`QUIET`],
/// the listener is served with the health of the node, `others` included.
///
/// # Errors
/// What waiting would not mend: a master key or a schema that does not fit, a database that does not exist.
pub(super) async fn for_database(
    config: &Config,
    log: &Log,
    reads: &PgPool,
    listener: &Arc<TcpListener>,
    mut others: Vec<Probe>,
) -> anyhow::Result<Accounts> {
    let trouble = Arc::new(Mutex::new("PostgreSQL was not asked yet".to_owned()));
    let told = Arc::clone(&trouble);
    let check = move || Condition::Down(told.lock().unwrap_or_else(PoisonError::into_inner).clone());
    others.push(Probe { name: "database", check: Arc::new(check) });
    let stop = CancellationToken::new();
    let meanwhile = async {
        if stop.run_until_cancelled(sleep(QUIET)).await.is_some() {
            serve::run(Arc::clone(listener), health::of_waiting(others), Bounds::new(config), stop.clone()).await;
        }
    };
    let prepared = async {
        let prepared = tried_again(config, log, reads, &trouble).await;
        stop.cancel();
        prepared
    };
    let (prepared, ()) = tokio::join!(prepared, meanwhile);
    prepared
}

async fn tried_again(config: &Config, log: &Log, reads: &PgPool, trouble: &Mutex<String>) -> anyhow::Result<Accounts> {
    let pauses = ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1).without_max_times();
    let mut pauses = pauses.with_jitter().build();
    let mut has_waited = false;
    loop {
        let error = match prepare(config, log, reads).await {
            Ok(accounts) => {
                if has_waited {
                    info!("PostgreSQL answers");
                }
                return Ok(accounts);
            }
            Err(error) if is_passing(&error) => format!("{error:#}"),
            Err(error) => return Err(error),
        };
        let before = std::mem::replace(&mut *trouble.lock().unwrap_or_else(PoisonError::into_inner), error.clone());
        if before != error {
            warn!(%error, "Waiting for PostgreSQL");
        }
        has_waited = true;
        sleep(pauses.next().unwrap_or(PAUSES.1)).await;
    }
}

async fn prepare(config: &Config, log: &Log, reads: &PgPool) -> anyhow::Result<Accounts> {
    // A pool would hide why it got no connection.
    let connection = timeout(PATIENCE, PgConnection::connect(config.database_url.expose())).await.context(Silent)?;
    connection.context("cannot connect to PostgreSQL")?.close().await?;
    migrate::run(config.database_url.expose()).await?;
    log.check_master_key().await?;
    let accounts = Accounts::open_at(reads.clone(), &config.jwt_secret, &config.public_base_url()).await;
    accounts.context("cannot read the accounts")
}

/// Nobody took the connection, or nothing came back.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL does not answer")]
struct Silent;

/// Whether waiting may help.
fn is_passing(error: &anyhow::Error) -> bool {
    let is_of_the_database = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<sqlx::Error>().is_some_and(projections::is_passing)
    };
    error.is::<Silent>() || error.chain().any(is_of_the_database)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use sqlx::migrate::MigrateError;

    use super::{Silent, is_passing};

    #[test]
    fn only_what_passes_is_waited_for() {
        let failed = |error: sqlx::Error| -> anyhow::Error {
            let failed: Result<(), _> = Err(MigrateError::Execute(error));
            failed.context("cannot migrate the database").expect_err("it failed")
        };
        assert!(is_passing(&failed(sqlx::Error::PoolTimedOut)));
        assert!(!is_passing(&failed(sqlx::Error::RowNotFound)));
        let silent: Result<(), Silent> = Err(Silent);
        assert!(is_passing(&silent.context("cannot connect").expect_err("it is silent")));
    }
}
