//! `concierge audit`: does every fact still say what it said when it was recorded? And is every one there, or archived, and
//! behind the one that it follows in its stream?
//!
//! A digest covers a fact, its stream and its place there, but neither its position nor when it was recorded, and it is made
//! without a key: mishaps are found, and whoever changed a fact without knowing of digests, not whoever makes them anew.

use aggregates::recorded::Position;
use anyhow::{Context, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;

use super::say;
use crate::config::Config;
use crate::database::{self, Purpose};
use crate::log::Log;

/// How many facts are read at a time.
const PAGE: i64 = 5_000;

/// What to prove.
#[derive(Subcommand)]
pub enum Command {
    /// Recomputes the digest of every fact, looks for holes, for facts that changed places, and for an end that was cut off.
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
    let pool = database::pool(&config.database_url, Purpose::Read, 1)?;
    let head = log.head().await.context("cannot read the log")?;
    // Before the facts: what is appended meanwhile is no loss.
    let known = known(&pool).await.context("cannot read how far the readers are")?;
    let mut archives = archives(&pool).await.context("cannot read what was archived")?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} events, {per_sec}, {eta} left")?;
    let bar = ProgressBar::new(u64::try_from(head.0)?).with_style(style);
    let (mut last, mut verified) = (Position::START, 0);
    loop {
        let page = log.read_sealed(last, PAGE).await.context("cannot read the log")?;
        let Some(end) = page.last().map(|sealed| sealed.event.position) else { break };
        if let Some(moved) = moved(&pool, last, end).await.context("cannot read the log")? {
            bail!("the fact at position {moved} comes before one that it follows");
        }
        for sealed in page {
            let position = sealed.event.position;
            if let Some(missing) = (last.0 + 1..position.0).find(|missing| !is_archived(&archives, *missing)) {
                bail!("the fact at position {missing} is missing");
            }
            if !Log::verifies(&sealed.event, &sealed.digest) {
                bail!("the fact at position {position} does not match its digest");
            }
            if let Some(archive) = archives.iter_mut().find(|archive| archive.covers(position.0)) {
                archive.found += 1;
            }
            last = position;
            verified += 1;
        }
        bar.set_position(u64::try_from(last.0)?);
    }
    bar.finish_and_clear();
    for Archive { first_position, last_position, kept, found } in &archives {
        if found != kept {
            bail!(
                "of the archived positions {first_position} to {last_position}, {kept} facts were kept and {found} are here"
            );
        }
        say(&format!(
            "positions {first_position} to {last_position} are archived; {kept} of their facts are still here"
        ))?;
    }
    if known > last {
        bail!("the log ends at position {last}, but readers have seen {known}: its end is gone");
    }
    say(&format!("{verified} events, no hole, every digest matches"))
}

/// Positions whose facts were taken out of the log, but for some.
struct Archive {
    first_position: i64,
    last_position: i64,
    kept: i64,
    /// How many of them are in the log.
    found: i64,
}

impl Archive {
    const fn covers(&self, position: i64) -> bool {
        self.first_position <= position && position <= self.last_position
    }
}

fn is_archived(archives: &[Archive], position: i64) -> bool {
    archives.iter().any(|archive| archive.covers(position))
}

async fn archives(pool: &PgPool) -> Result<Vec<Archive>, sqlx::Error> {
    let all = "select first_position, last_position, kept from archived_facts order by first_position";
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(all).fetch_all(pool).await?;
    let archive = |(first_position, last_position, kept)| Archive { first_position, last_position, kept, found: 0 };
    Ok(rows.into_iter().map(archive).collect())
}

/// A fact after a position and up to another that does not come after the one before it in its stream.
async fn moved(pool: &PgPool, after: Position, through: Position) -> Result<Option<i64>, sqlx::Error> {
    let moved = "select f.position
                 from events f
                 join events before
                     on before.aggregate_type = f.aggregate_type
                     and before.aggregate_id = f.aggregate_id
                     and before.sequence = f.sequence - 1
                 where f.position > $1
                 and f.position <= $2
                 and before.position > f.position
                 order by f.position
                 limit 1";
    sqlx::query_scalar(moved).bind(after.0).bind(through.0).fetch_optional(pool).await
}

/// The last position that any reader of the log has applied.
async fn known(pool: &PgPool) -> Result<Position, sqlx::Error> {
    let last = "select greatest(
                    (select coalesce(max(position), 0) from projection_checkpoints),
                    (select coalesce(max(position), 0) from reaction_checkpoint)
                )";
    sqlx::query_scalar(last).fetch_one(pool).await.map(Position)
}
