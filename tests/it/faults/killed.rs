//! Whatever is killed comes back, and nobody can tell from what they were told.

use rand::RngExt;

use super::{all_is_well, busy, plan};
use crate::world::World;

/// How often something is killed in one test.
const KILLS: usize = 3;

/// A moment at random, in answers.
fn a_while() -> usize {
    rand::rng().random_range(5..25)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_killed_again_and_again() {
    let mut world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for kill in 0..KILLS {
        at_work.0.answered(a_while()).await;
        world.nodes[kill % 2].kill();
        at_work.0.answered(a_while()).await;
        world.nodes[kill % 2].start();
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_relays_projects_or_plans_is_killed() {
    let mut world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for duty in ["relay", "projector", "planner"] {
        at_work.0.answered(a_while()).await;
        let holder = world.holder_of(duty).await;
        world.nodes[holder].kill();
        at_work.0.answered(a_while()).await;
        assert_ne!(world.holder_of(duty).await, holder, "somebody else does it now");
        world.nodes[holder].start();
        world.ready().await;
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_node_is_killed() {
    let mut world = World::start(plan(1)).await;
    let at_work = busy(&world).await;
    for _ in 0..KILLS {
        at_work.0.answered(a_while()).await;
        world.nodes[0].kill();
        world.nodes[0].start();
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_killed_again_and_again() {
    let mut world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for _ in 0..KILLS {
        at_work.0.answered(a_while()).await;
        world.crash_nats();
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed_again_and_again() {
    let mut world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for _ in 0..KILLS {
        at_work.0.answered(a_while()).await;
        world.crash_postgres();
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_freezes_is_done_without_and_wakes_up_to_a_world_that_went_on() {
    let world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    let frozen = world.holder_of("relay").await;
    world.nodes[frozen].freeze(true);
    at_work.0.answered(a_while()).await;
    let others = [1 - frozen];
    assert_eq!(world.holder_among("relay", &others).await, others[0]);
    at_work.0.answered(a_while()).await;
    world.nodes[frozen].freeze(false);
    all_is_well(&world, at_work).await;
}
