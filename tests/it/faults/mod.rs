//! The promises under fire: whole desks of real processes, one fault each, and a judge afterwards.
//!
//! See [`crate::world`] for what a desk, its load and its judge are. `tests/torture` does the same for hours.

mod absent;
mod clock;
mod cluster;
mod cut;
mod disk;
mod forgetful;
mod killed;
mod often;
mod provider;
mod slow;

use crate::support::servers::scratch;
use crate::world::judge::{Verdict, judge};
use crate::world::listen::Listeners;
use crate::world::load::Load;
use crate::world::{Plan, World};

/// How many clients work at a time.
const CLIENTS: usize = 6;

/// How many staff members listen, and how many donors.
const LISTENERS: usize = 2;

/// A world of so many nodes, as far away from other tests as can be.
fn plan(nodes: usize) -> Plan {
    Plan::new(scratch("world")).nodes(nodes)
}

/// A busy world: its load and its listeners.
async fn busy(world: &World) -> (Load, Listeners) {
    let load = Load::start(world, CLIENTS, rand::random());
    let listeners = Listeners::start(world, LISTENERS, None).and_donors(world, &load, LISTENERS, None);
    load.answered(CLIENTS).await;
    (load, listeners)
}

/// Lets the world work a little more after a fault, and insists that every promise was kept.
async fn all_is_well(world: &World, (load, listeners): (Load, Listeners)) -> Verdict {
    load.answered(2 * CLIENTS).await;
    judge(world, load, listeners).await.unwrap_or_else(|findings| panic!("{findings}"))
}
