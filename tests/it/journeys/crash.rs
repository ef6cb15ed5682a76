//! What a read says after PostgreSQL crashed and took back the last moments of the read models.

use std::time::Duration;

use aggregates::recorded::Partition;
use proof_concierge::config::Config;
use proof_concierge::log::Log;
use proof_concierge::projector::{Freshness, Projector};
use serde_json::json;
use sqlx::{Executor, PgPool};
use tokio::task::JoinHandle;

use crate::support::database::database;
use crate::support::desk::{people, serve};
use crate::support::eventually::eventually;
use crate::support::node;

const LIMIT: Duration = Duration::from_secs(20);

/// Keeps the read models, on a node of its own.
async fn project(config: &Config, pool: &PgPool) -> JoinHandle<()> {
    let (log, bus) = (Log::open_database(config).unwrap(), node::bus(config).await);
    let freshness = Freshness::new(log.clone(), pool.clone());
    let projector = Projector::new(log, bus, &config.database_url, freshness, 1).unwrap();
    tokio::spawn(async move { projector.project(Partition::all().collect()).await })
}

/// Takes the read models back to the beginning, and ends every connection, as a crash does.
async fn crash(pool: &PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    connection
        .execute(
            "truncate read.queries, read.query_details, read.query_terms, read.messages, read.message_threads, read.calls, read.requests,
                 read.board, read.board_queries;
             update projection_checkpoints set position = 0;
             select pg_terminate_backend(pid)
             from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_names_a_position_is_not_answered_with_what_a_crash_left() {
    let database = database().await;
    let mut config = Config { read_your_writes_ms: 20_000, ..node::config(&database) };
    config.roles.projector = false;
    people(&config).await;
    let projecting = project(&config, &database.pool).await;
    let desk = serve(database, config.clone()).await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{id}");
    let position = ada.get(&path).await.expect(200).header("concierge-position").to_owned();
    let path = format!("{path}?min_position={position}");
    ada.get(&path).await.expect(200);

    projecting.abort();
    drop(projecting.await);
    crash(desk.pool()).await;
    let ask = async || {
        let answer = ada.get(&path).await;
        (answer.status.as_u16(), answer.body["code"].clone())
    };
    let answered = eventually(LIMIT, ask, |(_, code)| *code != "unavailable").await;
    assert_eq!(answered, (503, json!("not_there_yet")));

    let projecting = project(&config, desk.pool()).await;
    eventually(LIMIT, ask, |(status, _)| *status == 200).await;
    projecting.abort();
}
