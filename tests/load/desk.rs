//! A whole desk for the load generator: private servers and a service process of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aggregates::people::Role;
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::config::{Config, Secret};
use proof_concierge::database::{self, Purpose};
use proof_concierge::dev::servers::{NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};
use proof_concierge::migrate;
use reqwest::Method;
use sqlx::{Connection, Executor, PgConnection};

use crate::client::Client;

const USERNAME: &str = "load";
const PASSWORD: &str = "a password for the load generator";

pub(crate) struct Desk {
    pub(crate) config: Config,
    postgres: PrivatePostgres,
    nats: PrivateNats,
    service: Service,
    base: String,
    token: String,
    directory: PathBuf,
}

/// The service's process; it ends with this value.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Desk {
    pub(crate) async fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("concierge-load-{}", std::process::id()));
        let postgres = PostgresOptions { data_dir: directory.join("postgres"), durable: true, port: None };
        let postgres = PrivatePostgres::start(&postgres).unwrap();
        let nats = NatsOptions { data_dir: directory.join("nats"), port: None, program: None };
        let nats = PrivateNats::start(&nats).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = Config {
            listen: ([127, 0, 0, 1], port).into(),
            database_url: Secret::new(postgres.url("postgres")),
            nats_url: Secret::new(nats.url()),
            jwt_secret: Secret::new("a secret that only this load generator uses"),
            master_key: Secret::new("0123456789abcdef".repeat(4)),
            ..Config::default()
        };
        migrate::run(config.database_url.expose()).await.unwrap();
        let pool = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
        let accounts = Accounts::open(pool, &config.jwt_secret).await.unwrap();
        seed(&accounts, &[(USERNAME, "Load Generator", Role::SuperAdmin, PASSWORD)]).await.unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let service = Service(serve(&config, port));
        let client = Client::new(&base);
        ready(&client).await;
        let token = client.log_in(USERNAME, PASSWORD).await;
        Self { config, postgres, nats, service, base, token, directory }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base)
    }

    pub(crate) fn staff_token(&self) -> &str {
        &self.token
    }

    pub(crate) fn web_socket_url(&self) -> String {
        format!("{}/api/v1/ws", self.base.replacen("http", "ws", 1))
    }

    /// Does now what autovacuum would do within minutes of a bulk load.
    pub(crate) async fn settle(&self) {
        let mut server = PgConnection::connect(self.config.database_url.expose()).await.unwrap();
        server.execute("vacuum analyze").await.unwrap();
    }

    /// Another migrated database on the same server, with a configuration for it and its address.
    pub(crate) async fn unwatched(&self, name: &str) -> (Config, String) {
        let mut server = PgConnection::connect(&self.postgres.url("postgres")).await.unwrap();
        server.execute(format!("create database {name}").as_str()).await.unwrap();
        let url = self.postgres.url(name);
        migrate::run(&url).await.unwrap();
        (Config { database_url: Secret::new(&url), ..self.config.clone() }, url)
    }

    pub(crate) fn machine() -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        format!("machine: {cores} cores; PostgreSQL durable, nats-server, service and load generator all on it")
    }

    /// Waits until the service has been left alone for a while, then says how much memory it holds.
    pub(crate) async fn idle_memory(&self) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        println!("idle resident memory of `concierge serve`: {:.1} MB\n", self.resident_megabytes());
    }

    pub(crate) fn resident_megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.service.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1_024.0
    }

    pub(crate) fn stop(self) {
        let Self { service, mut postgres, mut nats, directory, .. } = self;
        drop(service);
        postgres.stop();
        nats.stop();
        drop(std::fs::remove_dir_all(directory));
    }
}

fn serve(config: &Config, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_concierge"))
        .arg("serve")
        .env("CONCIERGE_LISTEN", format!("127.0.0.1:{port}"))
        .env("DATABASE_URL", config.database_url.expose())
        .env("NATS_URL", config.nats_url.expose())
        .env("JWT_SECRET", config.jwt_secret.expose())
        .env("CONCIERGE_MASTER_KEY", config.master_key.expose())
        .env("CONCIERGE_LIMITS__LOGIN_PER_MINUTE", "0")
        .env("CONCIERGE_LIMITS__OPEN_PER_MINUTE", "0")
        .env("CONCIERGE_LIMITS__DONOR_PER_MINUTE", "0")
        .env("CONCIERGE_LOG_FILTER", "warn")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn ready(client: &Client) {
    let begin = Instant::now();
    while !client.send(Method::GET, "/health/ready", None, None).await.0.is_success() {
        assert!(begin.elapsed() < Duration::from_secs(30), "the service is not ready after 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
