//! Whatever is killed comes back, and nobody can tell from what they were told.

use rand::RngExt;

use super::{all_is_well, busy, plan};
use crate::world::World;

/// How often something is killed in one test.
const KILLS: usize = 3;

fn a_few() -> usize {
    rand::rng().random_range(5..25)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_again_and_again() {
    let mut world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for kill in 0..KILLS {
        at_work.0.answered(a_few()).await;
        let node = &mut world.nodes[kill % 2];
        node.kill();
        at_work.0.answered(a_few()).await;
        world.nodes[kill % 2].start();
    }
    all_is_well(&world, at_work).await;
}
