//! Relays that are killed, doubled and replaced.

use std::time::Duration;

use proof_concierge::lease::{Duty, Lease};
use proof_concierge::relay::{self, Progress, Relay};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::eventually::eventually;
use crate::support::stream::{Desk, LIMIT, connect, desk};

/// Who holds the relay's lock in this test's database.
const HOLDERS: &str = "from pg_locks where locktype = 'advisory' and objid = 5006 and granted \
                       and database = (select oid from pg_database where datname = current_database())";

/// Relays until the stream has everything.
async fn finish(desk: &Desk) {
    let mut relay = Relay::new(desk.log.clone(), desk.bus.clone());
    let mut cursor = relay.resume().await.unwrap();
    loop {
        let window = relay.read_window(&cursor).await.unwrap();
        if window.is_empty() {
            return;
        }
        if relay.publish_window(&mut cursor, &window).await.unwrap() == Progress::Resync {
            cursor = relay.resume().await.unwrap();
        }
    }
}

#[tokio::test]
async fn facts_arrive_in_the_order_of_the_log() {
    let desk = desk().await;
    let stop = CancellationToken::new();
    let options = desk.database.pool.connect_options().as_ref().clone();
    let relay = tokio::spawn(relay::run(desk.log.clone(), desk.bus.clone(), options, stop.clone()));
    desk.append_histories(1..=20, 12).await;
    desk.stream_equals_log().await;
    stop.cancel();
    tokio::time::timeout(LIMIT, relay).await.expect("a relay stops when it is told to").unwrap();
}

/// A relay that dies somewhere: before, between and within its steps.
async fn live_and_die(desk: &Desk, life: u64) {
    let mut relay = Relay::new(desk.log.clone(), desk.bus.clone());
    let mut cursor = relay.resume().await.unwrap();
    if life.is_multiple_of(5) {
        return;
    }
    let window = relay.read_window(&cursor).await.unwrap();
    if life % 5 == 1 {
        return;
    }
    let share = &window[..window.len() / 3];
    if life % 5 == 2 {
        relay.publish_window(&mut cursor, share).await.unwrap();
        return;
    }
    // Dropped while some messages are on their way and some acknowledgments are not back.
    let dying = relay.publish_window(&mut cursor, &window);
    let _ = tokio::time::timeout(Duration::from_micros(50 * life), dying).await;
}

#[tokio::test]
async fn a_relay_that_dies_at_any_step_loses_and_doubles_nothing() {
    let desk = desk().await;
    for life in 0..40 {
        let query = i64::try_from(life).unwrap() + 1;
        desk.append_histories([query], 9).await;
        live_and_die(&desk, life).await;
    }
    finish(&desk).await;
    desk.stream_equals_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_relays_at_once_are_one_too_many_but_harmless() {
    let desk = desk().await;
    let mut relays = JoinSet::new();
    for _ in 0..3 {
        // Nobody holds a lock here: each believes that it is the only one.
        let mut relay = Relay::new(desk.log.clone(), connect(&desk.config).await);
        relays.spawn(async move {
            let mut cursor = relay.resume().await.unwrap();
            loop {
                let window = relay.read_window(&cursor).await.unwrap();
                if window.is_empty() {
                    tokio::task::yield_now().await;
                } else if !matches!(relay.publish_window(&mut cursor, &window).await, Ok(Progress::Done)) {
                    cursor = relay.resume().await.unwrap();
                }
            }
        });
    }
    desk.append_histories(1..=40, 12).await;
    desk.stream_equals_log().await;
    assert!(relays.try_join_next().is_none(), "no relay failed");
}

#[tokio::test]
async fn a_stand_by_takes_over_from_a_relay_that_lost_its_session() {
    let desk = desk().await;
    let stop = CancellationToken::new();
    let options = desk.database.pool.connect_options().as_ref().clone();
    let other = connect(&desk.config).await;
    let first = tokio::spawn(relay::run(desk.log.clone(), desk.bus.clone(), options.clone(), stop.clone()));
    desk.append_histories(1..=5, 6).await;
    desk.stream_equals_log().await;
    let second = tokio::spawn(relay::run(desk.log.clone(), other, options, stop.clone()));
    sqlx::query(&format!("select pg_terminate_backend(pid) {HOLDERS}")).execute(&desk.database.pool).await.unwrap();
    desk.append_histories(6..=10, 6).await;
    desk.stream_equals_log().await;
    first.abort();
    let count = format!("select count(*) {HOLDERS}");
    let held = async || sqlx::query_scalar::<_, i64>(&count).fetch_one(&desk.database.pool).await.unwrap();
    eventually(LIMIT, held, |holders| *holders == 1).await;
    desk.append_histories(11..=12, 6).await;
    desk.stream_equals_log().await;
    stop.cancel();
    tokio::time::timeout(LIMIT, second).await.expect("a relay stops when it is told to").unwrap();
}

#[tokio::test]
async fn a_relay_that_hangs_loses_its_lock() {
    let desk = desk().await;
    let options = desk.database.pool.connect_options();
    let hanging = Lease::try_take(&options, Duty::Relay).await.unwrap().expect("nobody holds it yet");
    assert!(Lease::try_take(&options, Duty::Relay).await.unwrap().is_none(), "one at a time");
    eventually(LIMIT, async || Lease::try_take(&options, Duty::Relay).await.unwrap().is_some(), |taken| *taken).await;
    drop(hanging);
}
