//! `concierge audit`: does every fact still say what it said when it was recorded?

use aggregates::recorded::Position;
use anyhow::{Context, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::say;
use crate::config::Config;
use crate::database::{self, Purpose};
use crate::log::Log;

/// How many facts are read at a time.
const PAGE: i64 = 5_000;

/// What to prove.
#[derive(Subcommand)]
pub enum Command {
    /// Recomputes the digest of every fact, looks for holes, and for an end that was cut off.
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
    let known = known(config).await.context("cannot read how far the readers are")?;
    if known > last {
        bail!("the log ends at position {last}, but readers have seen {known}: its end is gone");
    }
    say(&format!("{} events, no hole, every digest matches", last.0))
}

/// The last position that any reader of the log has applied.
async fn known(config: &Config) -> Result<Position, sqlx::Error> {
    let pool = database::pool(&config.database_url, Purpose::Read, 1)?;
    let last = "select greatest(
                    (select coalesce(max(position), 0) from projection_checkpoints),
                    (select coalesce(max(position), 0) from reaction_checkpoint)
                )";
    sqlx::query_scalar(last).fetch_one(&pool).await.map(Position)
}
