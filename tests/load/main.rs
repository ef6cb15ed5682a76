//! The load generator: `cargo bench --bench load`.
//!
//! It starts a private PostgreSQL (durable), a nats-server and one `concierge serve`, then measures what the README quotes.
//! Arguments after `--`: names of parts to run (all if none), and
//!
//! - `--runs N`: how often everything is measured, in rounds, so that a slow minute hits all parts alike; medians count
//! - `--seconds N`: how long each measurement takes
//! - `--queries N`: how many queries the grown desk ends with (default 100,000; the promise is about 1,000,000)
//! - `--sockets N`: how many Socket.IO listeners
//! - `--buffers N`: what PostgreSQL keeps in memory, in megabytes (default: a quarter of the machine's, as it advises)
//! - `--json FILE`: where the figures go beside the table
//! - `--quick`: a short run that shows that everything works
//!
//! Figures are only comparable within one run: the machine's own limits are measured beside them. The generator is one
//! thread of a process of its own, and a second where it listens to the feed; it says what it took of the processors beside
//! what the others took.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark is a test: it reads clocks and panics")]
#![allow(clippy::cast_precision_loss, reason = "figures are rounded for people")]

mod append;
mod client;
mod desk;
mod ears;
mod facts;
mod feed;
mod growth;
mod limits;
mod machine;
mod measure;
mod projectors;
mod rebuild;
mod report;
mod requests;
mod socket;
mod socketio;
mod start;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use append::Appending;
use desk::Servers;
use limits::Limits;
use proof_concierge::dev::servers::BUFFERS_MB;
use rebuild::Rebuilding;
use report::Report;

/// The parts, in the order in which they run.
const PARTS: [&str; 9] =
    ["start", "limits", "requests", "feed", "socketio", "append", "rebuild", "projectors", "growth"];

/// How much to do.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// How often.
    pub(crate) runs: usize,
    /// How long each measurement runs.
    pub(crate) time: Duration,
    /// How many clients at once.
    pub(crate) clients: Vec<usize>,
    /// How many listeners on the feed.
    pub(crate) listeners: Vec<usize>,
    /// How many idle Socket.IO listeners.
    pub(crate) sockets: usize,
    /// How many queries the grown desk has in the end.
    pub(crate) queries: usize,
    /// How many messages the long conversation has.
    pub(crate) messages: usize,
    only: Vec<String>,
    /// What PostgreSQL keeps in memory.
    buffers_mb: u32,
    json: Option<PathBuf>,
}

impl Effort {
    fn of_arguments() -> Self {
        let mut effort = Self {
            runs: 3,
            time: Duration::from_secs(5),
            clients: vec![1, 16, 64],
            listeners: vec![1, 100, 1_000],
            sockets: 10_000,
            queries: 100_000,
            messages: 10_000,
            only: Vec::new(),
            buffers_mb: machine::quarter_of_memory_mb(),
            json: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo's own flag for benchmarks.
                "--bench" => {}
                "--quick" => effort = Self { only: effort.only, json: effort.json, ..Self::quick() },
                "--runs" => effort.runs = value(&argument, arguments.next()),
                "--seconds" => effort.time = Duration::from_secs(value(&argument, arguments.next())),
                "--queries" => effort.queries = value(&argument, arguments.next()),
                "--buffers" => effort.buffers_mb = value(&argument, arguments.next()),
                "--sockets" => effort.sockets = value(&argument, arguments.next()),
                "--json" => effort.json = Some(value(&argument, arguments.next())),
                part if PARTS.contains(&part) => effort.only.push(argument),
                other => panic!("{other}: the parts are {PARTS:?}"),
            }
        }
        effort
    }

    fn quick() -> Self {
        Self {
            runs: 2,
            time: Duration::from_millis(500),
            clients: vec![1, 8],
            listeners: vec![1, 20],
            sockets: 200,
            queries: 2_000,
            messages: 300,
            only: Vec::new(),
            buffers_mb: BUFFERS_MB,
            json: None,
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }
}

fn value<T: FromStr>(name: &str, given: Option<String>) -> T {
    given.and_then(|given| given.parse().ok()).unwrap_or_else(|| panic!("{name} takes a value"))
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some(limits::BARE) {
        return limits::serve_bare();
    }
    let effort = Effort::of_arguments();
    machine::raise_open_files();
    let servers = Servers::start(effort.buffers_mb);
    let machine = servers.machine();
    println!("{machine}\n");
    let mut report = Report::default();
    run(&servers, &effort, &mut report);
    report.finish(&machine, effort.json.as_deref());
}

fn run(servers: &Servers, effort: &Effort, report: &mut Report) {
    let mut desk = servers.desk("desk");
    let limits = Limits::prepare(servers);
    let appending = effort.wants("append").then(|| Appending::prepare(servers));
    let rebuilding = effort.wants("rebuild").then(|| Rebuilding::prepare(servers, effort));
    for run in 1..=effort.runs {
        println!("run {run} of {}", effort.runs);
        if effort.wants("start") {
            start::run(&mut desk, report);
        }
        if effort.wants("limits") {
            limits.run(&desk, effort, report);
        }
        if effort.wants("requests") {
            requests::run(&desk, effort, report);
        }
        if effort.wants("feed") {
            feed::run(&desk, &limits, effort, report);
        }
        if effort.wants("socketio") {
            socketio::run(&mut desk, effort, report);
        }
        if let Some(appending) = &appending {
            appending.run(effort, report);
        }
        if let Some(rebuilding) = &rebuilding {
            rebuilding.run(report);
        }
        if effort.wants("growth") {
            growth::conversation(&desk, effort, report);
        }
    }
    // Nothing of the other desks goes on beside what follows.
    drop((desk, limits, appending, rebuilding));
    if effort.wants("projectors") {
        projectors::run(servers, effort, report);
    }
    if effort.wants("growth") {
        growth::desks(servers, effort, report);
    }
}
