//! A read model is filled again from the log beside the live one, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregates::recorded::Position;
use aggregates::testing::{accepted_by, ada};
use projections::Projection;
use projections::page::Page;
use projections::queries::{self, ListFilter, Order};
use proof_concierge::database::{self, Purpose};
use proof_concierge::projector::rebuild::{RebuildError, rebuild};
use sqlx::Executor;

use crate::projector::{Nodes, rows_equal_replay};
use crate::support::stream::{Desk, LIMIT, desk};
use crate::world::replay::rows;

/// A desk whose read models have applied some histories.
async fn desk_with_rows() -> (Desk, Nodes) {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    let freshness = nodes.project(&desk).await;
    let last = desk.append_histories(1..=40, 12).await;
    assert!(freshness.reached_all(last, LIMIT).await);
    (desk, nodes)
}

async fn rebuild_quietly(desk: &Desk, projection: Projection) -> Result<Position, RebuildError> {
    rebuild(&desk.log, &desk.config.database_url, projection, |_, _| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_model_that_lost_its_rows_is_rebuilt_to_the_same_ones() {
    let (desk, _nodes) = desk_with_rows().await;
    for projection in Projection::ALL {
        let before = rows(&desk.database.pool, *projection).await;
        for table in projection.tables() {
            desk.database.pool.execute(&*format!("truncate read.{table}")).await.unwrap();
        }
        let mut told = Vec::new();
        let rebuilt = rebuild(&desk.log, &desk.config.database_url, *projection, |at, of| told.push((at, of))).await;
        assert_eq!(rebuilt.unwrap(), Position(480));
        assert_eq!(told.last(), Some(&(Position(480), Position(480))));
        assert_eq!(rows(&desk.database.pool, *projection).await, before);
    }
    let left: i64 = sqlx::query_scalar("select count(*) from pg_namespace where nspname like 'rebuild%'")
        .fetch_one(&desk.database.pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_goes_unnoticed_by_those_who_write_and_read() {
    let (desk, mut nodes) = desk_with_rows().await;
    let freshness = nodes.project(&desk).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (pool, done) = (desk.database.pool.clone(), done.clone());
        tokio::spawn(async move {
            let mut most = 0;
            while !done.load(Ordering::SeqCst) {
                let rows: i64 = sqlx::query_scalar("select count(*) from read.queries").fetch_one(&pool).await.unwrap();
                assert!(rows >= most, "rows went missing: {rows} after {most}");
                most = rows;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let writes = async {
        let last = desk.append_histories(41..=160, 12).await;
        done.store(true, Ordering::SeqCst);
        last
    };
    let rebuilds = async {
        let mut rebuilds = 0;
        while !done.load(Ordering::SeqCst) {
            for projection in Projection::ALL {
                rebuild_quietly(&desk, *projection).await.unwrap();
                rebuilds += 1;
            }
        }
        rebuilds
    };
    let (last, rebuilds) = tokio::join!(writes, rebuilds);
    assert!(rebuilds >= Projection::ALL.len());
    reader.await.unwrap();
    assert!(freshness.reached_all(last, LIMIT).await);
    rows_equal_replay(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_fails_however_it_combines_tables_while_they_are_swapped() {
    let (desk, _nodes) = desk_with_rows().await;
    let done = Arc::new(AtomicBool::new(false));
    let reads = database::pool(&desk.config.database_url, Purpose::Read, 4).unwrap();
    let mut readers = tokio::task::JoinSet::new();
    // Whatever order the swap takes tables in, one of these takes them in the other, and holds the first meanwhile.
    for tables in [["queries", "query_details"], ["query_details", "queries"]] {
        for _ in 0..2 {
            let (pool, done) = (reads.clone(), done.clone());
            readers.spawn(async move {
                let mut reads = 0;
                while !done.load(Ordering::SeqCst) {
                    let mut transaction = pool.begin().await.unwrap();
                    for table in tables {
                        let count = format!("select count(*) from read.{table}");
                        let rows: i64 = sqlx::query_scalar(&count).fetch_one(&mut *transaction).await.unwrap();
                        assert_eq!(rows, 40, "{table}");
                    }
                    transaction.commit().await.unwrap();
                    let list = queries::list(&pool, &ListFilter::default(), Order::CreatedDesc, &Page::first(10)).await;
                    assert_eq!(list.unwrap().rows.len(), 10);
                    reads += 1;
                }
                reads
            });
        }
    }
    for _ in 0..8 {
        rebuild_quietly(&desk, Projection::Queries).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    while let Some(reads) = readers.join_next().await {
        assert!(reads.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_swapped_table_has_indexes_of_the_same_names() {
    let (desk, _nodes) = desk_with_rows().await;
    let names = async || -> Vec<String> {
        sqlx::query_scalar("select tablename || '.' || indexname from pg_indexes where schemaname = 'read' order by 1")
            .fetch_all(&desk.database.pool)
            .await
            .unwrap()
    };
    let before = names().await;
    assert!(before.contains(&"queries.queries_by_created".to_owned()), "{before:?}");
    for projection in Projection::ALL.iter().chain(Projection::ALL) {
        rebuild_quietly(&desk, *projection).await.unwrap();
        assert_eq!(names().await, before, "{}", projection.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_may_not_own_the_tables_still_writes_them_after_a_rebuild() {
    let (desk, mut nodes) = desk_with_rows().await;
    rebuild_quietly(&desk, Projection::Queries).await.unwrap();
    let freshness = nodes.project(&desk).await;
    let last = desk.append_histories(41..=45, 12).await;
    assert!(freshness.reached_all(last, LIMIT).await);
}

/// Everything about the tables of a read model but their rows.
async fn shape(desk: &Desk, projection: Projection) -> Vec<String> {
    let shape = "
        select concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
        from pg_attribute a
        left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        where a.attrelid = $1::regclass and a.attnum > 0
        union all
        select concat_ws(' ', reloptions::text, relacl::text) from pg_class where oid = $1::regclass
        union all
        select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1::regclass
        union all
        select concat_ws(' ', conname, pg_get_constraintdef(oid)) from pg_constraint where conrelid = $1::regclass
        order by 1";
    let mut shapes = Vec::new();
    for table in projection.tables() {
        let lines = sqlx::query_scalar(shape).bind(format!("read.{table}")).fetch_all(&desk.database.pool).await;
        shapes.extend::<Vec<String>>(lines.unwrap());
    }
    shapes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rebuilt_tables_have_the_indexes_options_and_grants_of_the_old_ones() {
    let (desk, _nodes) = desk_with_rows().await;
    for projection in Projection::ALL {
        let before = shape(&desk, *projection).await;
        for _ in 0..2 {
            rebuild_quietly(&desk, *projection).await.unwrap();
            assert_eq!(shape(&desk, *projection).await, before);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_interrupted_rebuild_goes_on_where_it_stopped() {
    let (desk, _nodes) = desk_with_rows().await;
    // It stops at a fact that cannot be applied, once everything before is in the copy.
    let before = desk.log.head().await.unwrap();
    let poison = desk.append(1_001, 0, vec![accepted_by(&ada())]).await;
    let failed = rebuild_quietly(&desk, Projection::Queries).await;
    assert!(matches!(failed, Err(RebuildError::Poison { position, .. }) if position == poison), "{failed:?}");
    let kept: i64 = sqlx::query_scalar("select position from rebuild_queries.progress")
        .fetch_one(&desk.database.pool)
        .await
        .unwrap();
    assert_eq!(Position(kept), before);
    // As if the read model had learnt meanwhile to make nothing of that fact.
    let row = "update rebuild_queries.progress set position = position + 1";
    desk.database.pool.execute(row).await.unwrap();
    let rebuilt = rebuild_quietly(&desk, Projection::Queries).await.unwrap();
    assert_eq!(rebuilt, poison);
    let letters: i64 = sqlx::query_scalar("select count(*) from projection_dead_letters where projection = 'queries'")
        .fetch_one(&desk.database.pool)
        .await
        .unwrap();
    assert_eq!(letters, 0, "what had stopped goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_model_is_rebuilt_by_one_at_a_time() {
    let (desk, _nodes) = desk_with_rows().await;
    let mut other = desk.database.pool.acquire().await.unwrap();
    other.execute("select pg_advisory_lock(5101)").await.unwrap();
    let refused = rebuild_quietly(&desk, Projection::Messages).await;
    assert!(matches!(refused, Err(RebuildError::Busy("messages"))), "{refused:?}");
    other.execute("select pg_advisory_unlock(5101)").await.unwrap();
    rebuild_quietly(&desk, Projection::Messages).await.unwrap();
    rows_equal_replay(&desk).await;
}
