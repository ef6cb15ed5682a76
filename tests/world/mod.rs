//! A whole desk as the world sees it: real processes, cables between them that can be cut, people who work, people who
//! listen, and a judge who says whether every promise was kept.
//!
//! Used by the tests in `tests/it/faults` and by `tests/torture`. A test looks like this:
//!
//! ```text
//! let mut world = World::start(Plan::new(directory)).await;       // servers, people, nodes, all ready
//! let load = Load::start(&world, 8, seed).await;                  // clients that open, talk, call, hand over, resolve
//! let listeners = Listeners::start(&world, 2, None);              // each over a WebSocket or server-sent events
//! load.answered(20).await;                                        // let them work for so many commands
//! world.nodes[0].kill();                                          // any fault
//! load.answered(20).await;
//! world.nodes[0].start();
//! judge(&world, load, listeners).await.unwrap();                  // waits until all is quiet, then checks everything
//! ```
//!
//! Every cable of a node leads through a [`proxy`]: `node.door` to its clients, `node.database`, `node.nats`. Everything is
//! bounded by counts of commands; whatever takes time is waited for with [`eventually`]. Tests have to run on a runtime of
//! several threads (`flavor = "multi_thread"`), because servers are started and stopped by blocking calls, and must start
//! nodes from the test's own task: a node ends with the thread that started it.
//!
//! To judge a world of another shape, make the [`World`] with another [`Plan`], or put other servers into its fields: load,
//! listeners and judge know nothing but the addresses in [`Desk`] and the database.

pub(crate) mod judge;
pub(crate) mod listen;
pub(crate) mod load;
pub(crate) mod node;
pub(crate) mod proxy;
pub(crate) mod read;
pub(crate) mod replay;
pub(crate) mod stream;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aggregates::people::Role;
use proof_concierge::accounts::devices::{DeviceKind, Devices};
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::config::{Config, Secret};
use proof_concierge::database::{self, Purpose};
use proof_concierge::dev::servers::{BUFFERS_MB, NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};
use proof_concierge::log::Log;
use proof_concierge::migrate;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::task::block_in_place;

use self::node::{Node, Settings};
use crate::support::eventually::eventually;

/// How long anything may take before it counts as never. Generous: the machine may be busy with other tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// How long a node may take to answer a question that it answers from memory.
const PATIENCE: Duration = Duration::from_secs(10);

const DATABASE: &str = "desk";
const PREFIX: &str = "world";
const PASSWORD: &str = "a password that only worlds use";
const JWT_SECRET: &str = "a secret that only worlds use, 32 bytes";

/// How a world is made.
pub(crate) struct Plan {
    /// Does not exist yet; everything goes below it.
    pub(crate) directory: PathBuf,
    /// How many nodes run.
    pub(crate) nodes: usize,
    /// How many nats-servers keep the stream together.
    pub(crate) nats: usize,
    /// Settings of the service, by the names of its environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// Servers, nodes and people.
pub(crate) struct World {
    /// The nodes.
    pub(crate) nodes: Vec<Node>,
    /// The database server, to be killed and restarted.
    pub(crate) postgres: PrivatePostgres,
    /// The nats-servers, to be killed, wiped and restarted. The cables of nodes lead to the first.
    pub(crate) nats: Vec<PrivateNats>,
    /// What a node that is led past the proxies would be configured with.
    pub(crate) config: Config,
    /// Connections to the database past every proxy, as superuser.
    pub(crate) pool: PgPool,
    /// Whether somebody took facts out of the stream in NATS: the judge then only insists that what is left there are facts
    /// of the log in its order, and that its last one is among them.
    pub(crate) is_stream_torn: bool,
    desk: Desk,
}

/// What clients know of a world. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Where nodes are, without a slash at the end.
    pub(crate) doors: Arc<[String]>,
    /// The token of a staff member.
    pub(crate) ada: Arc<str>,
    /// The token of another, and their id.
    pub(crate) ben: (Arc<str>, i64),
}

impl Plan {
    /// One node with everything.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, nodes: 1, nats: 1, environment: Vec::new() }
    }

    /// So many nodes.
    pub(crate) fn nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// So many nats-servers.
    pub(crate) fn nats(self, nats: usize) -> Self {
        Self { nats, ..self }
    }

    /// One more setting.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }
}

impl World {
    /// Starts servers and nodes, and waits until all of them are ready.
    pub(crate) async fn start(plan: Plan) -> Self {
        let mut world = Self::prepare(plan).await;
        for node in &mut world.nodes {
            node.start();
        }
        world.ready().await;
        world
    }

    /// Starts the servers and makes the people; no node runs yet.
    pub(crate) async fn prepare(plan: Plan) -> Self {
        let postgres = PostgresOptions {
            data_dir: plan.directory.join("postgres"),
            durable: false,
            port: None,
            buffers_mb: BUFFERS_MB,
        };
        let (postgres, nats) = block_in_place(|| {
            std::fs::create_dir_all(&plan.directory).unwrap();
            (PrivatePostgres::start(&postgres).unwrap(), nats_servers(plan.directory.join("nats"), plan.nats))
        });
        let nats_url = nats.iter().map(PrivateNats::url).collect::<Vec<_>>().join(",");
        let config = Config {
            database_url: Secret::new(postgres.url(DATABASE)),
            nats_url: Secret::new(nats_url),
            nats_prefix: PREFIX.to_owned(),
            nats_replicas: u8::try_from(plan.nats).unwrap(),
            jwt_secret: Secret::new(JWT_SECRET),
            master_key: Secret::new("0123456789abcdef".repeat(4)),
            ..Config::default()
        };
        let mut server = PgConnection::connect(&postgres.url("postgres")).await.unwrap();
        server.execute(format!("create database {DATABASE}").as_str()).await.unwrap();
        server.close().await.unwrap();
        migrate::run(config.database_url.expose()).await.unwrap();
        let settings = settings(&config, plan.environment);
        let mut nodes = Vec::new();
        for number in 0..plan.nodes {
            nodes.push(Node::prepare(&settings, plan.directory.join(format!("node-{number}.log"))).await);
        }
        let desk = people(&config, nodes.iter().map(Node::base_url).collect()).await;
        let pool = PgPool::connect_lazy(config.database_url.expose()).unwrap();
        Self { nodes, postgres, nats, config, pool, is_stream_torn: false, desk }
    }

    /// What clients know.
    pub(crate) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// The log past every proxy, as somebody opens it who has no connection yet that may have broken meanwhile.
    pub(crate) fn open_log(&self) -> Log {
        Log::open_database(&self.config).unwrap()
    }

    /// Waits until every node that runs says that it is ready.
    pub(crate) async fn ready(&self) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            eventually(LIMIT, async || health(node).await.0, |status| *status == Some(200)).await;
        }
    }

    /// The number of the node that holds the lock of a duty: `relay`, `projector` or `planner`.
    pub(crate) async fn holder_of(&self, duty: &str) -> usize {
        self.holder_among(duty, &(0..self.nodes.len()).collect::<Vec<_>>()).await
    }

    /// The same, with nobody asked but these: others may not answer.
    pub(crate) async fn holder_among(&self, duty: &str, nodes: &[usize]) -> usize {
        let held = format!("lease_held{{duty=\"{duty}\"}}");
        let holds = async || {
            for number in nodes.iter().copied().filter(|number| self.nodes[*number].runs()) {
                if metric(&self.nodes[number], &held).await > 0.0 {
                    return Some(number);
                }
            }
            None
        };
        eventually(LIMIT, holds, Option::is_some).await.expect("somebody holds it")
    }

    /// Kills PostgreSQL with everything that was under way, and starts it again on what is on its disk.
    pub(crate) fn crash_postgres(&mut self) {
        block_in_place(|| {
            self.postgres.kill();
            self.postgres.restart().unwrap();
        });
    }

    /// Has clients that begin from now on call the nodes themselves: one that does not run refuses them, as a proxy never does.
    pub(crate) fn open_doors(&mut self) {
        self.desk.doors = self.nodes.iter().map(Node::direct_url).collect();
    }

    /// Kills the first nats-server and starts it again on what is on its disk.
    pub(crate) fn crash_nats(&mut self) {
        block_in_place(|| {
            self.nats[0].kill();
            self.nats[0].restart().unwrap();
        });
    }

    /// Stops the first nats-server, deletes all it holds, and starts it again.
    pub(crate) fn wipe_nats(&mut self) {
        block_in_place(|| self.nats[0].wipe().unwrap());
    }

    /// Has `concierge` do something beside the nodes, past every proxy; what it said and whether it went well.
    pub(crate) fn concierge(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_concierge"));
        command
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", self.config.database_url.expose())
            .env("NATS_URL", self.config.nats_url.expose())
            .envs(settings(&self.config, Vec::new()).environment);
        let output = block_in_place(|| command.output().unwrap());
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

/// Asks a node, through its door, anew each time: a connection that broke meanwhile is nothing to learn from. Nothing if there
/// is no answer, or none in time.
pub(crate) async fn ask(node: &Node, path: &str) -> Option<(u16, String)> {
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = http.get(format!("{}{path}", node.base_url())).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// What a node answers at `/health/ready`: status, if there is an answer at all, and body.
pub(crate) async fn health(node: &Node) -> (Option<u16>, Value) {
    match ask(node, "/health/ready").await {
        Some((status, text)) => (Some(status), serde_json::from_str(&text).unwrap_or(Value::Null)),
        None => (None, Value::Null),
    }
}

/// A nats-server other than the installed one: the program in `NATS_SERVER`, if that is set.
pub(crate) fn nats_program() -> Option<PathBuf> {
    std::env::var_os("NATS_SERVER").filter(|program| !program.is_empty()).map(PathBuf::from)
}

/// One of the numbers that a node shows at `/metrics`; 0 if it does not show it, or nothing at all.
pub(crate) async fn metric(node: &Node, name: &str) -> f64 {
    let (_, text) = ask(node, "/metrics").await.unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_default()
}

/// One server, or a cluster.
fn nats_servers(data_dir: PathBuf, count: usize) -> Vec<PrivateNats> {
    let program = nats_program();
    if count == 1 {
        return vec![PrivateNats::start(&NatsOptions { data_dir, port: None, program }).unwrap()];
    }
    PrivateNats::start_cluster(&data_dir, count, program.as_deref()).unwrap()
}

fn settings(config: &Config, more: Vec<(String, String)>) -> Settings {
    let (database_url, nats_url) = (config.database_url.expose().to_owned(), config.nats_url.expose().to_owned());
    let address = |url: &str| url.split(['@', '/', ',']).find_map(|part| part.parse().ok()).unwrap();
    let replicas = config.nats_replicas.to_string();
    let own = [
        ("CONCIERGE_NATS_REPLICAS", replicas.as_str()),
        // Nobody asks a node of a world whether it is ready before they ask for more.
        ("CONCIERGE_DRAIN_SECONDS", "0"),
        ("JWT_SECRET", config.jwt_secret.expose()),
        ("CONCIERGE_MASTER_KEY", config.master_key.expose()),
        ("CONCIERGE_NATS_PREFIX", PREFIX),
        ("CONCIERGE_LIMITS__LOGIN_PER_MINUTE", "0"),
        ("CONCIERGE_LIMITS__OPEN_PER_MINUTE", "0"),
        ("CONCIERGE_LIMITS__DONOR_PER_MINUTE", "0"),
        // Whoever comes back is to be told everything: being told to read again would hide what was missed.
        ("CONCIERGE_REPLAY_LIMIT", "10000000"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings {
        database: address(&database_url),
        nats: address(&nats_url),
        database_url,
        nats_url,
        environment: own.into_iter().chain(more).collect(),
    }
}

/// Ada, who has a device and a mailbox, and Ben, who has neither; and their tokens.
async fn people(config: &Config, doors: Vec<String>) -> Desk {
    let pool = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
    let accounts = Accounts::open(pool.clone(), &config.jwt_secret).await.unwrap();
    seed(&accounts, &[("ada", "Ada", Role::Admin, PASSWORD), ("ben", "Ben", Role::SuperAdmin, PASSWORD)])
        .await
        .unwrap();
    sqlx::query("update users set email = 'ada@example.org' where username = 'ada'").execute(&pool).await.unwrap();
    let (ada, ada_token) = accounts.log_in("ada", PASSWORD).await.unwrap();
    let (ben, ben_token) = accounts.log_in("ben", PASSWORD).await.unwrap();
    Devices::new(pool.clone()).register_staff(ada.id, DeviceKind::Token, "ada-0123456789-0123456789").await.unwrap();
    pool.close().await;
    Desk { doors: doors.into(), ada: ada_token.into(), ben: (ben_token.into(), ben.id.get()) }
}

/// The body of a query that a donor opens.
fn query_of(donor: &str) -> Value {
    json!({
        "donor": "Dora Donor", "donorId": donor, "test": "Blood pressure", "stage": "Second reading",
        "device": "Cuff 3", "content": format!("first words of {donor}"),
    })
}
