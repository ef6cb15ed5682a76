//! Fills a read model again from the log, beside the live one, and swaps the two in one transaction.
//!
//! The copy lives in the schema `rebuild_<name>`, with how far it got, so that a rebuild that was interrupted goes on where
//! it stopped. Reads go on all the time and the live read model keeps up meanwhile. A fact that cannot be applied fails the
//! rebuild: a read model that was rebuilt never lacks anything. Reads never fail for it: the swap gives way.

use std::pin::pin;
use std::str::FromStr;
use std::time::Duration;

use aggregates::recorded::{Partition, Position, RecordedEvent};
use futures_util::{StreamExt, stream};
use projections::{Projection, checkpoint};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tracing::{debug, info};

use crate::config::Secret;
use crate::log::{Log, LogError};

/// How many facts are applied in one transaction.
const PAGE: i64 = 10_000;

/// How many pages are read and opened while one is applied.
const PAGES_AHEAD: usize = 3;

/// The advisory locks of rebuilds begin here, so that a read model is rebuilt once at a time.
const FIRST_LOCK: i64 = 5_100;

/// The pause before a swap that somebody was in the way of is tried again: reads that queued behind it come first.
const SWAP_PAUSE: Duration = Duration::from_millis(200);

/// Why a read model could not be rebuilt.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// Somebody else is at it.
    #[error("the read model {0} is being rebuilt already")]
    Busy(&'static str),
    /// A fact could not be applied.
    #[error("the fact at position {position} cannot be applied")]
    Poison {
        /// Where.
        position: Position,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database failed.
    #[error("database error")]
    Database(#[from] sqlx::Error),
    /// A fact could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The reader broke.
    #[error("reading the log was interrupted")]
    Interrupted(#[from] JoinError),
}

/// Rebuilds a read model and returns up to where. `url` leads to the owner of the schema; `progress` hears how far the
/// copy got and how far it has to go.
pub async fn rebuild(
    log: &Log,
    url: &Secret,
    projection: Projection,
    mut progress: impl FnMut(Position, Position),
) -> Result<Position, RebuildError> {
    let mut copy = Copy::open(url, projection).await?;
    info!(projection = projection.name(), position = copy.position.0, "Rebuilding {}", projection.name());
    copy.fill(log, &mut progress).await?;
    copy.complete().await?;
    // What happened meanwhile; after that, little enough is left to be applied while the live read model waits.
    copy.fill(log, &mut progress).await?;
    copy.swap(log).await?;
    progress(copy.position, copy.position);
    Ok(copy.close().await)
}

/// The second copy of a read model's tables.
struct Copy {
    connection: PgConnection,
    projection: Projection,
    schema: String,
    /// Everything up to here is in the copy.
    position: Position,
}

impl Copy {
    /// Goes on with the copy that an interrupted rebuild left, or makes a new one.
    async fn open(url: &Secret, projection: Projection) -> Result<Self, RebuildError> {
        let schema = format!("rebuild_{}", projection.name());
        let path = format!("{schema},public");
        let settings =
            [("search_path", &*path), ("synchronous_commit", "off"), ("maintenance_work_mem", "256MB"), ("jit", "off")];
        let options = PgConnectOptions::from_str(url.expose())?.application_name("concierge rebuild").options(settings);
        let mut connection = PgConnection::connect_with(&options).await?;
        let lock = FIRST_LOCK + projection as i64;
        if !sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(lock).fetch_one(&mut connection).await? {
            return Err(RebuildError::Busy(projection.name()));
        }
        let mut copy = Self { connection, projection, schema, position: Position::START };
        match copy.left_behind().await? {
            Some(position) => copy.position = position,
            None => copy.create().await?,
        }
        Ok(copy)
    }

    /// Lets go of the lock, which the end of the connection alone does a moment later: whoever rebuilds next finds it free.
    /// Returns how far the copy got.
    async fn close(mut self) -> Position {
        // If that fails, the connection is gone, and the lock with it.
        drop(self.connection.execute("select pg_advisory_unlock_all()").await);
        self.position
    }

    /// How far an interrupted rebuild of the same version got.
    async fn left_behind(&mut self) -> Result<Option<Position>, sqlx::Error> {
        let table = format!("{}.progress", self.schema);
        let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(&table)
            .fetch_one(&mut self.connection)
            .await?;
        if !exists {
            return Ok(None);
        }
        let position: Option<i64> = sqlx::query_scalar(&format!("select position from {table} where version = $1"))
            .bind(self.projection.version())
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(position.map(Position))
    }

    /// Makes empty tables like the live ones, with all but their secondary indexes: [`Self::complete`] adds those.
    async fn create(&mut self) -> Result<(), sqlx::Error> {
        let schema = &self.schema;
        let mut transaction = self.connection.begin().await?;
        transaction.execute(&*format!("drop schema if exists {schema} cascade")).await?;
        transaction.execute(&*format!("create schema {schema}")).await?;
        transaction
            .execute(&*format!("create table {schema}.progress (version int not null, position bigint not null)"))
            .await?;
        for table in self.projection.tables() {
            let like = format!("create table {schema}.{table} (like read.{table} including all excluding indexes)");
            transaction.execute(&*like).await?;
            for statement in statements(&mut transaction, EXTRAS, schema, table).await? {
                transaction.execute(&*statement).await?;
            }
        }
        sqlx::query(&format!("insert into {schema}.progress (version, position) values ($1, 0)"))
            .bind(self.projection.version())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Applies the log page by page until it has less than a page left; the next pages are read and opened meanwhile.
    async fn fill(&mut self, log: &Log, progress: &mut impl FnMut(Position, Position)) -> Result<(), RebuildError> {
        let begin = self.position.0;
        let mut head = log.head().await?;
        // Positions have no holes, so each page's place is known before the one before it was read.
        let pages = stream::iter(0..).map(|number| {
            let mut reader = JoinSet::new();
            reader.spawn(page(log.clone(), Position(begin + number * PAGE)));
            async move { reader.join_next().await }
        });
        let mut pages = pin!(pages.buffered(PAGES_AHEAD));
        while let Some(Some(events)) = pages.next().await {
            let events = events??;
            self.apply(&events).await?;
            head = head.max(self.position);
            progress(self.position, head);
            if events.len() < usize::try_from(PAGE).unwrap_or_default() {
                break;
            }
        }
        Ok(())
    }

    /// Applies facts in one transaction with how far the copy got.
    async fn apply(&mut self, events: &[RecordedEvent]) -> Result<(), RebuildError> {
        match self.attempt(events).await {
            Ok(()) => Ok(()),
            Err(error) if projections::is_passing(&error) => Err(error.into()),
            Err(_) => {
                // Up to the fact that spoils the page, so that the error can name it.
                for event in events {
                    let applied = self.attempt(std::slice::from_ref(event)).await;
                    applied.map_err(|source| RebuildError::Poison { position: event.position, source })?;
                }
                Ok(())
            }
        }
    }

    async fn attempt(&mut self, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
        let Some(last) = events.last() else { return Ok(()) };
        let mut transaction = self.connection.begin().await?;
        self.projection.project(&mut transaction, events).await?;
        sqlx::query(&format!("update {}.progress set position = $1", self.schema))
            .bind(last.position.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.position = last.position;
        Ok(())
    }

    /// Adds the secondary indexes, which are made faster than kept, and gathers statistics for the first reads.
    async fn complete(&mut self) -> Result<(), sqlx::Error> {
        for table in self.projection.tables() {
            for statement in statements(&mut self.connection, INDEXES, &self.schema, table).await? {
                self.connection.execute(&*statement).await?;
            }
            self.connection.execute(&*format!("analyze {}.{table}", self.schema)).await?;
        }
        Ok(())
    }

    /// Puts the copy in the place of the live tables, as soon as nobody is in the way.
    async fn swap(&mut self, log: &Log) -> Result<(), RebuildError> {
        while !self.try_swap(log).await? {
            debug!(projection = self.projection.name(), "The tables are in use; trying the swap again");
            sleep(SWAP_PAUSE).await;
        }
        Ok(())
    }

    /// Puts the copy in the place of the live tables, up to exactly the live checkpoints, or changes nothing: `false` if
    /// somebody held a table for too long. Projectors wait meanwhile; reads wait only for the exchange at the end.
    async fn try_swap(&mut self, log: &Log) -> Result<bool, RebuildError> {
        let mut position = self.position;
        let filled = log.partition_heads(position).await?;
        let mut transaction = self.connection.begin().await?;
        transaction.execute("lock table public.projection_checkpoints in share row exclusive mode").await?;
        let live = checkpoint::load(&mut transaction, self.projection).await?;
        let goal = live.iter().copied().max().unwrap_or_default();
        while position < goal {
            let mut events = page(log.clone(), position).await?;
            let Some(last) = events.last().map(|event| event.position) else { break };
            events.retain(|event| event.position <= live[usize::from(event.partition().0)]);
            self.projection.project(&mut transaction, &events).await?;
            position = last;
        }
        let moves: Vec<_> = Partition::all()
            .zip(live.into_iter().zip(filled))
            .filter(|(_, (live, filled))| filled > live)
            .map(|(partition, (live, filled))| (self.projection, partition, live, filled))
            .collect();
        checkpoint::advance(&mut transaction, &moves).await?;
        sqlx::query("delete from public.projection_dead_letters where projection = $1")
            .bind(self.projection.name())
            .execute(&mut *transaction)
            .await?;
        if let Err(error) = exchange(&mut transaction, self.projection, &self.schema).await {
            transaction.rollback().await?;
            return if is_contended(&error) { Ok(false) } else { Err(error.into()) };
        }
        transaction.commit().await?;
        self.position = position;
        Ok(true)
    }
}

/// Exchanges the live tables for the copy. Whoever reads several tables may hold one of them and wait for another, so all
/// are locked before the first is touched, and this gives up long before PostgreSQL looks for a deadlock to break (after
/// a second) and takes a reader for its victim.
async fn exchange(connection: &mut PgConnection, projection: Projection, schema: &str) -> Result<(), sqlx::Error> {
    let live: Vec<_> = projection.tables().iter().map(|table| format!("read.{table}")).collect();
    connection.execute("set local lock_timeout = '50ms'").await?;
    connection.execute(&*format!("lock table {} in access exclusive mode", live.join(", "))).await?;
    for table in projection.tables() {
        connection.execute(&*format!("drop table read.{table}")).await?;
        connection.execute(&*format!("alter table {schema}.{table} set schema read")).await?;
    }
    connection.execute(&*format!("drop schema {schema} cascade")).await?;
    Ok(())
}

/// Whether somebody else held what was asked for: `lock_not_available` or `deadlock_detected`.
fn is_contended(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

/// What `like` leaves out: storage options, grants, primary keys and other constraints that are indexes.
const EXTRAS: &str = "
    select format('alter table %s set (%s)', $2, array_to_string(c.reloptions, ', '))
    from pg_class c
    where c.oid = $1::regclass and c.reloptions is not null
    union all
    select format('grant %s on %s to %s', a.privilege_type, $2, a.grantee::regrole)
    from pg_class c
    cross join aclexplode(c.relacl) a
    where c.oid = $1::regclass and a.grantee not in (0, c.relowner)
    union all
    select format('alter table %s add constraint %I %s', $2, k.conname, pg_get_constraintdef(k.oid))
    from pg_constraint k
    where k.conrelid = $1::regclass and k.contype in ('p', 'u', 'x')";

/// The other indexes, under their own names; those that an interrupted rebuild made already are left alone.
const INDEXES: &str = r"
    select regexp_replace(
        replace(pg_get_indexdef(i.indexrelid), format(' ON %s ', $1), format(' ON %s ', $2)),
        '^CREATE (UNIQUE )?INDEX ',
        'CREATE \1INDEX IF NOT EXISTS '
    )
    from pg_index i
    where i.indrelid = $1::regclass
    and not exists (select from pg_constraint k where k.conindid = i.indexrelid)";

/// The statements that give a copy what its live table has.
async fn statements(
    connection: &mut PgConnection,
    query: &str,
    schema: &str,
    table: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(query)
        .bind(format!("read.{table}"))
        .bind(format!("{schema}.{table}"))
        .fetch_all(connection)
        .await
}

/// The next facts after a position, opened.
async fn page(log: Log, after: Position) -> Result<Vec<RecordedEvent>, LogError> {
    let stored = log.read_after(after, PAGE).await?;
    log.open_all(&stored).await?.into_iter().collect()
}
