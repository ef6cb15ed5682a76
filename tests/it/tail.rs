//! A tail hands out every fact once and in order, with NATS, without it, and while it comes and goes.

use std::time::Duration;

use aggregates::recorded::{Partition, Position, StoredEvent};
use aggregates::testing::random_history;
use proof_concierge::bus::Scope;
use proof_concierge::relay::{self, Progress, Relay};
use proof_concierge::tail::Tail;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::eventually::eventually;
use crate::support::stream::{Desk, LIMIT, desk, desk_with_nats};

fn start_relay(desk: &Desk) -> tokio::task::JoinHandle<()> {
    let options = desk.database.pool.connect_options().as_ref().clone();
    tokio::spawn(relay::run(desk.log.clone(), desk.bus.clone(), options, CancellationToken::new()))
}

fn start_tail(desk: &Desk, scope: Scope, after: Position) -> Tail {
    Tail::start(desk.log.clone(), desk.bus.clone(), scope, after)
}

/// Reads up to a position and insists on what a tail promises.
async fn read_through(tail: &mut Tail, through: Position) -> Vec<StoredEvent> {
    let mut seen: Vec<StoredEvent> = Vec::new();
    while seen.last().is_none_or(|last| last.position < through) {
        let batch = timeout(LIMIT, tail.next_batch(100)).await.expect("a tail never stalls");
        assert!(!batch.is_empty() && batch.len() <= 100);
        seen.extend(batch);
    }
    seen
}

fn positions(facts: &[StoredEvent]) -> Vec<i64> {
    facts.iter().map(|fact| fact.position.0).collect()
}

#[tokio::test]
async fn a_tail_reads_history_and_goes_live() {
    let desk = desk().await;
    let _relay = start_relay(&desk);
    let history = desk.append_histories(1..=5, 9).await;
    let mut tail = start_tail(&desk, Scope::All, Position(10));
    assert_eq!(positions(&read_through(&mut tail, history).await), (11..=45).collect::<Vec<_>>());
    let live = desk.append_histories(6..=10, 9).await;
    assert_eq!(positions(&read_through(&mut tail, live).await), (46..=90).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_tail_hands_out_is_what_the_log_holds() {
    let desk = desk().await;
    let _relay = start_relay(&desk);
    let mut tail = start_tail(&desk, Scope::All, Position::START);
    let mut live = Vec::new();
    for query in 1..=30 {
        let last = desk.append_histories([query], 9).await;
        live.extend(read_through(&mut tail, last).await);
    }
    let stored = desk.log.read_after(Position::START, 1_000).await.unwrap();
    let text = |facts: &[StoredEvent]| serde_json::to_string(facts).unwrap();
    assert_eq!(text(&live), text(&stored), "byte by byte");
}

#[tokio::test]
async fn without_a_relay_and_without_nats_a_tail_reads_the_log() {
    let (desk, mut nats, _) = desk_with_nats().await;
    let mut with_nats = start_tail(&desk, Scope::All, Position::START);
    let first = desk.append_histories(1..=2, 9).await;
    assert_eq!(read_through(&mut with_nats, first).await.len(), 18);
    nats.stop();
    let mut without = start_tail(&desk, Scope::All, Position::START);
    let second = desk.append_histories(3..=4, 9).await;
    assert_eq!(read_through(&mut with_nats, second).await.len(), 18);
    assert_eq!(read_through(&mut without, second).await.len(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_does_not_wait_for_a_stream_that_is_refilled() {
    let desk = desk().await;
    let mut relay = Relay::new(desk.log.clone(), desk.bus.clone());
    let mut cursor = relay.resume().await.unwrap();
    let mut old = Position::START;
    for query in 1..=4 {
        old = desk.append(query, 0, random_history(query.unsigned_abs(), 2_000)).await;
    }
    let (mut tail, seen) = (start_tail(&desk, Scope::All, Position::START), watch::Sender::new(Position::START));
    let mut last_seen = seen.subscribe();
    let _reader = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let batch = tail.next_batch(100).await;
            seen.send_replace(batch.last().expect("a batch is not empty").position);
        }
    }));
    timeout(LIMIT, last_seen.wait_for(|seen| *seen == old)).await.expect("it is in the log").unwrap();
    let (context, name) = desk.jetstream().await;
    let listeners = async || context.get_stream(&name).await.unwrap().cached_info().state.consumer_count;
    eventually(LIMIT, listeners, |count| *count == 1).await;

    let mut new = None;
    while cursor.position < old {
        let window = relay.read_window(&cursor).await.unwrap();
        assert_eq!(relay.publish_window(&mut cursor, &window[..window.len().min(40)]).await.unwrap(), Progress::Done);
        if new.is_none() && cursor.position.0 > 400 {
            new = Some(desk.append_histories([9], 1).await);
        }
        if new == Some(*last_seen.borrow()) {
            return;
        }
    }
    panic!("everything else was published first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_tail_sees_everything_once_and_in_order_while_nats_dies_again_and_again() {
    let (desk, mut nats, _) = desk_with_nats().await;
    let _relay = start_relay(&desk);
    let done = CancellationToken::new();
    let mut readers = Vec::new();
    for scope in [Scope::All, Scope::All].into_iter().chain(Partition::all().map(Scope::One)) {
        let (mut tail, done) = (start_tail(&desk, scope, Position::START), done.clone());
        readers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                match timeout(Duration::from_secs(5), tail.next_batch(64)).await {
                    Ok(batch) => seen.extend(batch.iter().map(|fact| (fact.position.0, fact.partition()))),
                    Err(_) if done.is_cancelled() => return (scope, seen),
                    Err(_) => {}
                }
            }
        }));
    }
    for round in 0..4 {
        desk.append_histories(round * 20 + 1..=round * 20 + 10, 9).await;
        if round % 2 == 0 {
            nats.kill();
        } else {
            nats.stop();
        }
        desk.append_histories(round * 20 + 11..=round * 20 + 15, 9).await;
        nats.restart().unwrap();
        desk.append_histories(round * 20 + 16..=round * 20 + 20, 9).await;
    }
    done.cancel();
    let facts = desk.log.read_after(Position::START, i64::MAX).await.unwrap();
    for reader in readers {
        let (scope, seen) = timeout(LIMIT, reader).await.expect("a tail never stalls").unwrap();
        let is_wanted = |fact: &&StoredEvent| scope == Scope::All || scope == Scope::One(fact.partition());
        let expected: Vec<_> = facts.iter().filter(is_wanted).map(|fact| (fact.position.0, fact.partition())).collect();
        assert_eq!(seen, expected, "{scope:?}");
    }
    desk.stream_equals_log().await;
}
