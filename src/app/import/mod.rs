//! `concierge import`: moves a running desk of the old system here, with its ids, its times and its passwords.
//!
//! Reads one moment of the old PostgreSQL, of either generation, and appends the facts that would have made it. A query is
//! appended as a whole or in slices of [`SLICE`] facts; what is here already is passed over, so an import may be interrupted
//! and run again, and run once more for what came to the old desk meanwhile. Nobody is notified of what is imported.

mod facts;
mod old;

use std::collections::{HashMap, HashSet};

use aggregates::ids::{DonorId, QueryId, UserId};
use aggregates::people::Actor;
use aggregates::recorded::{Metadata, Position, RecordedEvent, StreamId};
use aggregates::vocabulary::QueryStatus;
use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;
use tracing::warn;

use self::facts::{Fact, facts, session, status};
use self::old::{OldDesk, OldLife, OldUser};
use super::say;
use crate::accounts::devices::{DeviceError, DeviceKind, Devices};
use crate::accounts::{MovedIn, MovedUser, move_in};
use crate::config::Config;
use crate::log::{Append, Log, StreamAppend};
use crate::migrate;

/// How many queries are read at a time.
const PAGE: i64 = 50;

/// How many are appended at a time: they share batches of the log's writer.
const AT_ONCE: usize = 16;

/// How many facts are appended in one transaction.
const SLICE: usize = 1_000;

/// The word in the metadata of every imported fact.
const OLD_DESK: &str = "old-desk";

/// What became of the old desk's rows.
#[derive(Debug, Default)]
struct Summary {
    moved: u64,
    here_before: u64,
    facts: u64,
    failed: Vec<String>,
}

enum Moved {
    Now(u64),
    Before,
}

/// What the command line takes.
#[derive(Args)]
pub struct Options {
    /// The old system's PostgreSQL, as its `DATABASE_URL` says. It is only read.
    #[arg(long)]
    pub from: String,
}

/// Moves everything from the old system's database to the one in the configuration.
///
/// # Errors
/// If either database cannot be used, if this desk was in use before its first import, or if some rows could not be
/// moved; the others are.
pub async fn carry_out(options: &Options, config: &Config) -> anyhow::Result<()> {
    migrate::run(config.database_url.expose()).await?;
    let mut desk = OldDesk::open(&options.from).await?;
    // As the owner of the schema: the service itself may neither choose ids nor look for them.
    let pool = PgPool::connect(config.database_url.expose()).await.context("cannot connect to the database")?;
    let log = Log::open_database(config)?;
    log.check_master_key().await?;
    refuse_used_desk(&pool).await?;
    let mut summary = Summary::default();
    let users = desk.users().await?;
    let accounts = move_users(&pool, &users, &mut summary).await?;
    log.skip_ids(&pool, desk.highest_ids().await?).await?;
    let names: HashMap<i64, String> = users.into_iter().map(|user| (user.id, user.name)).collect();
    move_queries(&mut desk, &pool, &log, &names, &mut summary).await?;
    log.close().await;
    let orphans = desk.orphan_count().await?;
    say(&format!("{accounts} accounts and {} queries moved ({} facts)", summary.moved, summary.facts))?;
    say(&format!(
        "{} queries were here before; {orphans} messages belong to no query and stay behind",
        summary.here_before
    ))?;
    for failure in &summary.failed {
        say(failure)?;
    }
    ensure!(summary.failed.is_empty(), "{} rows could not be moved", summary.failed.len());
    Ok(())
}

/// Ids of the old desk may be taken by a desk that was in use on its own.
async fn refuse_used_desk(pool: &PgPool) -> anyhow::Result<()> {
    let (is_used, is_imported): (bool, bool) = sqlx::query_as(
        "select exists (select from events),
             exists (select from events where position = 1 and metadata ->> 'imported_from' is not null)",
    )
    .fetch_one(pool)
    .await?;
    if is_used && !is_imported {
        bail!("this desk was in use before: its ids may be those of the old desk; import into a new database");
    }
    Ok(())
}

async fn move_users(pool: &PgPool, users: &[OldUser], summary: &mut Summary) -> anyhow::Result<u64> {
    let devices = Devices::new(pool.clone());
    let mut moved = 0;
    for user in users {
        let account = MovedUser {
            id: user.id,
            username: &user.username,
            password_hash: &user.password,
            name: &user.name,
            email: user.email.as_deref().filter(|email| !email.trim().is_empty()),
            role: &user.role,
            avatar: user.avatar.as_deref(),
            is_active: user.is_active,
            created_at: user.created_at,
        };
        match move_in(pool, &account).await {
            Ok(MovedIn::Now) => {
                moved += 1;
                if let Some(token) = &user.fcm_token {
                    note_device(devices.register_staff(UserId::new(user.id), DeviceKind::Token, token).await)?;
                }
            }
            Ok(MovedIn::Before) => {}
            Ok(MovedIn::Taken) => {
                summary.failed.push(format!("account {}: its id or user name is taken here", user.id));
            }
            Err(error) => summary.failed.push(format!("account {}: {error}", user.id)),
        }
    }
    Ok(moved)
}

/// The old desk kept whatever it was given; what cannot be a device is left behind.
fn note_device(noted: Result<(), DeviceError>) -> Result<(), DeviceError> {
    match noted {
        Err(DeviceError::Implausible) => Ok(()),
        noted => noted,
    }
}

async fn move_queries(
    desk: &mut OldDesk,
    pool: &PgPool,
    log: &Log,
    names: &HashMap<i64, String>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("queries {bar:40} {pos}/{len}, {per_sec}, {eta} left")?;
    let bar = ProgressBar::new(desk.query_count().await?.unsigned_abs()).with_style(style);
    let claimants: HashSet<i64> = desk.newest_open_of_donors().await?.into_iter().collect();
    let devices = Devices::new(pool.clone());
    let mut after = i64::MIN;
    loop {
        let page = desk.lives(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.query.id;
        let moves = page.iter().map(|life| async {
            (life.query.id, move_query(log, life, names, claimants.contains(&life.query.id)).await)
        });
        for query in page.iter().map(|life| &life.query) {
            if let Some(token) = &query.fcm_token {
                let donor = DonorId::new(query.donor_id.clone());
                note_device(devices.register_donor(&donor, session(query), DeviceKind::Token, token).await)?;
            }
        }
        let mut moves = stream::iter(moves).buffer_unordered(AT_ONCE);
        while let Some((query, moved)) = moves.next().await {
            bar.inc(1);
            match moved {
                Ok(Moved::Now(facts)) => {
                    summary.moved += 1;
                    summary.facts += facts;
                }
                Ok(Moved::Before) => summary.here_before += 1,
                Err(error) => summary.failed.push(format!("query {query}: {error:#}")),
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Appends what is missing of a query. `claims` says whether it keeps its donor from opening another.
async fn move_query(log: &Log, life: &OldLife, names: &HashMap<i64, String>, claims: bool) -> anyhow::Result<Moved> {
    let query = QueryId::new(life.query.id);
    let facts = facts(life, names);
    if status(&facts) != QueryStatus::parse(&life.query.status) {
        warn!(query.id = %query, "Query {query} ends in another status than in the old desk");
    }
    let stored = log.read_queries(&[query], Position::START, i64::MAX).await?;
    let here: Vec<RecordedEvent> = stream::iter(&stored).then(|fact| log.open(fact)).try_collect().await?;
    let is_imported = |fact: &RecordedEvent| fact.metadata.imported_from.is_some();
    ensure!(here.first().is_none_or(is_imported), "a query of this desk has its id");
    if !here.iter().all(is_imported) {
        // Its life goes on here.
        return Ok(Moved::Before);
    }
    ensure!(begins_with(&facts, &here), "it changed in the old desk after it was imported");
    let mut done = here.len();
    if done == facts.len() {
        return Ok(Moved::Before);
    }
    while done < facts.len() {
        let through = facts.len().min(done + SLICE);
        let append = append(query, life, &facts, done, through);
        if claims { log.append(append).await } else { log.append_unclaimed(append).await }?;
        done = through;
    }
    Ok(Moved::Now((facts.len() - here.len()) as u64))
}

/// Whether what is here is what an import of these facts has written so far, stream by stream.
fn begins_with(facts: &[Fact], here: &[RecordedEvent]) -> bool {
    let Some(begun) = facts.get(..here.len()) else { return false };
    let streams: HashSet<StreamId> = begun.iter().map(|fact| fact.stream).collect();
    streams.into_iter().all(|stream| {
        let wanted = begun.iter().filter(|fact| fact.stream == stream).map(|fact| &fact.event);
        wanted.eq(here.iter().filter(|fact| fact.stream == stream).map(|fact| &fact.event))
    })
}

fn append(query: QueryId, life: &OldLife, facts: &[Fact], done: usize, through: usize) -> Append {
    let mut streams: Vec<StreamAppend> = Vec::new();
    for fact in &facts[done..through] {
        match streams.iter_mut().find(|append| append.stream == fact.stream) {
            Some(append) => append.events.push(fact.event.clone()),
            None => streams.push(StreamAppend {
                stream: fact.stream,
                query,
                expected: version(&facts[..done], fact.stream),
                events: vec![fact.event.clone()],
            }),
        }
    }
    let metadata = Metadata::of(&Actor::System, "import").imported_from(OLD_DESK);
    Append { streams, subject: DonorId::new(life.query.donor_id.clone()), metadata, key: None }
}

fn version(before: &[Fact], stream: StreamId) -> i64 {
    i64::try_from(before.iter().filter(|fact| fact.stream == stream).count()).unwrap_or(i64::MAX)
}
