//! A database per test, copied from one that was migrated once.

use std::thread;

use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::OnceCell;

use super::servers::servers;

const TEMPLATE: &str = "template_concierge";

/// A database of one test's own. It is dropped with this value.
pub(crate) struct TestDatabase {
    /// Its address, as superuser, who owns the schema.
    pub(crate) url: String,
    /// Connections to it, as superuser.
    pub(crate) pool: PgPool,
    name: String,
}

/// Makes a migrated, empty database.
pub(crate) async fn database() -> TestDatabase {
    static MIGRATED: OnceCell<()> = OnceCell::const_new();
    MIGRATED.get_or_init(migrate_template).await;
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    execute(&format!("create database {name} template {TEMPLATE}")).await.unwrap();
    let url = servers().database_url(&name);
    let pool = PgPool::connect_lazy(&url).unwrap();
    TestDatabase { url, pool, name }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = format!("drop database {} with (force)", self.name);
        // The test's own runtime may be ending, so this takes a thread and a runtime of its own.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&drop))
        });
        // A database that stays costs a few megabytes until the cluster is thrown away.
        std::mem::drop(dropped.join());
    }
}

async fn migrate_template() {
    execute(&format!("create database {TEMPLATE}")).await.unwrap();
    proof_concierge::migrate::run(&servers().database_url(TEMPLATE)).await.unwrap();
}

async fn execute(statement: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&servers().database_url("postgres")).await?;
    connection.execute(statement).await?;
    connection.close().await
}

#[tokio::test]
async fn every_test_has_a_migrated_database_of_its_own() {
    let (one, other) = tokio::join!(database(), database());
    one.pool.execute("create table only_here ()").await.unwrap();
    let there = "select to_regclass('only_here') is not null, to_regclass('_sqlx_migrations') is not null";
    let seen: (bool, bool) = sqlx::query_as(there).fetch_one(&other.pool).await.unwrap();
    assert_eq!(seen, (false, true));
    assert_ne!(one.url, other.url);
}
