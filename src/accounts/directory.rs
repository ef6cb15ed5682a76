//! Every staff account in memory, so that naming and checking people costs no round trip.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::UserId;
use sqlx::PgPool;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::store::{self, Fingerprint};
use super::user::User;

/// How long another node's change may go unnoticed.
const POLL: Duration = Duration::from_secs(1);

/// The accounts by id. Changes made through this node show at once, those of other nodes within a second.
pub(super) struct Directory {
    pool: PgPool,
    /// What the addresses of pictures begin with.
    public_url: String,
    users: watch::Sender<Arc<BTreeMap<UserId, Arc<User>>>>,
    /// What the accounts in memory were read at; held while they are read again, so that reads never overtake each other.
    read_at: Mutex<Fingerprint>,
}

impl Directory {
    pub(super) async fn load(pool: PgPool, public_url: &str) -> sqlx::Result<Self> {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let read_at = store::fingerprint(&pool).await?;
        let users = index(store::all(&pool).await?, &public_url);
        Ok(Self { pool, public_url, users: watch::Sender::new(users), read_at: Mutex::new(read_at) })
    }

    pub(super) fn get(&self, id: UserId) -> Option<Arc<User>> {
        self.users.borrow().get(&id).cloned()
    }

    pub(super) fn all(&self) -> Arc<BTreeMap<UserId, Arc<User>>> {
        Arc::clone(&self.users.borrow())
    }

    pub(super) fn changes(&self) -> watch::Receiver<Arc<BTreeMap<UserId, Arc<User>>>> {
        self.users.subscribe()
    }

    /// Reads the accounts again if they changed.
    pub(super) async fn refresh(&self) -> sqlx::Result<()> {
        let mut read_at = self.read_at.lock().await;
        // Taken before the accounts are read: a change in between is read now and once more next time, never missed.
        let now_at = store::fingerprint(&self.pool).await?;
        if now_at != *read_at {
            let users = index(store::all(&self.pool).await?, &self.public_url);
            debug!(accounts = users.len(), "Read the directory of accounts again");
            self.users.send_replace(users);
            *read_at = now_at;
        }
        Ok(())
    }

    /// Keeps the accounts up to date until the node stops.
    pub(super) async fn follow(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh().await {
                warn!(%error, "Could not read the directory of accounts; the last one stays in force");
            }
        }
    }
}

/// The accounts by id, with the addresses of their pictures as others can use them.
fn index(users: Vec<User>, public_url: &str) -> Arc<BTreeMap<UserId, Arc<User>>> {
    let shown = |mut user: User| {
        user.avatar = user.avatar.map(|at| if at.starts_with('/') { format!("{public_url}{at}") } else { at });
        (user.id, Arc::new(user))
    };
    Arc::new(users.into_iter().map(shown).collect())
}
