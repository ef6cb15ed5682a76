//! Three nodes, three nats-servers that keep the stream together, and PostgreSQL: any of the six can go, and nobody notices
//! when the nodes are restarted one after the other.

use std::time::Duration;

use tokio::task::block_in_place;

use super::{all_is_well, busy, plan};
use crate::support::eventually::eventually;
use crate::world::read::Readers;
use crate::world::stream::{jetstream, leader_of_all};
use crate::world::{LIMIT, Plan, World, health, metric};

/// How many nodes there are, and how many nats-servers.
const THREE: usize = 3;

/// How long it may take until somebody else publishes.
const TAKE_OVER: Duration = Duration::from_secs(5);

fn cluster() -> Plan {
    plan(THREE).nats(THREE)
}

/// A cluster whose nats-servers have agreed on who leads the stream, and the number of that one.
async fn formed(world: &World) -> usize {
    let (context, name) = jetstream(&world.config).await;
    let leader = async || leader_of_all(&context, &name, THREE - 1).await;
    let leader = eventually(LIMIT, leader, Option::is_some).await;
    world.nats.iter().position(|server| leader.as_deref() == Some(server.name())).expect("it is one of them")
}

/// The sum of a number over nodes.
async fn sum(world: &World, nodes: &[usize], name: &str) -> f64 {
    let mut sum = 0.0;
    for number in nodes {
        sum += metric(&world.nodes[*number], name).await;
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_is_killed() {
    let mut world = World::start(cluster()).await;
    let at_work = busy(&world).await;
    for number in 0..THREE {
        at_work.0.answered(12).await;
        world.nodes[number].kill();
        at_work.0.answered(24).await;
        world.nodes[number].start();
        world.ready().await;
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_nats_server_is_killed() {
    let mut world = World::start(cluster()).await;
    let at_work = busy(&world).await;
    let first = formed(&world).await;
    for number in [first, (first + 1) % THREE, (first + 2) % THREE] {
        at_work.0.answered(12).await;
        world.nats[number].kill();
        at_work.0.answered(24).await;
        block_in_place(|| world.nats[number].restart().unwrap());
        formed(&world).await;
    }
    let refills = sum(&world, &[0, 1, 2], "relay_stream_regressions_total").await;
    assert!(refills < 1.0, "what two of three keep is not lost");
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_relays_within_five_seconds() {
    let mut world = World::start(cluster()).await;
    let at_work = busy(&world).await;
    formed(&world).await;
    for _ in 0..2 {
        at_work.0.answered(12).await;
        let relays = world.holder_of("relay").await;
        let others: Vec<_> = (0..THREE).filter(|number| *number != relays).collect();
        let published = async || sum(&world, &others, "relay_published_total").await;
        let before = published().await;
        world.nodes[relays].kill();
        let published = async || sum(&world, &others, "relay_published_total").await;
        eventually(TAKE_OVER, published, |now| *now > before).await;
        world.nodes[relays].start();
        world.ready().await;
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_all_nodes_are_restarted_one_after_the_other() {
    let mut world = World::start(cluster().with("CONCIERGE_DRAIN_SECONDS", "2")).await;
    world.open_doors();
    let at_work = busy(&world).await;
    let readers = Readers::start(&world, 2 * THREE);
    for number in 0..THREE {
        at_work.0.answered(12).await;
        readers.answered(12).await;
        world.nodes[number].ask_to_stop();
        eventually(LIMIT, async || health(&world.nodes[number]).await.0, |status| *status == Some(503)).await;
        assert!(block_in_place(|| world.nodes[number].ended()), "{}", world.nodes[number].last_words());
        at_work.0.answered(12).await;
        world.nodes[number].start();
        world.ready().await;
    }
    readers.answered(12).await;
    assert_eq!(readers.finish().await, Vec::<String>::new());
    assert_eq!(at_work.0.repeated(), 0, "every command was answered at once");
    all_is_well(&world, at_work).await;
}
