//! Work that one node does at a time: whoever holds a session lock of PostgreSQL, watched.
//!
//! Only an optimization: two relays or two projectors at once get in each other's way but do no harm. So a lock that is
//! lost without notice for a second is no danger.

mod share;

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::share::{Share, share};
use crate::database::within;

/// How often a stand-by tries to take over.
const CONTEND_EVERY: Duration = Duration::from_millis(500);

/// How often the holder looks whether its session, and with it the lock, is still there.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// How long a session may take to answer: after that it is as good as gone.
const SILENCE: Duration = Duration::from_secs(2);

/// How long the holder may say nothing before PostgreSQL ends its session, in milliseconds: four looks, so that another node
/// has its work within five seconds.
const IDLE_LIMIT_MS: &str = "4000";

/// Work that one node does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Publishing facts to NATS.
    Relay,
    /// Keeping the read models.
    Projector,
    /// Planning what is to happen outside the desk.
    Planner,
}

impl Duty {
    /// The lock's number. 5005 is the fence of the log.
    const fn key(self) -> i32 {
        match self {
            Self::Relay => 5006,
            Self::Projector => 5007,
            Self::Planner => 5008,
        }
    }

    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Projector => "projector",
            Self::Planner => "planner",
        }
    }
}

/// A lock that is held as long as its session lives.
pub struct Lease {
    connection: PgConnection,
}

impl Lease {
    /// Takes the lock if nobody holds it.
    pub async fn try_take(options: &PgConnectOptions, duty: Duty) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = connect(options).await?;
        let taken: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(i64::from(duty.key()))
            .fetch_one(&mut connection)
            .await?;
        Ok(taken.then_some(Self { connection }))
    }

    /// Waits until the session is gone, and the lock with it.
    pub async fn lost(&mut self) {
        loop {
            sleep(WATCH_EVERY).await;
            if within(SILENCE, sqlx::query("select 1").execute(&mut self.connection)).await.is_err() {
                return;
            }
        }
    }

    /// Gives the lock back.
    pub async fn release(self) {
        // If the session cannot be closed it is broken, which gives the lock back too.
        let _ = timeout(WATCH_EVERY, self.connection.close()).await;
    }
}

/// A session whose locks outlive their holder by seconds.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let patience = [
        // A holder that vanished without a word loses the lock after ten seconds instead of two hours.
        ("tcp_keepalives_idle", "4"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        // One that hangs, and so asks nothing any more, loses it too (PostgreSQL 14 and later).
        ("idle_session_timeout", IDLE_LIMIT_MS),
    ];
    PgConnection::connect_with(&options.clone().options(patience)).await
}

/// Does work while the lock is held, on whichever node got it, until shutdown. The work is dropped when the lock is lost
/// or a shutdown begins, and begun anew when the lock is taken again.
pub async fn hold<W: Future<Output = ()>>(
    options: &PgConnectOptions,
    duty: Duty,
    shutdown: &CancellationToken,
    mut work: impl FnMut() -> W,
) {
    let name = duty.name();
    while !shutdown.is_cancelled() {
        let Some(mut lease) = shutdown.run_until_cancelled(take(options, duty)).await else { return };
        info!(duty = name, "This node is the {name} now");
        metrics::gauge!("lease_held", "duty" => name).set(1.0);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work() => {}
            () = lease.lost() => warn!(duty = name, "Lost the lock of the {name}"),
        }
        metrics::gauge!("lease_held", "duty" => name).set(0.0);
        lease.release().await;
    }
}

async fn take(options: &PgConnectOptions, duty: Duty) -> Lease {
    let mut failing = false;
    loop {
        match within(SILENCE, Lease::try_take(options, duty)).await {
            Ok(Some(lease)) => return lease,
            Ok(None) => failing = false,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(duty = duty.name(), %error, "Cannot contend for the lock of the {}", duty.name());
                }
            }
        }
        sleep(CONTEND_EVERY).await;
    }
}
