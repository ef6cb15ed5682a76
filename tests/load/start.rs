//! How soon a service is ready on a migrated database, and what it holds while nobody asks anything.

use std::time::Duration;

use crate::desk::Desk;
use crate::report::Report;

/// How often the service is started per run.
const STARTS: usize = 5;
/// How long it is left alone before memory is looked at.
const IDLE: Duration = Duration::from_secs(3);

pub(crate) fn run(desk: &mut Desk, report: &mut Report) {
    for _ in 0..STARTS {
        desk.kill();
        report.note("start", "until ready", 0, "ms", desk.start().as_secs_f64() * 1_000.0);
    }
    std::thread::sleep(IDLE);
    report.note("start", "idle memory", 0, "megabytes", desk.resident_megabytes());
}
