//! How fast read models are rebuilt from the log: beside the live copy, swapped at the end.

use std::time::Instant;

use projections::Projection;
use proof_concierge::config::Config;
use proof_concierge::log::Log;
use proof_concierge::projector::rebuild::rebuild;

use crate::Effort;
use crate::desk::Servers;
use crate::facts::Grown;
use crate::measure::on_all_threads;
use crate::report::Report;

/// How many queries there are at most: beyond that the rate stays the same.
const QUERIES: usize = 50_000;

/// A database full of facts that no service watches.
pub(crate) struct Rebuilding {
    config: Config,
}

impl Rebuilding {
    pub(crate) fn prepare(servers: &Servers, effort: &Effort) -> Self {
        let (config, _) = servers.unwatched("rebuild");
        on_all_threads(async {
            let log = Log::open_database(&config).unwrap();
            Grown::default().grow_to(&log, effort.queries.min(QUERIES)).await;
            log.close().await;
        });
        Self { config }
    }

    pub(crate) fn run(&self, report: &mut Report) {
        let mut slowest = f64::INFINITY;
        for &projection in Projection::ALL {
            let rate = on_all_threads(async {
                let log = Log::open_database(&self.config).unwrap();
                let begin = Instant::now();
                let reached = rebuild(&log, &self.config.database_url, projection, |_, _| {}).await.unwrap();
                let rate = reached.0 as f64 / begin.elapsed().as_secs_f64();
                log.close().await;
                rate
            });
            report.rate("rebuild", projection.name(), 0, rate);
            slowest = slowest.min(rate);
        }
        report.rate("rebuild", "slowest read model", 0, slowest);
    }
}
