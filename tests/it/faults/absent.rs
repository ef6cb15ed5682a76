//! A node that comes up before what it needs.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::task::block_in_place;

use super::{all_is_well, busy, plan};
use crate::support::app::Client;
use crate::support::desk::query_of;
use crate::support::eventually::eventually;
use crate::world::{LIMIT, World, health, metric};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_postgres_says_so_and_begins_when_it_comes() {
    let mut world = World::prepare(plan(1)).await;
    block_in_place(|| world.postgres.stop());
    world.nodes[0].start();
    let node = &world.nodes[0];
    let (_, report) = eventually(LIMIT, async || health(node).await, |(status, _)| status.is_some()).await;
    assert_eq!((&report["status"], &report["error"]), (&json!("error"), &json!({ "database": { "status": "down" } })));
    let client = Client::new(&node.base_url());
    client.get("/health/ready").await.expect(503);
    client.get("/health/live").await.expect(200);
    let refused = client.post("/api/v1/donor-queries", &query_of("d-1")).await.expect(503);
    assert_eq!((refused.at("/code"), refused.header("retry-after")), (&json!("unavailable"), "1"));
    let reason = "Waiting for PostgreSQL error=cannot connect to PostgreSQL";
    eventually(LIMIT, async || node.log(), |log| log.contains(reason)).await;

    block_in_place(|| world.postgres.restart().unwrap());
    world.ready().await;
    let at_work = busy(&world).await;
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_turns_nobody_away() {
    let mut world = World::start(plan(1)).await;
    world.nodes[0].kill();
    world.nodes[0].start();
    let client = Client::new(&world.nodes[0].direct_url());
    let asked = async || client.request(Method::GET, "/api/v1/donor-queries").send().await.ok();
    let answer = eventually(LIMIT, asked, Option::is_some).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_nats_works_and_catches_up_when_it_comes() {
    let mut world = World::prepare(plan(1)).await;
    block_in_place(|| world.nats[0].stop());
    world.nodes[0].start();
    world.ready().await;
    let (_, report) = health(&world.nodes[0]).await;
    assert_eq!(report["details"]["nats"], json!({ "status": "warning" }));
    let at_work = busy(&world).await;
    at_work.0.answered(40).await;
    let waiting = async || metric(&world.nodes[0], "relay_lag_events").await;
    eventually(LIMIT, waiting, |waiting| *waiting > 0.0).await;

    block_in_place(|| world.nats[0].restart().unwrap());
    all_is_well(&world, at_work).await;
    let up = async || health(&world.nodes[0]).await.1["details"]["nats"]["status"] == "up";
    eventually(LIMIT, up, |up| *up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_waiting_would_not_help_ends() {
    let mut world = World::prepare(plan(1)).await;
    world.nodes[0].set("CONCIERGE_MASTER_KEY", &"f".repeat(64));
    world.open_log().check_master_key().await.unwrap();
    world.nodes[0].start();
    eventually(LIMIT, async || world.nodes[0].has_fallen(), |fallen| *fallen).await;
    assert!(world.nodes[0].log().contains("master key"), "{}", world.nodes[0].log());
}
