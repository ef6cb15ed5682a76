//! The seam between `concierge dev` and the service: makes the accounts of a desk of one's own and starts the app.

use std::net::SocketAddr;

use anyhow::Context;

use super::Credential;
use crate::accounts::{Accounts, seed};
use crate::app::App;
use crate::config::Config;
use crate::database::{self, Purpose};

/// The running service.
pub(super) struct Desk {
    app: App,
}

impl Desk {
    /// Makes the accounts that are missing on a migrated database, then starts the service. A database that others run and
    /// work in (`is_own` says no, and it has accounts) is none of our business: no account is touched there, and `staff` is
    /// empty afterwards.
    pub(super) async fn start(config: &Config, staff: &mut Vec<Credential>, is_own: bool) -> anyhow::Result<Self> {
        let pool = database::pool(&config.database_url, Purpose::Read, 1)?;
        let accounts = Accounts::open(pool.clone(), &config.jwt_secret).await.context("cannot read the accounts")?;
        if !is_own && !accounts.list().is_empty() {
            staff.clear();
        }
        let people: Vec<_> =
            staff.iter().map(|person| (person.username, person.name, person.role, person.password.as_str())).collect();
        seed(&accounts, &people).await.context("cannot make the accounts")?;
        pool.close().await;
        Ok(Self { app: App::start(config.clone()).await? })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.app.local_addr()
    }

    /// Stops the service after the requests in flight.
    pub(super) async fn stop(self) {
        self.app.stop().await;
    }
}
