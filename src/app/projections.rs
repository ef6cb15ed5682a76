//! `concierge projections`: the read models' standing, and rebuilding them.

use aggregates::recorded::Position;
use anyhow::Context;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use projections::Projection;

use super::say;
use crate::config::Config;
use crate::database::{self, Purpose};
use crate::log::Log;
use crate::projector;
use crate::projector::rebuild::rebuild;

/// What to do with read models.
#[derive(Subcommand)]
pub enum Command {
    /// Lists every read model: how far it is, how far behind, and what stopped it.
    List,
    /// Fills a read model anew from the log, beside the live one, and swaps them. Can be interrupted and goes on.
    Rebuild {
        /// Which one.
        #[arg(value_parser = parse)]
        name: Projection,
    },
    /// Lets a read model that met an unreadable fact try again.
    Resume {
        /// Which one.
        #[arg(value_parser = parse)]
        name: Projection,
    },
}

fn parse(name: &str) -> Result<Projection, String> {
    let known = || Projection::ALL.iter().map(|projection| projection.name()).collect::<Vec<_>>().join(", ");
    Projection::parse(name).ok_or_else(|| format!("there are {}", known()))
}

/// Carries out a command.
pub async fn carry_out(command: Command, config: &Config) -> anyhow::Result<()> {
    let log = Log::open_database(config)?;
    let pool = database::pool(&config.database_url, Purpose::Project, 2)?;
    match command {
        Command::List => {
            say(&format!("{:<12} {:>10} {:>8}  stopped", "name", "position", "lag"))?;
            for standing in projector::standings(&log, &pool).await? {
                let stopped: Vec<_> = standing
                    .stopped
                    .iter()
                    .map(|letter| format!("partition {} at {}: {}", letter.partition.0, letter.position, letter.error))
                    .collect();
                let (name, position, lag) = (standing.projection.name(), standing.position, standing.lag);
                say(&format!("{name:<12} {:>10} {lag:>8}  {}", position.0, stopped.join("; ")))?;
            }
            Ok(())
        }
        Command::Rebuild { name } => {
            let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} events, {per_sec}, {eta} left")?;
            let bar = ProgressBar::new(0).with_style(style).with_message(name.name());
            let progress = |done: Position, total: Position| {
                bar.set_length(total.0.unsigned_abs());
                bar.set_position(done.0.unsigned_abs());
            };
            let reached = rebuild(&log, &config.database_url, name, progress).await.context("cannot rebuild")?;
            bar.finish_and_clear();
            say(&format!("{} is rebuilt up to position {reached}", name.name()))
        }
        Command::Resume { name } => {
            let count = projector::resume(&pool, name).await?;
            say(&format!("{} goes on in {count} partitions", name.name()))
        }
    }
}
