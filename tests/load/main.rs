//! The load generator: `cargo bench --bench load`.
//!
//! It starts a private PostgreSQL (durable), a nats-server and one `concierge serve`, then measures what the README quotes.
//! Arguments after `--`: names of scenarios to run (all if none), `--seconds N` per measurement, `--quick` for a short run
//! that shows that everything works. Figures are only comparable within one run: the machine's own limits are measured
//! beside them.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark is a test: it reads clocks and panics")]
#![allow(clippy::cast_precision_loss, reason = "figures are rounded for people")]

mod append;
mod client;
mod desk;
mod feed;
mod growth;
mod measure;
mod projectors;
mod rebuild;
mod requests;

use std::time::Duration;

use desk::Desk;

/// How much to do.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// How long each measurement runs.
    pub(crate) time: Duration,
    /// How many clients at once.
    pub(crate) clients: Vec<usize>,
    /// How many listeners on the feed.
    pub(crate) listeners: Vec<usize>,
    /// How many queries the small and the large desk have.
    pub(crate) queries: (i64, i64),
    /// How many messages the long conversation has.
    pub(crate) messages: i64,
    /// Which scenarios; all if empty.
    pub(crate) only: Vec<String>,
}

impl Effort {
    fn of_arguments() -> Self {
        let mut effort = Self {
            time: Duration::from_secs(5),
            clients: vec![1, 16, 64],
            listeners: vec![1, 100, 1_000],
            queries: (1_000, 200_000),
            messages: 10_000,
            only: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo's own flag for benchmarks.
                "--bench" => {}
                "--quick" => effort = Self { only: effort.only, ..Self::quick() },
                "--seconds" => {
                    let seconds = arguments.next().and_then(|n| n.parse().ok()).expect("--seconds takes a number");
                    effort.time = Duration::from_secs(seconds);
                }
                name => effort.only.push(name.to_owned()),
            }
        }
        effort
    }

    fn quick() -> Self {
        Self {
            time: Duration::from_millis(500),
            clients: vec![1, 8],
            listeners: vec![1, 20],
            queries: (100, 2_000),
            messages: 300,
            only: Vec::new(),
        }
    }

    fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }
}

fn main() {
    let effort = Effort::of_arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&effort));
}

async fn run(effort: &Effort) {
    let desk = Desk::start().await;
    println!("{}\n", Desk::machine());
    if effort.wants("memory") {
        desk.idle_memory().await;
    }
    if effort.wants("append") {
        append::run(&desk, effort).await;
    }
    if effort.wants("requests") {
        requests::run(&desk, effort).await;
    }
    if effort.wants("feed") {
        feed::run(&desk, effort).await;
    }
    if effort.wants("growth") {
        growth::messages(&desk, effort).await;
        growth::lists(&desk, effort).await;
    }
    if effort.wants("rebuild") {
        rebuild::run(&desk, effort).await;
    }
    if effort.wants("projectors") {
        projectors::run(&desk, effort).await;
    }
    desk.stop();
}
