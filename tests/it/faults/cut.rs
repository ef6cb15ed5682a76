//! Cables: each of them cut for a while, and each of them silent for a while, with everything under way.

use super::{CLIENTS, all_is_well, busy, plan};
use crate::support::eventually::eventually;
use crate::world::node::Node;
use crate::world::proxy::{Cable, Proxy};
use crate::world::{LIMIT, World};

/// Both nodes lose a cable in turn, first that of whoever relays.
async fn both_lose(cable: fn(&Node) -> &Proxy, fault: Cable) {
    let world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    let relays = world.holder_of("relay").await;
    for number in [relays, 1 - relays] {
        cable(&world.nodes[number]).set(fault);
        at_work.0.answered(30).await;
        cable(&world.nodes[number]).set(Cable::Sound);
        at_work.0.answered(10).await;
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_node_and_postgres_cut() {
    both_lose(|node| &node.database, Cable::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_node_and_postgres_silent() {
    both_lose(|node| &node.database, Cable::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_node_and_nats_cut() {
    both_lose(|node| &node.nats, Cable::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_node_and_nats_silent() {
    both_lose(|node| &node.nats, Cable::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_client_and_node_cut() {
    both_lose(|node| &node.door, Cable::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_client_and_node_silent() {
    both_lose(|node| &node.door, Cable::Silent).await;
}

/// Nobody else can take over meanwhile, so that whatever the node has begun it has to end itself.
async fn the_only_node_loses_postgres(fault: Cable) {
    let world = World::start(plan(1)).await;
    let at_work = busy(&world).await;
    let before = at_work.0.repeated();
    world.nodes[0].database.set(fault);
    // By then each client has asked in vain for many times, or as long as clients wait.
    eventually(LIMIT, async || at_work.0.repeated(), |now| *now > before + 5 * CLIENTS).await;
    world.nodes[0].database.set(Cable::Sound);
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_only_node_and_postgres_cut() {
    the_only_node_loses_postgres(Cable::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_only_node_and_postgres_silent() {
    the_only_node_loses_postgres(Cable::Silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_torn_again_and_again() {
    let world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for turn in 0..12 {
        at_work.0.answered(6).await;
        let node = &world.nodes[turn % 2];
        [&node.database, &node.nats, &node.door][turn % 3].cut_once();
    }
    all_is_well(&world, at_work).await;
}
