//! Position is commit order: whatever writers do, a tailing reader sees every fact once, in order, without a hole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregates::recorded::Position;
use aggregates::testing::opened;
use sqlx::{Executor, PgPool, Row};
use tokio::task::JoinSet;

use super::facts;
use crate::support::database::{TestDatabase, database};
use crate::support::node;

const WRITERS: i64 = 16;
const APPENDS: i64 = 60;

/// Reads like a relay: remember the last position, ask for what follows, until the writers are done and nothing follows.
async fn tail(pool: PgPool, table: &'static str, done: Arc<AtomicBool>) -> Vec<i64> {
    let sql = format!("select position from {table} where position > $1 order by position limit 500");
    let mut seen: Vec<i64> = Vec::new();
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let after = seen.last().copied().unwrap_or_default();
        let rows = sqlx::query(&sql).bind(after).fetch_all(&pool).await.unwrap();
        seen.extend(rows.iter().map(|row| row.get::<i64, _>(0)));
        if rows.is_empty() && was_done {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

/// A transaction of a stranger that stays open, with a transaction id of its own, until it is told to end.
async fn stranger(database: &TestDatabase) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut stranger = database.pool.begin().await.unwrap();
    stranger.execute("create table of_a_stranger ()").await.unwrap();
    stranger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_lose_nothing_and_leave_no_hole() {
    let database = database().await;
    let stranger = stranger(&database).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(tail(database.pool.clone(), "events", done.clone()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        // Half of the writers share a node's log, half bring their own, as other nodes would.
        let log = node::log(&database);
        let pool = database.pool.clone();
        writers.spawn(async move {
            let mut written = 0;
            for turn in 0..APPENDS {
                let query = 1 + writer * APPENDS + turn;
                let appended = log.append(facts(query, 0, [opened(), opened()])).await.unwrap();
                written += appended.events.len();
                // A command that fails leaves no trace, and one that takes its time delays nobody for ever.
                assert!(log.append(facts(query, 0, [opened()])).await.is_err());
                if turn % 20 == 0 {
                    slow_rollback(&pool).await;
                }
            }
            written
        });
    }
    let written: usize = writers.join_all().await.into_iter().sum();
    done.store(true, Ordering::SeqCst);
    let seen = tokio::time::timeout(Duration::from_mins(1), reader).await.expect("the reader stalled").unwrap();
    let expected: Vec<i64> = (1..=i64::try_from(written).unwrap()).collect();
    assert_eq!(seen, expected);
    stranger.rollback().await.unwrap();
}

/// Takes the fence, thinks, and gives up.
async fn slow_rollback(pool: &PgPool) {
    let mut slow = pool.begin().await.unwrap();
    slow.execute("select pg_advisory_xact_lock(5005), pg_sleep(0.01)").await.unwrap();
    slow.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_fence_the_same_reader_loses_facts() {
    let database = database().await;
    database.pool.execute("create table unfenced (position bigserial primary key, writer bigint)").await.unwrap();
    let mut lost = false;
    for _round in 0..20 {
        database.pool.execute("truncate unfenced restart identity").await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(tail(database.pool.clone(), "unfenced", done.clone()));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let url = database.url.clone();
            writers.spawn(async move {
                let pool = PgPool::connect(&url).await.unwrap();
                for _ in 0..APPENDS {
                    let mut transaction = pool.begin().await.unwrap();
                    for _ in 0..2 {
                        sqlx::query("insert into unfenced (writer) values ($1)")
                            .bind(writer)
                            .execute(&mut *transaction)
                            .await
                            .unwrap();
                    }
                    transaction.commit().await.unwrap();
                }
            });
        }
        writers.join_all().await;
        done.store(true, Ordering::SeqCst);
        let seen = reader.await.unwrap();
        let written: i64 = sqlx::query_scalar("select count(*) from unfenced").fetch_one(&database.pool).await.unwrap();
        lost = i64::try_from(seen.len()).unwrap() < written;
        if lost {
            break;
        }
    }
    assert!(lost, "positions drawn outside the fence were never read out of order: the fenced test proves nothing");
}

#[tokio::test]
async fn positions_follow_the_order_of_commits_over_nodes() {
    let database = database().await;
    let (one, other) = (node::log(&database), node::log(&database));
    for query in 1..=10 {
        let log = if query % 2 == 0 { &one } else { &other };
        let appended = log.append(facts(query, 0, [opened()])).await.unwrap();
        assert_eq!(appended.events[0].position, Position(query));
    }
}
