//! The schema's changes, embedded in the binary and applied forward only.
//!
//! To add one: write `migrations/NNNN_verb_what.sql` with the next number and list it below; a test fails until it is.
//! A file that was released is never edited: its checksum is kept in the database, and a changed one is refused.

use std::time::Duration;

use anyhow::Context;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::postgres::PgPoolOptions;

/// Every migration in order: number, name, statements.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "create event log", include_str!("../migrations/0001_create_event_log.sql")),
    (2, "create users", include_str!("../migrations/0002_create_users.sql")),
    (3, "create read models", include_str!("../migrations/0003_create_read_models.sql")),
    (4, "create projection dead letters", include_str!("../migrations/0004_create_projection_dead_letters.sql")),
    (5, "create devices", include_str!("../migrations/0005_create_devices.sql")),
    (6, "create call rooms", include_str!("../migrations/0006_create_call_rooms.sql")),
    (7, "create deliveries", include_str!("../migrations/0007_create_deliveries.sql")),
    (8, "create local outbox", include_str!("../migrations/0008_create_local_outbox.sql")),
    (9, "create avatars", include_str!("../migrations/0009_create_avatars.sql")),
    (10, "create request audit", include_str!("../migrations/0010_create_request_audit.sql")),
    (11, "allow messages without query", include_str!("../migrations/0011_allow_messages_without_query.sql")),
    (12, "create archived facts", include_str!("../migrations/0012_create_archived_facts.sql")),
    (13, "spread deliveries", include_str!("../migrations/0013_spread_deliveries.sql")),
    (14, "mark whole deliveries", include_str!("../migrations/0014_mark_whole_deliveries.sql")),
    (15, "date keys when they are made", include_str!("../migrations/0015_date_keys_when_they_are_made.sql")),
    (16, "answer keys with found facts", include_str!("../migrations/0016_answer_keys_with_found_facts.sql")),
    (17, "create log epoch", include_str!("../migrations/0017_create_log_epoch.sql")),
    (18, "search terms apart", include_str!("../migrations/0018_search_terms_apart.sql")),
    (19, "thin delivery indexes", include_str!("../migrations/0019_thin_delivery_indexes.sql")),
    (20, "restore delivery indexes", include_str!("../migrations/0020_restore_delivery_indexes.sql")),
    (21, "forget command keys in order", include_str!("../migrations/0021_forget_command_keys_in_order.sql")),
];

/// How long to wait for a database that is just starting.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Brings a database up to date. `url` must be the schema's owner; several nodes may try at once, one does it.
///
/// A database that is ahead of this binary is left alone: during a rolling upgrade old nodes meet the new schema.
pub async fn run(url: &str) -> anyhow::Result<()> {
    let mut migrator = Migrator::new(Embedded).await.context("the migrations are unreadable")?;
    migrator.set_ignore_missing(true);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_LIMIT).connect(url).await;
    let pool = pool.context("cannot connect to PostgreSQL to migrate it")?;
    let migrated = migrator.run(&pool).await.context("cannot migrate the database");
    // Closed rather than dropped: a database with connections cannot be a template.
    pool.close().await;
    migrated
}

/// Says how far a database is; an error if it lacks a change that this binary needs.
pub async fn pending(url: &str) -> anyhow::Result<String> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_LIMIT).connect(url).await?;
    let applied: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success order by version")
        .fetch_all(&pool)
        .await
        .context("the database was never migrated; run `concierge migrate`")?;
    let missing = MIGRATIONS.iter().filter(|(number, ..)| !applied.contains(number)).count();
    anyhow::ensure!(missing == 0, "{missing} migrations are missing; run `concierge migrate`");
    Ok(format!("{} migrations applied", applied.len()))
}

/// The migrations in this binary, as sqlx wants them.
#[derive(Debug)]
struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> futures_util::future::BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migration = |&(number, name, sql): &(i64, &'static str, &'static str)| {
            Migration::new(number, name.into(), MigrationType::Simple, sql.into(), false)
        };
        Box::pin(async move { Ok(MIGRATIONS.iter().map(migration).collect()) })
    }
}
