//! The promises under fire for as long as one likes: `cargo bench --bench torture -- --minutes 60 --seed 7`.
//!
//! Draws faults from a seed, a round of a few at a time, with people at work and listening all the while; after each round
//! the judge of `tests/world` looks at everything. The first violation ends it with status 1. The same seed draws the same
//! faults, but no two runs meet them at the same moment.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test is where time, ids and panics come from")]
#![allow(clippy::print_stdout, reason = "this is a program for people at a terminal")]
#![allow(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod faults;
mod support;
#[allow(dead_code, reason = "some of it is for tests of one fault")]
#[path = "../world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::faults::Fault;
use self::world::judge::{Verdict, judge};
use self::world::listen::Listeners;
use self::world::load::{Load, send_again_and_again};
use self::world::{Plan, World};

/// How old a world may become.
const MOST_FACTS: i64 = 100_000;

/// After at most how many facts a listener tears its connection, in a young world.
const FEWEST_FACTS: usize = 20;

/// How often a listener tears its connection, about twice this in an old world.
const MOST_CUTS: usize = 400;

/// How long, with which faults.
#[derive(Parser)]
struct Options {
    /// How long to go on; a round that was begun is finished.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// Which faults; drawn and printed if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many nodes run.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How many clients work.
    #[arg(long, default_value_t = 12)]
    clients: usize,
    /// How many faults come between two looks of the judge.
    #[arg(long, default_value_t = 5)]
    faults: usize,
    /// Where worlds are made and, after a violation, left; a new directory among the system's temporary ones if not given.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(options))
}

async fn run(options: Options) -> ExitCode {
    let seed = options.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let base = options
        .directory
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("concierge-torture-{}", std::process::id())));
    println!("seed {seed}, {} minutes, worlds in {}", options.minutes, base.display());
    let (mut random, mut faults) = (StdRng::seed_from_u64(seed), 0);
    let end = Instant::now() + Duration::from_secs(60 * options.minutes);
    while Instant::now() < end {
        let directory = base.join(format!("after-{faults}-faults"));
        let mut world = World::start(Plan::new(directory.clone()).nodes(options.nodes)).await;
        let tortured = torture(&mut world, &options, &mut random, end).await;
        drop(world);
        match tortured {
            Ok(more) => faults += more,
            Err(findings) => {
                println!("\nVIOLATED, seed {seed}:\n{findings}\n\nthe world is left in {}", directory.display());
                return ExitCode::FAILURE;
            }
        }
        // What stays is in nobody's way.
        drop(std::fs::remove_dir_all(directory));
    }
    println!("{faults} faults, no violation");
    ExitCode::SUCCESS
}

/// Goes on until the end, or until the world is so old that looking at all of it takes long; how many faults there were.
async fn torture(world: &mut World, options: &Options, random: &mut StdRng, end: Instant) -> Result<usize, String> {
    println!("10000 sends under 500 keys");
    send_again_and_again(world, 500, 20).await?;
    let (mut faults, mut known) = (0, 0);
    loop {
        let load = Load::start(world, options.clients, random.random());
        // Whoever hears everything from the first fact on has to get through what an old world has.
        let cuts = random.random_bool(0.5).then_some(FEWEST_FACTS.max(known / MOST_CUTS));
        let listeners = Listeners::start(world, 4, cuts).and_donors(world, &load, 4, cuts);
        for _ in 0..options.faults {
            load.answered(random.random_range(10..200)).await;
            let fault = Fault::draw(random);
            println!("{fault:?}");
            fault.strike(world, &load, random).await;
            faults += 1;
        }
        load.answered(2 * options.clients).await;
        let Verdict { facts, acknowledged, repeated, deliveries, connections } = judge(world, load, listeners).await?;
        println!(
            "judged: {facts} facts; since the last time {acknowledged} commands acknowledged, {repeated} of them repeated, \
             {connections} connections of listeners; {deliveries} deliveries"
        );
        known = usize::try_from(facts).unwrap();
        if facts > MOST_FACTS || Instant::now() > end {
            return Ok(faults);
        }
    }
}
