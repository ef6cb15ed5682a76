//! The readers of a node hear one subscription together: each what it asked for, and none waits for another.

use std::time::Duration;

use aggregates::recorded::{Partition, Position};
use futures_util::future::try_join_all;
use proof_concierge::bus::{Bus, Delivery, Feed, Scope};
use proof_concierge::relay;
use proof_concierge::tail::Tail;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::eventually::eventually;
use crate::support::stream::{Desk, LIMIT, desk, desk_with_nats};

/// More facts than wait for a reader of one partition.
const TOO_MANY: i64 = 600;

async fn start_relay(desk: &Desk) {
    let options = desk.database.pool.connect_options().as_ref().clone();
    tokio::spawn(relay::run(desk.log.clone(), desk.bus.clone(), options, CancellationToken::new()));
    // There is something to subscribe to.
    desk.append_histories([1], 3).await;
    desk.stream_equals_log().await;
}

/// The next thing that a feed has to say; nothing if it is over.
async fn next(feed: &mut Feed) -> Option<Delivery> {
    timeout(LIMIT, feed.next()).await.expect("a feed says something, or ends")
}

/// The positions that a feed tells up to one, and how often it missed something.
async fn hear_through(feed: &mut Feed, through: Position) -> (Vec<Position>, usize) {
    let (mut heard, mut missed) = (Vec::new(), 0);
    while heard.last().is_none_or(|last| *last < through) {
        match next(feed).await.expect("the feed goes on") {
            Delivery::Fact { position, event: Some(event), .. } if event.position == position => heard.push(position),
            Delivery::Missed => missed += 1,
            other => panic!("{other:?}"),
        }
    }
    (heard, missed)
}

async fn reopened(bus: &Bus, scope: Scope) -> Feed {
    eventually(LIMIT, async || bus.open_feed(scope).await.ok().map(Opened), Option::is_some)
        .await
        .expect("it is open")
        .0
}

/// A feed that can be looked at.
struct Opened(Feed);

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a feed")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_readers_there_are_nats_has_one() {
    let desk = desk().await;
    start_relay(&desk).await;
    let scopes: Vec<_> = [Scope::All, Scope::All].into_iter().chain(Partition::all().map(Scope::One)).collect();
    let feeds = try_join_all(scopes.iter().map(|scope| desk.bus.open_feed(*scope))).await.unwrap();
    let (context, name) = desk.jetstream().await;
    assert_eq!(context.get_stream(&name).await.unwrap().cached_info().state.consumer_count, 1);

    let before = desk.log.head().await.unwrap();
    let last = desk.append_histories(2..=40, 9).await;
    let facts = desk.log.read_after(before, i64::MAX).await.unwrap();
    for (scope, mut feed) in scopes.into_iter().zip(feeds) {
        let wanted = facts.iter().filter(|fact| scope == Scope::All || scope == Scope::One(fact.partition()));
        let wanted: Vec<_> = wanted.map(|fact| fact.position).collect();
        let last_wanted = *wanted.last().expect("every partition has facts");
        assert!(last_wanted <= last);
        assert_eq!(hear_through(&mut feed, last_wanted).await, (wanted, 0), "{scope:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_falls_behind_is_told_and_holds_nobody_up() {
    let desk = desk().await;
    start_relay(&desk).await;
    let partition = Scope::One(Partition(2));
    let (mut slow, mut quick) =
        (desk.bus.open_feed(partition).await.unwrap(), desk.bus.open_feed(Scope::All).await.unwrap());
    let before = desk.log.head().await.unwrap();
    // All of them are of queries whose number leaves 2 in 16.
    let last = desk.append_histories((0..=TOO_MANY / 9).map(|number| 18 + 16 * number), 9).await;
    let (heard, missed) = hear_through(&mut quick, last).await;
    assert_eq!((heard, missed), ((before.0 + 1..=last.0).map(Position).collect(), 0));
    let (heard, missed) = hear_through(&mut slow, last).await;
    assert_eq!(missed, 1);
    assert!(heard.len() < usize::try_from(TOO_MANY).unwrap() && heard.is_sorted(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_busy_keep_nobody_from_opening_a_feed() {
    let desk = desk().await;
    start_relay(&desk).await;
    let mut busy = Vec::new();
    for turn in 0..100 {
        let mut tail = Tail::start(desk.log.clone(), desk.bus.clone(), Scope::All, desk.log.head().await.unwrap());
        // Wherever in opening its feed it is by then, it has other things to do from now on.
        let moment = Duration::from_micros(50 * turn);
        assert!(timeout(moment, tail.next_batch(1)).await.is_err(), "nothing happens");
        busy.push(tail);
        let feed = timeout(LIMIT, desk.bus.open_feed(Scope::All)).await;
        drop(feed.expect("its turn comes").unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_feeds_end_with_the_connection_and_begin_again() {
    let (desk, mut nats, _) = desk_with_nats().await;
    start_relay(&desk).await;
    let scopes = [Scope::All, Scope::One(Partition(3))];
    let mut feeds = try_join_all(scopes.map(|scope| desk.bus.open_feed(scope))).await.unwrap();
    nats.kill();
    for feed in &mut feeds {
        assert!(next(feed).await.is_none(), "nothing was said, and nothing will be");
    }
    nats.restart().unwrap();
    let (mut all, mut one) = (reopened(&desk.bus, scopes[0]).await, reopened(&desk.bus, scopes[1]).await);
    let last = desk.append_histories([3], 9).await;
    assert_eq!(hear_through(&mut all, last).await, hear_through(&mut one, last).await);
}
