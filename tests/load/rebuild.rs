//! How fast read models are rebuilt from the log.

use std::time::Instant;

use projections::Projection;
use proof_concierge::log::Log;
use proof_concierge::projector::rebuild::rebuild;

use crate::Effort;
use crate::desk::Desk;

pub(crate) async fn run(desk: &Desk, effort: &Effort) {
    println!("rebuild (beside the live copy, swapped at the end)");
    let log = Log::open_database(&desk.config).unwrap();
    crate::growth::grow_to(desk, &log, effort.queries.1).await;
    for &projection in Projection::ALL {
        let begin = Instant::now();
        let reached = rebuild(&log, &desk.config.database_url, projection, |_, _| {}).await.unwrap();
        let rate = reached.0 as f64 / begin.elapsed().as_secs_f64();
        println!("  {:<12} {:>9} events {rate:>9.0}/s", projection.name(), reached.0);
    }
    log.close().await;
    println!();
}
