//! Whether the rows of the read models are those that the log makes.

use aggregates::recorded::Position;
use projections::Projection;
use proof_concierge::log::Log;
use sqlx::{Executor, PgPool};

/// How many rows a table has, and a digest of them. A counter that went back to zero is as good as none.
fn digest_of(table: &str) -> String {
    format!(
        "select count(*), coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from {table} t
         where to_jsonb(t) ->> 'value' is distinct from '0'"
    )
}

/// A digest of everything a read model keeps.
pub(crate) async fn rows(pool: &PgPool, projection: Projection) -> Vec<(&'static str, (i64, String))> {
    let mut digests = Vec::new();
    for table in projection.tables() {
        let digest = sqlx::query_as(&digest_of(&format!("read.{table}"))).fetch_one(pool).await.unwrap();
        digests.push((*table, digest));
    }
    digests
}

/// Applies the whole log at once to empty tables, and names the live ones that look different.
pub(crate) async fn tables_unlike_replay(log: &Log, pool: &PgPool) -> Vec<&'static str> {
    let mut events = Vec::new();
    for stored in log.read_after(Position::START, i64::MAX).await.unwrap() {
        events.push(log.open(&stored).await.unwrap());
    }
    let mut different = Vec::new();
    for projection in Projection::ALL {
        let live = rows(pool, *projection).await;
        let mut replay = pool.begin().await.unwrap();
        replay.execute("set local search_path = replay, public").await.unwrap();
        replay.execute("create schema replay").await.unwrap();
        for table in projection.tables() {
            let empty = format!("create table replay.{table} (like read.{table} including all)");
            replay.execute(&*empty).await.unwrap();
        }
        projection.project(&mut replay, &events).await.unwrap();
        for (table, digest) in live {
            let replayed: (i64, String) =
                sqlx::query_as(&digest_of(&format!("replay.{table}"))).fetch_one(&mut *replay).await.unwrap();
            if digest != replayed {
                different.push(table);
            }
        }
        replay.rollback().await.unwrap();
    }
    different
}
