//! What may happen to a world. Every fault is over when its strike returns, or mends itself.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::world::World;
use crate::world::load::Load;
use crate::world::node::Node;
use crate::world::proxy::{Cable, Proxy};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A node is killed and started again.
    NodeKilled,
    /// Whoever does something for all is killed and started again.
    HolderKilled,
    /// A node is stopped in good order and started again.
    NodeRestarted,
    /// A node stands still for a while.
    NodeFrozen,
    /// All nodes are killed at once.
    EverybodyKilled,
    /// PostgreSQL is killed and started again.
    PostgresKilled,
    /// nats-server is killed and started again.
    NatsKilled,
    /// nats-server loses all it has.
    NatsWiped,
    /// nats-server is away for a while.
    NatsAway,
    /// One cable is cut for a while.
    CableCut,
    /// One cable lets nothing through for a while.
    CableSilent,
    /// All connections of one cable end.
    ConnectionsTorn,
}

/// Every fault; the draw is even.
const ALL: &[Fault] = &[
    Fault::NodeKilled,
    Fault::HolderKilled,
    Fault::NodeRestarted,
    Fault::NodeFrozen,
    Fault::EverybodyKilled,
    Fault::PostgresKilled,
    Fault::NatsKilled,
    Fault::NatsWiped,
    Fault::NatsAway,
    Fault::CableCut,
    Fault::CableSilent,
    Fault::ConnectionsTorn,
];

/// The cables of a node.
const CABLES: &[fn(&Node) -> &Proxy] = &[|node| &node.database, |node| &node.nats, |node| &node.door];

impl Fault {
    /// Draws one.
    pub(crate) fn draw(random: &mut StdRng) -> Self {
        ALL[random.random_range(0..ALL.len())]
    }

    /// Does it, lets people notice, and ends it.
    pub(crate) async fn strike(self, world: &mut World, load: &Load, random: &mut StdRng) {
        let number = random.random_range(0..world.nodes.len());
        let while_it_lasts = random.random_range(1..60);
        let cable = *pick(random, CABLES);
        match self {
            Self::NodeKilled => restart_after(world, load, &[number], while_it_lasts).await,
            Self::HolderKilled => {
                let duty = *pick(random, &["relay", "projector", "planner"]);
                let holder = world.holder_of(duty).await;
                restart_after(world, load, &[holder], while_it_lasts).await;
            }
            Self::NodeRestarted => {
                assert!(world.nodes[number].stop(), "node {number} ended badly:\n{}", world.nodes[number].last_words());
                world.nodes[number].start();
            }
            Self::NodeFrozen => {
                world.nodes[number].freeze(true);
                answered_by_others(world, load, while_it_lasts).await;
                world.nodes[number].freeze(false);
            }
            Self::EverybodyKilled => {
                let all: Vec<_> = (0..world.nodes.len()).collect();
                restart_after(world, load, &all, 0).await;
            }
            Self::PostgresKilled => world.crash_postgres(),
            Self::NatsKilled => world.crash_nats(),
            Self::NatsWiped => world.wipe_nats(),
            Self::NatsAway => {
                world.nats[0].kill();
                load.answered(while_it_lasts).await;
                world.crash_nats();
            }
            Self::CableCut => damage(world, load, number, cable, Cable::Cut, while_it_lasts).await,
            Self::CableSilent => damage(world, load, number, cable, Cable::Silent, while_it_lasts).await,
            Self::ConnectionsTorn => cable(&world.nodes[number]).cut_once(),
        }
        world.ready().await;
    }
}

fn pick<'a, T>(random: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

async fn restart_after(world: &mut World, load: &Load, nodes: &[usize], answers: usize) {
    for number in nodes {
        world.nodes[*number].kill();
    }
    answered_by_others(world, load, answers).await;
    for number in nodes {
        world.nodes[*number].start();
    }
}

async fn damage(world: &World, load: &Load, node: usize, cable: fn(&Node) -> &Proxy, fault: Cable, answers: usize) {
    cable(&world.nodes[node]).set(fault);
    answered_by_others(world, load, answers).await;
    cable(&world.nodes[node]).set(Cable::Sound);
}

/// Waits for answers, unless there is nobody else to give them.
async fn answered_by_others(world: &World, load: &Load, answers: usize) {
    if world.nodes.len() > 1 {
        load.answered(answers).await;
    }
}
