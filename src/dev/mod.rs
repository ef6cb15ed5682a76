//! `concierge dev`: the whole desk on one machine, with servers, secrets and accounts of its own.
//!
//! Everything it needs and makes is in one data directory; deleting that, or `--fresh`, is a new beginning.

pub mod install;
pub mod servers;

mod data_dir;
mod desk;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;

use aggregates::people::Role;
use anyhow::Context;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::data_dir::DataDir;
use self::desk::Desk;
use self::servers::{BUFFERS_MB, NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};
use crate::config::{Config, Limits, Secret};
use crate::integrations::calls::Provider;
use crate::telemetry;

const DATABASE: &str = "concierge";
/// Requests per minute that a load tool on the same machine does not reach.
const GENEROUS: u32 = 600_000;

/// What `concierge dev` was asked.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Where to serve; otherwise where the configuration says.
    pub listen: Option<SocketAddr>,
    /// Where data, secrets and logs are kept.
    pub data_dir: PathBuf,
    /// Whether to begin with an empty desk. Deletes only what an earlier `concierge dev` made.
    pub fresh: bool,
}

/// A staff account that can be logged in to.
#[derive(Clone, Debug, Serialize)]
struct Credential {
    username: &'static str,
    #[serde(skip)]
    name: &'static str,
    password: String,
    role: Role,
}

/// What scripts need to know about the running desk; kept as `dev.json`.
#[derive(Debug, Serialize)]
struct Addresses<'a> {
    base_url: String,
    database_url: &'a str,
    nats_url: &'a str,
    staff: &'a [Credential],
    #[serde(skip)]
    calls: Provider,
    #[serde(skip)]
    carriers: Carriers,
}

/// Whether pushes and mail leave this machine.
#[derive(Clone, Copy, Debug)]
struct Carriers {
    push_is_local: bool,
    mail_is_local: bool,
}

/// Serves a desk until it is interrupted (Ctrl-C, SIGTERM, SIGHUP), then takes down everything it started.
///
/// A second signal ends the wait for requests in flight.
pub async fn run(options: DevOptions) -> anyhow::Result<()> {
    let directory = DataDir::open(&options.data_dir, options.fresh)?;
    // One that was killed left its addresses, and nobody is there any more.
    directory.remove("dev.json")?;
    let mut config = Config::read()?;
    telemetry::start(&config)?;
    prepare(&mut config, &directory, options.listen)?;
    let servers = start_servers(&mut config, &directory).await?;
    crate::migrate::run(config.database_url.expose()).await?;
    config.check()?;

    let mut staff = Vec::from(staff(&directory)?);
    let mut interrupts = Interrupts::listen()?;
    let desk = Desk::start(&config, &mut staff, servers.postgres.is_some()).await?;
    let addresses = Addresses {
        base_url: format!("http://{}", table::reachable(desk.local_addr())),
        database_url: config.database_url.expose(),
        nats_url: config.nats_url.expose(),
        staff: &staff,
        calls: Provider::configured(&config.calls),
        carriers: Carriers { push_is_local: config.push.is_local(), mail_is_local: config.mail.is_local() },
    };
    directory.write("dev.json", &serde_json::to_string_pretty(&addresses)?)?;
    table::print(&addresses, &servers, directory.path())?;

    interrupts.next().await;
    directory.remove("dev.json")?;
    tokio::select! {
        () = desk.stop() => {}
        () = interrupts.next() => {}
    }
    tokio::task::spawn_blocking(|| drop(servers)).await.context("the servers did not stop")
}

/// Fills in what a desk of one's own can decide for itself.
fn prepare(config: &mut Config, directory: &DataDir, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    config.listen = listen.unwrap_or(config.listen);
    "development".clone_into(&mut config.environment);
    if config.public_url.is_empty() {
        config.public_url = format!("http://{}", table::reachable(config.listen));
    }
    if config.jwt_secret == Secret::default() {
        config.jwt_secret = Secret::new(directory.password("jwt_secret")?);
    }
    if config.master_key == Secret::default() {
        config.master_key = Secret::new(directory.master_key()?);
    }
    let usual = Limits::default();
    let generous = |asked, usual| if asked == usual { GENEROUS } else { asked };
    config.limits = Limits {
        login_per_minute: generous(config.limits.login_per_minute, usual.login_per_minute),
        open_per_minute: generous(config.limits.open_per_minute, usual.open_per_minute),
        donor_per_minute: generous(config.limits.donor_per_minute, usual.donor_per_minute),
        ..config.limits
    };
    Ok(())
}

/// The servers of this desk's own; absent where the configuration names others.
struct Servers {
    postgres: Option<PrivatePostgres>,
    nats: Option<PrivateNats>,
}

/// Starts what the configuration does not name, and names it there.
async fn start_servers(config: &mut Config, directory: &DataDir) -> anyhow::Result<Servers> {
    let postgres = config.database_url == Secret::default();
    let postgres = postgres.then(|| PostgresOptions {
        data_dir: directory.path().join(data_dir::POSTGRES),
        durable: true,
        port: None,
        buffers_mb: BUFFERS_MB,
    });
    let nats = config.nats_url == Secret::default();
    let nats = nats.then(|| NatsOptions { data_dir: directory.path().join(data_dir::NATS), port: None, program: None });
    let start = move || {
        if postgres.is_some() || nats.is_some() {
            install::ensure_installed()?;
        }
        let postgres = postgres.as_ref().map(PrivatePostgres::start).transpose()?;
        let nats = nats.as_ref().map(PrivateNats::start).transpose()?;
        anyhow::Ok(Servers { postgres, nats })
    };
    let servers = tokio::task::spawn_blocking(start).await.context("the servers did not start")??;
    if let Some(postgres) = &servers.postgres {
        create_database(&postgres.url("postgres")).await?;
        config.database_url = Secret::new(postgres.url(DATABASE));
    }
    if let Some(nats) = &servers.nats {
        config.nats_url = Secret::new(nats.url());
    }
    Ok(servers)
}

async fn create_database(server: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    let there = sqlx::query("select 1 from pg_database where datname = $1").bind(DATABASE);
    if there.fetch_optional(&mut connection).await?.is_none() {
        sqlx::query(&format!("create database {DATABASE}")).execute(&mut connection).await?;
    }
    connection.close().await
}

/// The accounts of a desk of one's own: one of each role, with passwords that stay the same until `--fresh`.
fn staff(directory: &DataDir) -> anyhow::Result<[Credential; 2]> {
    let credential = |username, name, role| {
        let password = directory.password(&format!("{username}_password"))?;
        anyhow::Ok(Credential { username, name, password, role })
    };
    Ok([credential("superadmin", "Super Admin", Role::SuperAdmin)?, credential("admin", "Admin", Role::Admin)?])
}

/// The signals that ask for an end.
struct Interrupts {
    ctrl_c: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
