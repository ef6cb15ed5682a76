//! The composition root: connects everything, starts every task, and takes them down in order.

pub mod accounts;
pub mod audit;
pub mod doctor;
pub mod healthcheck;
pub mod import;
mod outside;
pub mod projections;
pub mod serve;
mod waiting;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::serve::Bounds;
use crate::accounts::Accounts;
use crate::activity::{self, Activity};
use crate::bus::{Bus, Seal};
use crate::config::Config;
use crate::database::{self, Purpose, Serving};
use crate::dispatch::Dispatcher;
use crate::http::health::{Condition, Probe};
use crate::http::limits::Limits;
use crate::http::{self, Api, Lookups};
use crate::integrations::Outbox;
use crate::log::Log;
use crate::projector::{Freshness, Projector};
use crate::push::{self, Push, PushSettings, SeatLimits, Sources};
use crate::{relay, telemetry};

/// How long requests in flight may take once the node stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How many lanes the projector applies facts on.
const LANES: u16 = 1;

/// A running node.
pub struct App {
    address: SocketAddr,
    accounts: Accounts,
    log: Log,
    leaving: CancellationToken,
    stages: Vec<Stage>,
}

/// Tasks that stop together.
struct Stage {
    name: &'static str,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    fn new(name: &'static str) -> Self {
        Self { name, stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            warn!("The {} did not stop within {DRAIN:?}", self.name);
        }
    }
}

impl App {
    /// Starts a node: waits for the database, brings its schema up to date, starts what its roles ask for, and serves.
    /// NATS is not waited for: without it facts are only slower to show. What is measured before there is a recorder would be
    /// lost, so that comes first.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let (started, metrics) = (Instant::now(), telemetry::metrics()?);
        config.check()?;
        let (listener, address) = listen(config.listen).await?;
        let config = Config { listen: address, ..config };
        let log = Log::open_database(&config)?;
        let bus = Bus::connect(&config.nats_url, &config.nats_prefix, Seal::new(&config.master_key_bytes()?)).await?;
        let bus = bus.replicated(config.nats_replicas);
        let Serving { reads, look_ups, made } = Serving::new(&config)?;
        let mut probes = vec![nats_probe(bus.clone())];
        let accounts = waiting::for_database(&config, &log, &reads, &listener, probes.clone()).await?;
        let freshness = Freshness::of_reads(log.clone(), reads.clone(), made);

        let (distribution, reading, serving) = (Stage::new("relay"), Stage::new("projector"), Stage::new("server"));
        start_distribution(&config, &distribution, &log, &bus)?;
        start_reading(&config, &reading, &log, &bus, &freshness)?;
        reading.tasks.spawn(accounts.clone().follow(reading.stop.clone()));
        let config = Arc::new(config);
        let sources = Sources {
            log: log.clone(),
            bus: bus.clone(),
            freshness: freshness.clone(),
            accounts: accounts.clone(),
            reads: reads.clone(),
        };
        let push = Push::start(sources, feed_settings(&config), &serving.tasks, &serving.stop);
        let dispatcher = Dispatcher::new(log.clone());
        let carrier = outside::carrier(&config, &log, &reads, &freshness, &accounts)?;
        let (devices, rooms) = (carrier.devices.clone(), carrier.rooms.clone());
        let reacting = Stage::new("reactions");
        let deliveries = outside::start(&config, &reacting, &mut probes, &carrier, bus, dispatcher.clone())?;
        let (recorder, noted) = activity::recorder();
        reading.tasks.spawn(activity::keep(reads.clone(), noted, reading.stop.clone()));
        let leaving = CancellationToken::new();
        let api = Api {
            dispatcher,
            log: log.clone(),
            freshness,
            accounts: accounts.clone(),
            devices,
            activity: Activity::new(reads.clone()),
            recorder,
            rooms,
            deliveries,
            outbox: Outbox::new(reads.clone()),
            lookups: Lookups::start(&look_ups, &reads, &accounts, &reading.tasks, &reading.stop),
            reads,
            limits: Limits::new(config.limits),
            probes,
            metrics,
            started,
            leaving: leaving.clone(),
            config,
        };
        let bounds = Bounds::new(&api.config);
        let router = http::router(Arc::new(api), push::router(push), push::openapi());
        serving.tasks.spawn(serve::run(listener, router, bounds, serving.stop.clone()));
        info!("Serving on {address}");
        Ok(Self { address, accounts, log, leaving, stages: vec![serving, reacting, reading, distribution] })
    }

    /// Where it serves.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The staff accounts of this node, whose changes bite at once.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Goes on as before, but says that it is not ready and asks clients, with their answers, to connect elsewhere. After a
    /// while nobody comes any more, and [`Self::stop`] is not noticed.
    pub async fn drain(&self, patience: Duration) {
        info!("Draining for {patience:?}");
        self.leaving.cancel();
        tokio::time::sleep(patience).await;
    }

    /// Finishes what is under way and stops, in the order of the data backwards: server, reactions, readers, relay, log.
    pub async fn stop(self) {
        self.leaving.cancel();
        for stage in self.stages {
            stage.end().await;
        }
        if tokio::time::timeout(DRAIN, self.log.close()).await.is_err() {
            warn!("The log did not close within {DRAIN:?}: commands under way end without an answer");
        }
    }

    /// Runs a node until it is asked to stop: by SIGTERM, and it drains before; or by Ctrl-C.
    pub async fn run_until_signal(config: Config) -> anyhow::Result<()> {
        let drain = config.drain();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let app = tokio::select! {
            started = Self::start(config) => started?,
            // Nobody is served yet, and what began can end anywhere, as in a crash.
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let drain = tokio::select! {
            _ = terminate.recv() => drain,
            // Somebody at a terminal waits for it.
            _ = interrupt.recv() => Duration::ZERO,
        };
        let stopped = async {
            app.drain(drain).await;
            info!("Stopping");
            app.stop().await;
        };
        tokio::select! {
            () = stopped => {}
            // A second request is impatience.
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

/// Takes the address; what it is, should any port have been asked for.
async fn listen(wanted: SocketAddr) -> anyhow::Result<(Arc<TcpListener>, SocketAddr)> {
    let listener = TcpListener::bind(wanted).await.with_context(|| format!("cannot listen on {wanted}"))?;
    let address = listener.local_addr()?;
    info!("Listening on {address}");
    Ok((Arc::new(listener), address))
}

fn feed_settings(config: &Config) -> PushSettings {
    PushSettings {
        replay_limit: config.replay_limit,
        trusted_proxies: config.trusted_proxies,
        donor_access: config.donor_access,
        seats: SeatLimits::default(),
    }
}

fn start_distribution(config: &Config, stage: &Stage, log: &Log, bus: &Bus) -> anyhow::Result<()> {
    let options = database::options(&config.database_url, Purpose::Read)?;
    if config.roles.relay {
        stage.tasks.spawn(relay::run(log.clone(), bus.clone(), options, stage.stop.clone()));
    }
    stage.tasks.spawn(relay::hint(log.clone(), bus.clone(), stage.stop.clone()));
    stage.tasks.spawn(forget_keys(log.clone(), stage.stop.clone()));
    stage.tasks.spawn(keep_metrics_small(telemetry::metrics()?, stage.stop.clone()));
    Ok(())
}

fn start_reading(config: &Config, stage: &Stage, log: &Log, bus: &Bus, freshness: &Freshness) -> anyhow::Result<()> {
    if config.roles.projector {
        let projector = Projector::new(log.clone(), bus.clone(), &config.database_url, freshness.clone(), LANES)?;
        stage.tasks.spawn(projector.run(stage.stop.clone()));
    }
    let (freshness, bus, stop) = (freshness.clone(), bus.clone(), stage.stop.clone());
    stage.tasks.spawn(async move { freshness.follow(&bus, &stop).await });
    Ok(())
}

/// Commands work without NATS, only slower to show, so its absence is a warning.
fn nats_probe(bus: Bus) -> Probe {
    let check = move || {
        if bus.is_up() { Condition::Up } else { Condition::Warning("not connected; facts wait in the log".to_owned()) }
    };
    Probe { name: "nats", check: Arc::new(check) }
}

/// Folds measured values into their buckets, which otherwise happens only when somebody asks for them.
async fn keep_metrics_small(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut turns = tokio::time::interval(Duration::from_secs(5));
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        metrics.run_upkeep();
    }
}

/// Forgets old idempotency keys every hour.
async fn forget_keys(log: Log, stop: CancellationToken) {
    let mut hours = tokio::time::interval(Duration::from_hours(1));
    while stop.run_until_cancelled(hours.tick()).await.is_some() {
        match log.forget_old_keys().await {
            Ok(count) => info!("Forgot {count} idempotency keys"),
            Err(error) => warn!(error = %error, "Old idempotency keys could not be forgotten"),
        }
    }
}

/// Writes one line for the person at the terminal.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
