//! Whole desks for the load generator: private servers, and a service process of its own for each desk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aggregates::people::Role;
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::config::{Config, Secret};
use proof_concierge::database::{self, Purpose};
use proof_concierge::dev::servers::{NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};
use proof_concierge::migrate;
use sqlx::{Connection, Executor, PgConnection};

use crate::client::{Client, Opened};
use crate::machine::{Machine, Spent, resident_megabytes};
use crate::measure::on_one_thread;

const USERNAME: &str = "load";
const PASSWORD: &str = "a password for the load generator";
/// How long a service may take until it is ready.
const LIMIT: Duration = Duration::from_mins(2);

/// A durable PostgreSQL and a nats-server, gone with this value and all they wrote.
pub(crate) struct Servers {
    postgres: PrivatePostgres,
    nats: PrivateNats,
    directory: PathBuf,
}

impl Servers {
    pub(crate) fn start(buffers_mb: u32) -> Self {
        let directory = std::env::temp_dir().join(format!("concierge-load-{}", std::process::id()));
        let postgres = PostgresOptions { data_dir: directory.join("postgres"), durable: true, port: None, buffers_mb };
        let nats = NatsOptions { data_dir: directory.join("nats"), port: None, program: None };
        Self {
            postgres: PrivatePostgres::start(&postgres).unwrap(),
            nats: PrivateNats::start(&nats).unwrap(),
            directory,
        }
    }

    pub(crate) fn machine(&self) -> Machine {
        let version = on_one_thread(async {
            let mut server = PgConnection::connect(&self.postgres.url("postgres")).await.unwrap();
            let version: String = sqlx::query_scalar("show server_version").fetch_one(&mut server).await.unwrap();
            let buffers: String = sqlx::query_scalar("show shared_buffers").fetch_one(&mut server).await.unwrap();
            format!("{version}, {buffers} of buffers")
        });
        Machine::look(&self.directory, version, &self.nats.url())
    }

    pub(crate) fn nats_url(&self) -> String {
        self.nats.url()
    }

    /// A migrated database that no service watches, with a configuration for it and its address.
    pub(crate) fn unwatched(&self, name: &str) -> (Config, String) {
        let url = self.postgres.url(name);
        on_one_thread(async {
            let mut server = PgConnection::connect(&self.postgres.url("postgres")).await.unwrap();
            server.execute(format!("create database {name}").as_str()).await.unwrap();
            migrate::run(&url).await.unwrap();
        });
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = Config {
            listen: ([127, 0, 0, 1], port).into(),
            database_url: Secret::new(&url),
            nats_url: Secret::new(self.nats.url()),
            nats_prefix: name.to_owned(),
            jwt_secret: Secret::new("a secret that only this load generator uses"),
            master_key: Secret::new("0123456789abcdef".repeat(4)),
            ..Config::default()
        };
        (config, url)
    }

    /// A desk of its own on these servers, up and ready.
    pub(crate) fn desk(&self, name: &str) -> Desk {
        let (config, _) = self.unwatched(name);
        on_one_thread(async {
            let pool = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
            let accounts = Accounts::open(pool, &config.jwt_secret).await.unwrap();
            seed(&accounts, &[(USERNAME, "Load Generator", Role::SuperAdmin, PASSWORD)]).await.unwrap();
        });
        let (postgres, nats) = (self.postgres.pid(), self.nats.pid());
        let mut desk = Desk { config, postgres, nats, service: None, token: String::new() };
        desk.start();
        desk.token = on_one_thread(async { desk.client().log_in(USERNAME, PASSWORD).await });
        desk
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.postgres.stop();
        self.nats.stop();
        drop(PrivatePostgres::remove(&self.directory.join("postgres")));
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// A database, names in NATS, and the service on them.
pub(crate) struct Desk {
    pub(crate) config: Config,
    postgres: u32,
    nats: u32,
    service: Option<Service>,
    token: String,
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
    /// Starts the service, which must not be running, and returns how long it took until it was ready.
    pub(crate) fn start(&mut self) -> Duration {
        let begin = Instant::now();
        self.service = Some(Service(serve(&self.config)));
        on_one_thread(async {
            let mut client = self.client();
            while client.send("GET", "/health/ready", None, None).await.status != 200 {
                assert!(begin.elapsed() < LIMIT, "the service is not ready after {LIMIT:?}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        begin.elapsed()
    }

    /// Ends the service the hard way; everything it said is durable.
    pub(crate) fn kill(&mut self) {
        self.service = None;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.config.listen
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address())
    }

    pub(crate) fn staff_token(&self) -> &str {
        &self.token
    }

    /// Opens queries, one after the other.
    pub(crate) fn open_queries(&self, count: usize) -> Vec<Opened> {
        on_one_thread(async {
            let mut client = self.client();
            let mut opened = Vec::with_capacity(count);
            for _ in 0..count {
                opened.push(client.open().await.expect("a query opens"));
            }
            opened
        })
    }

    /// Opens queries about which an ordinary number of messages was exchanged.
    pub(crate) fn open_conversations(&self, count: usize, messages: i64) -> Vec<Opened> {
        let opened = self.open_queries(count);
        on_one_thread(async {
            let mut client = self.client();
            for query in &opened {
                for turn in 0..messages {
                    let said = client.say(query.id, &query.donor_token, format_args!("Message {turn}")).await;
                    assert!(said, "a message is posted");
                }
            }
        });
        opened
    }

    /// Waits until the read models show everything, so that a command is answered in time again, and the stream is filled.
    pub(crate) fn catch_up(&self) {
        let begin = Instant::now();
        on_one_thread(async {
            let mut client = self.client();
            while !client.opens().await {
                assert!(begin.elapsed() < Duration::from_hours(2), "the read models do not catch up");
            }
            while !client.is_all_relayed().await {
                assert!(begin.elapsed() < Duration::from_hours(2), "the stream is not filled");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// Does now what autovacuum and the checkpointer would do within minutes of a bulk load.
    pub(crate) fn settle(&self) {
        on_one_thread(async {
            let mut server = PgConnection::connect(self.config.database_url.expose()).await.unwrap();
            server.execute("vacuum analyze").await.unwrap();
            server.execute("checkpoint").await.unwrap();
        });
    }

    fn service_id(&self) -> u32 {
        self.service.as_ref().expect("the service runs").0.id()
    }

    pub(crate) fn resident_megabytes(&self) -> f64 {
        resident_megabytes(self.service_id())
    }

    pub(crate) fn spent(&self) -> Spent {
        Spent::now(self.service_id(), self.postgres, self.nats)
    }
}

fn serve(config: &Config) -> Child {
    Command::new(env!("CARGO_BIN_EXE_concierge"))
        .arg("serve")
        .env("CONCIERGE_LISTEN", config.listen.to_string())
        .env("DATABASE_URL", config.database_url.expose())
        .env("NATS_URL", config.nats_url.expose())
        .env("CONCIERGE_NATS_PREFIX", &config.nats_prefix)
        .env("JWT_SECRET", config.jwt_secret.expose())
        .env("CONCIERGE_MASTER_KEY", config.master_key.expose())
        .env("CONCIERGE_LIMITS__LOGIN_PER_MINUTE", "0")
        .env("CONCIERGE_LIMITS__OPEN_PER_MINUTE", "0")
        .env("CONCIERGE_LIMITS__DONOR_PER_MINUTE", "0")
        .env("CONCIERGE_LOG_FILTER", "error")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
