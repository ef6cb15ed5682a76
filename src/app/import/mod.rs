//! `concierge import`: moves a running desk of the old system here, with its ids, its times and its passwords.
//!
//! Reads one moment of the old PostgreSQL, of either generation, and appends the facts that would have made it. A query is
//! appended as a whole or in slices of [`SLICE`] facts; what is here already is passed over, so an import may be interrupted
//! and run again, and run once more for what happened at the old desk meanwhile. A query that goes on here is left alone.
//! Nobody is notified of what is imported.

mod chats;
mod facts;
mod known;
mod old;

use std::collections::{HashMap, HashSet};

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, QueryId, UserId};
use aggregates::people::Actor;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, Position, RecordedEvent, StreamId};
use aggregates::vocabulary::QueryStatus;
use anyhow::{Context, bail, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;
use tracing::warn;

use self::chats::move_chats;
use self::facts::{Fact, missing, session, status};
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
    let is_in_use = refuse_used_desk(&pool).await?;
    let mut summary = Summary::default();
    let users = desk.users().await?;
    let accounts = move_users(&pool, &users, is_in_use, &mut summary).await?;
    log.skip_ids(&pool, desk.highest_ids().await?).await?;
    let names: HashMap<i64, String> =
        users.into_iter().map(|user| (user.id, user.name.unwrap_or(user.username))).collect();
    move_queries(&mut desk, &pool, &log, &names, &mut summary).await?;
    let chatted = move_chats(&mut desk, &log, &names).await?;
    log.close().await;
    let orphans = desk.orphan_count().await?;
    say(&format!("{accounts} accounts and {} queries moved ({} facts)", summary.moved, summary.facts))?;
    say(&format!("{chatted} messages between colleagues moved"))?;
    say(&format!(
        "{} queries were here before; {orphans} messages belong neither to a query nor to a chat, and stay behind",
        summary.here_before
    ))?;
    for failure in &summary.failed {
        say(failure)?;
    }
    ensure!(summary.failed.is_empty(), "{} rows could not be moved", summary.failed.len());
    Ok(())
}

/// Ids of the old desk may be taken by a desk that was in use on its own. Says whether this one went on after an import.
async fn refuse_used_desk(pool: &PgPool) -> anyhow::Result<bool> {
    let (is_in_use, is_imported): (bool, bool) = sqlx::query_as(
        "select exists (select from events where metadata ->> 'imported_from' is null),
             exists (select from events where position = 1 and metadata ->> 'imported_from' is not null)",
    )
    .fetch_one(pool)
    .await?;
    if is_in_use && !is_imported {
        bail!("this desk was in use before: its ids may be those of the old desk; import into a new database");
    }
    Ok(is_in_use)
}

/// Makes the accounts, and brings those that came before up to date while nobody works here yet.
async fn move_users(pool: &PgPool, users: &[OldUser], is_in_use: bool, summary: &mut Summary) -> anyhow::Result<u64> {
    let devices = Devices::new(pool.clone());
    let mut moved = 0;
    for user in users {
        let account = MovedUser {
            id: user.id,
            username: &user.username,
            password_hash: &user.password,
            name: user.name.as_deref().unwrap_or(&user.username),
            email: user.email.as_deref().filter(|email| !email.trim().is_empty()),
            role: &user.role,
            avatar: user.avatar.as_deref(),
            is_active: user.is_active,
            created_at: user.created_at,
        };
        match move_in(pool, &account, is_in_use).await {
            Ok(MovedIn::Now) => {
                moved += 1;
                if let Some(token) = &user.fcm_token {
                    note_device(devices.register_staff(UserId::new(user.id), DeviceKind::Token, token).await)?;
                }
            }
            Ok(MovedIn::Before) => {}
            Ok(MovedIn::Differs) => {
                say(&format!("account {} differs from the old desk's and stays as it is here", user.id))?;
            }
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
    let claimants = desk.newest_open_of_donors().await?;
    log.release_imported_claims(pool, &claimants).await?;
    let claiming: HashSet<QueryId> = claimants.iter().map(|(query, _)| *query).collect();
    let devices = Devices::new(pool.clone());
    let mut after = i64::MIN;
    loop {
        let page = desk.lives(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.query.id;
        let moves = page.iter().map(|life| async {
            (life.query.id, move_query(log, life, names, claiming.contains(&QueryId::new(life.query.id))).await)
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
    Ok(log.take_imported_claims(pool, &claimants).await?)
}

/// Appends what is missing of a query. `claims` says whether it keeps its donor from opening another.
async fn move_query(log: &Log, life: &OldLife, names: &HashMap<i64, String>, claims: bool) -> anyhow::Result<Moved> {
    let query = QueryId::new(life.query.id);
    let stored = log.read_queries(&[query], Position::START, i64::MAX).await?;
    let mut here: Vec<RecordedEvent> = stream::iter(&stored).then(|fact| log.open(fact)).try_collect().await?;
    // A chat may have got the number after an earlier import.
    here.retain(|fact| fact.about().is_some());
    let is_imported = |fact: &RecordedEvent| fact.metadata.imported_from.is_some();
    ensure!(here.first().is_none_or(is_imported), "a query of this desk has its id");
    if !here.iter().all(is_imported) || here.iter().any(is_erased) {
        // Its life goes on here, or must not come back.
        return Ok(Moved::Before);
    }
    let missing = missing(life, names, &here);
    if missing.is_empty() {
        return Ok(Moved::Before);
    }
    let events = here.iter().map(|fact| &fact.event).chain(missing.iter().map(|fact| &fact.event));
    if status(events) != QueryStatus::parse(&life.query.status) {
        warn!(query.id = %query, "Query {query} ends in another status than in the old desk");
    }
    let mut versions: HashMap<StreamId, i64> = HashMap::new();
    for fact in &here {
        *versions.entry(fact.stream).or_default() += 1;
    }
    for slice in missing.chunks(SLICE) {
        let append = append(query, life, slice, &mut versions);
        if claims { log.append(append).await } else { log.append_unclaimed(append).await }?;
    }
    Ok(Moved::Now(missing.len() as u64))
}

/// Whether the donor was erased here.
fn is_erased(fact: &RecordedEvent) -> bool {
    matches!(&fact.event, Event::DonorQuery(DonorQueryEvent::QueryOpened { donor: Personal::Erased(_), .. }))
}

/// The next facts, behind the versions that their streams have, which go on with them.
fn append(query: QueryId, life: &OldLife, facts: &[Fact], versions: &mut HashMap<StreamId, i64>) -> Append {
    let mut streams: Vec<StreamAppend> = Vec::new();
    for fact in facts {
        let version = versions.entry(fact.stream).or_default();
        match streams.iter_mut().find(|append| append.stream == fact.stream) {
            Some(append) => append.events.push(fact.event.clone()),
            None => streams.push(StreamAppend {
                stream: fact.stream,
                query,
                expected: *version,
                events: vec![fact.event.clone()],
            }),
        }
        *version += 1;
    }
    let metadata = Metadata::of(&Actor::System, "import").imported_from(OLD_DESK);
    Append { streams, subject: DonorId::new(life.query.donor_id.clone()), metadata, key: None }
}
