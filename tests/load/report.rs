//! What was measured, over all runs: medians with their spread, ratios to the machine's own limits, and the targets.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::machine::Machine;
use crate::measure::Timings;

/// What the desk promises on a machine with two cores that holds everything, the load generator included.
const TARGETS: &[Target] = &[
    target("requests", "message", 64, "per_second", Bound::AtLeast(1_500.0)),
    target("requests", "message", 64, "p99_ms", Bound::AtMost(120.0)),
    target("requests", "open", 64, "per_second", Bound::AtLeast(2_000.0)),
    target("requests", "open, respond-async", 64, "per_second", Bound::AtLeast(4_000.0)),
    target("requests", "open + accept + resolve", 64, "per_second", Bound::AtLeast(600.0)),
    target("requests", "get", 64, "per_second", Bound::AtLeast(8_000.0)),
    target("requests", "get", 64, "p99_ms", Bound::AtMost(30.0)),
    target("requests", "list of ten", 64, "per_second", Bound::AtLeast(4_000.0)),
    target("growth", "list in-progress", 1_000_000, "p95_ms", Bound::AtMost(20.0)),
    target("growth", "list general", 1_000_000, "p95_ms", Bound::AtMost(20.0)),
    target("growth", "worst beside 1000 queries", 1_000_000, "ratio", Bound::AtMost(1.3)),
    target("feed", "frame", 1_000, "p50_ms", Bound::AtMost(4.0)),
    target("feed", "frame", 1_000, "p99_ms", Bound::AtMost(15.0)),
    target("socketio", "idle listeners", 10_000, "megabytes", Bound::AtMost(350.0)),
    target("rebuild", "slowest read model", 0, "per_second", Bound::AtLeast(50_000.0)),
    target("start", "until ready", 0, "ms", Bound::AtMost(300.0)),
    target("start", "idle memory", 0, "megabytes", Bound::AtMost(50.0)),
];

/// What is divided by what, wherever both were measured at the same size.
const RATIOS: &[(&str, Which, Which)] = &[
    ("open / plain insert", ("requests", "open", "per_second"), ("limits", "plain insert", "per_second")),
    (
        "async open / plain insert",
        ("requests", "open, respond-async", "per_second"),
        ("limits", "plain insert", "per_second"),
    ),
    ("message / plain insert", ("requests", "message", "per_second"), ("limits", "plain insert", "per_second")),
    ("message / NATS publish", ("requests", "message", "per_second"), ("limits", "NATS publish", "per_second")),
    ("get / bare route", ("requests", "get", "per_second"), ("limits", "bare route, get", "per_second")),
    ("list / bare route", ("requests", "list of ten", "per_second"), ("limits", "bare route, list", "per_second")),
    ("append / plain insert", ("append", "append", "per_second"), ("append", "plain insert", "per_second")),
    ("frame / plain sockets", ("feed", "frame", "p50_ms"), ("feed", "plain sockets", "p50_ms")),
];

/// Part, subject and measure of a figure.
type Which = (&'static str, &'static str, &'static str);

struct Target {
    which: Which,
    size: usize,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const fn target(part: &'static str, what: &'static str, size: usize, measure: &'static str, bound: Bound) -> Target {
    Target { which: (part, what, measure), size, bound }
}

/// One figure of every run. `size` is the number of clients, listeners, sockets or queries; 0 where there is none.
#[derive(Debug, Serialize)]
struct Figure {
    part: &'static str,
    what: String,
    size: usize,
    measure: &'static str,
    runs: Vec<f64>,
    median: f64,
    min: f64,
    max: f64,
}

/// Everything measured so far, in the order in which it was measured first.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Notes one run's value.
    pub(crate) fn note(&mut self, part: &'static str, what: &str, size: usize, measure: &'static str, value: f64) {
        let same = |figure: &&mut Figure| {
            (figure.part, figure.what.as_str(), figure.size, figure.measure) == (part, what, size, measure)
        };
        if let Some(figure) = self.figures.iter_mut().find(same) {
            figure.runs.push(value);
            let mut sorted = figure.runs.clone();
            sorted.sort_by(f64::total_cmp);
            (figure.min, figure.max) = (sorted[0], sorted[sorted.len() - 1]);
            figure.median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            return;
        }
        let (median, min, max) = (value, value, value);
        self.figures.push(Figure { part, what: what.to_owned(), size, measure, runs: vec![value], median, min, max });
    }

    /// Notes one run's rate and prints it.
    pub(crate) fn rate(&mut self, part: &'static str, what: &str, size: usize, per_second: f64) {
        self.note(part, what, size, "per_second", per_second);
        println!("{part:<9} {what:<30} {size:>8}   per_second {per_second:.2}");
    }

    /// Notes a rate, latencies and failures, and prints them while the rest is still running.
    pub(crate) fn timings(&mut self, part: &'static str, what: &str, size: usize, timings: &Timings) {
        let values = [
            ("per_second", timings.per_second()),
            ("p50_ms", timings.milliseconds(0.50)),
            ("p95_ms", timings.milliseconds(0.95)),
            ("p99_ms", timings.milliseconds(0.99)),
            ("failed", timings.failures() as f64),
        ];
        let mut line = format!("{part:<9} {what:<30} {size:>8}");
        for (measure, value) in values {
            self.note(part, what, size, measure, value);
            write!(line, "   {measure} {value:.2}").expect("a string takes all");
        }
        println!("{line}");
    }

    /// The median over the runs so far.
    pub(crate) fn median(&self, (part, what, measure): (&str, &str, &str), size: usize) -> Option<f64> {
        let wanted = |figure: &&Figure| {
            (figure.part, figure.what.as_str(), figure.measure, figure.size) == (part, what, measure, size)
        };
        self.figures.iter().find(wanted).map(|figure| figure.median)
    }

    /// Prints the tables, and writes them as JSON if there is a file to write to.
    pub(crate) fn finish(mut self, machine: &Machine, json: Option<&Path>) {
        self.add_ratios();
        println!("\n{machine}\n");
        self.print();
        let targets = self.targets();
        println!("\ntargets");
        for (says, median, met) in &targets {
            println!("  {:<6} {:>10}   {says}", if *met { "met" } else { "MISSED" }, digits(*median));
        }
        if let Some(path) = json {
            let targets: Vec<_> = targets
                .iter()
                .map(|(says, median, met)| json!({ "target": says, "median": median, "met": met }))
                .collect();
            let arguments: Vec<String> = std::env::args().skip(1).collect();
            let all =
                json!({ "arguments": arguments, "machine": machine, "figures": self.figures, "targets": targets });
            std::fs::write(path, format!("{all:#}\n")).unwrap();
        }
    }

    /// A line for everything that was measured at one size: each median, and from where to where the runs went.
    fn print(&self) {
        println!("{:<9} {:<40} {:>8}   medians (min .. max of the runs)", "part", "what", "size");
        let same =
            |one: &Figure, other: &Figure| (one.part, &one.what, one.size) == (other.part, &other.what, other.size);
        for figures in self.figures.chunk_by(same) {
            let Figure { part, what, size, .. } = &figures[0];
            let mut line = format!("{part:<9} {what:<40} {size:>8}");
            for Figure { measure, runs, median, min, max, .. } in figures.iter().filter(|figure| figure.max > 0.0) {
                write!(line, "   {measure} {}", digits(*median)).expect("a string takes all");
                if runs.len() > 1 {
                    write!(line, " ({} .. {})", digits(*min), digits(*max)).expect("a string takes all");
                }
            }
            println!("{line}");
        }
    }

    fn add_ratios(&mut self) {
        for (name, above, below) in RATIOS {
            let mut sizes: Vec<usize> = self.figures.iter().map(|figure| figure.size).collect();
            sizes.sort_unstable();
            sizes.dedup();
            for size in sizes {
                let below = self.median(*below, size);
                if let (Some(above), Some(below)) = (self.median(*above, size), below) {
                    self.note("ratio", name, size, "ratio", above / below);
                }
            }
        }
    }

    /// What each target that was measured says, the median, and whether it is met.
    fn targets(&self) -> Vec<(String, f64, bool)> {
        let measured = TARGETS.iter().filter_map(|Target { which, size, bound }| {
            let median = self.median(*which, *size)?;
            let (met, words) = match bound {
                Bound::AtLeast(bound) => (median >= *bound, format!("at least {bound}")),
                Bound::AtMost(bound) => (median <= *bound, format!("at most {bound}")),
            };
            let (part, what, measure) = which;
            let size = if *size == 0 { String::new() } else { format!(" at {size}") };
            Some((format!("{part}: {what}{size}, {measure} {words}"), median, met))
        });
        measured.collect()
    }
}

/// A number with as many digits as somebody reads.
fn digits(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
