//! Several projectors share the partitions, and whoever is left takes over those of one that died.

use std::collections::BTreeMap;

use proof_concierge::projector::{Freshness, Projector};
use proof_concierge::relay;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::projector::rows_equal_replay;
use crate::support::eventually::eventually;
use crate::support::stream::{Desk, LIMIT, connect, desk};

/// A node that projects its share; it dies with this value, in the middle of whatever it does.
struct Instance {
    freshness: Freshness,
    running: JoinHandle<()>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn instance(desk: &Desk) -> Instance {
    let freshness = Freshness::new(desk.log.clone(), desk.database.pool.clone());
    let (bus, url) = (connect(&desk.config).await, &desk.config.database_url);
    let projector = Projector::new(desk.log.clone(), bus, url, freshness.clone(), 1).unwrap();
    Instance { freshness, running: tokio::spawn(projector.run(CancellationToken::new())) }
}

fn relay_in_background(desk: &Desk) -> JoinHandle<()> {
    let options = desk.database.pool.connect_options().as_ref().clone();
    tokio::spawn(relay::run(desk.log.clone(), desk.bus.clone(), options, CancellationToken::new()))
}

/// How many partitions each session holds, largest share first; insists that nobody holds one that another holds.
async fn shares(desk: &Desk) -> Vec<usize> {
    let held: Vec<(i32, i64)> = sqlx::query_as(
        "select pid, objid::bigint
         from pg_locks
         where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())
         and classid = 5007
         and objsubid = 2
         and objid < 16
         and granted",
    )
    .fetch_all(&desk.database.pool)
    .await
    .unwrap();
    let mut shares = BTreeMap::<i32, usize>::new();
    for (pid, _) in held {
        *shares.entry(pid).or_default() += 1;
    }
    let mut shares: Vec<usize> = shares.into_values().collect();
    shares.sort_by(|a, b| b.cmp(a));
    shares
}

async fn shared_as(desk: &Desk, expected: &[usize]) {
    eventually(LIMIT, async || shares(desk).await, |shares| *shares == expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn projectors_share_the_partitions_as_they_come_and_go() {
    let desk = desk().await;
    let relay = relay_in_background(&desk);
    let one = instance(&desk).await;
    shared_as(&desk, &[16]).await;
    let other = instance(&desk).await;
    shared_as(&desk, &[8, 8]).await;
    let third = instance(&desk).await;
    shared_as(&desk, &[6, 6, 4]).await;

    // Everybody knows how far all of them got, whoever applied it.
    let last = desk.append_histories(1..=32, 12).await;
    for instance in [&one, &other, &third] {
        assert!(instance.freshness.reached_all(last, LIMIT).await);
    }
    drop((third, other));
    shared_as(&desk, &[16]).await;
    let last = desk.append_histories(33..=48, 12).await;
    assert!(one.freshness.reached_all(last, LIMIT).await);
    rows_equal_replay(&desk).await;
    relay.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_dead_projector_left_is_applied_once_by_the_others() {
    let desk = desk().await;
    let relay = relay_in_background(&desk);
    let survivor = instance(&desk).await;
    for life in 0..6 {
        let doomed = instance(&desk).await;
        shared_as(&desk, &[8, 8]).await;
        // It dies with facts on their way, in whichever state that is.
        let last = desk.append_histories(life * 32 + 1..=life * 32 + 32, 6).await;
        drop(doomed);
        assert!(survivor.freshness.reached_all(last, LIMIT).await, "after {life} others");
    }
    rows_equal_replay(&desk).await;
    relay.abort();
}
