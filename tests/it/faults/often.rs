//! A fault that is nothing by itself, very often: connections that are torn, and commands that are sent again.

use super::{CLIENTS, all_is_well, plan};
use crate::world::World;
use crate::world::listen::Listeners;
use crate::world::load::{Load, send_again_and_again};

/// How many connections are torn. The torture run tears more.
const CUTS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reconnects_lose_and_repeat_nothing() {
    let world = World::start(plan(2)).await;
    let load = Load::start(&world, CLIENTS, rand::random());
    let listeners = Listeners::start(&world, 10, Some(5)).and_donors(&world, &load, 2, Some(5));
    while listeners.connections() < CUTS {
        load.answered(1).await;
    }
    let verdict = all_is_well(&world, (load, listeners)).await;
    assert!(verdict.connections >= CUTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_and_again_under_one_key_happens_once() {
    let world = World::start(plan(2)).await;
    // Ten thousand of them in the torture run.
    send_again_and_again(&world, 60, 25).await.unwrap();
}
