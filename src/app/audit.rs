//! `concierge audit`: does every fact still say what it said when it was recorded?

use aggregates::recorded::Position;
use anyhow::{Context, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::say;
use crate::config::Config;
use crate::log::Log;

/// How many facts are read at a time.
const PAGE: i64 = 5_000;

/// What to prove.
#[derive(Subcommand)]
pub enum Command {
    /// Recomputes the digest of every fact and looks for holes.
    Verify,
}

/// Carries out a command.
pub async fn carry_out(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Verify => verify(config).await,
    }
}

async fn verify(config: &Config) -> anyhow::Result<()> {
    let log = Log::open_database(config)?;
    let head = log.head().await.context("cannot read the log")?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {per_sec}, {eta} left")?;
    let bar = ProgressBar::new(u64::try_from(head.0)?).with_style(style);
    let mut last = Position::START;
    loop {
        let page = log.read_sealed(last, PAGE).await.context("cannot read the log")?;
        let Some(end) = page.last().map(|sealed| sealed.event.position) else { break };
        for (sealed, expected) in page.iter().zip(last.0 + 1..) {
            let position = sealed.event.position;
            if position.0 != expected {
                bail!("the fact at position {expected} is missing");
            }
            if !Log::verifies(&sealed.event, &sealed.digest) {
                bail!("the fact at position {position} does not match its digest");
            }
        }
        last = end;
        bar.set_position(u64::try_from(last.0)?);
    }
    bar.finish_and_clear();
    say(&format!("{} events, no hole, every digest matches", last.0))
}
