//! The read models follow the log: once, in order, behind a fence, and past what cannot be applied.

use std::time::Duration;

use aggregates::recorded::{Partition, Position};
use aggregates::testing::{accepted_by, ada, marked_in_progress, opened, staff};
use projections::Projection;
use proof_concierge::database::{self, Purpose};
use proof_concierge::projector::{self, Freshness, Projector};
use proof_concierge::relay;
use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::eventually::eventually;
use crate::support::node;
use crate::support::stream::{Desk, LIMIT, connect, desk};
use crate::world::replay;

/// Nodes that do not wait for each other's lock. They end with this value.
pub(crate) struct Nodes(JoinSet<()>);

impl Nodes {
    /// A node that relays.
    pub(crate) fn relaying(desk: &Desk) -> Self {
        let options = desk.database.pool.connect_options().as_ref().clone();
        let mut nodes = JoinSet::new();
        nodes.spawn(relay::run(desk.log.clone(), desk.bus.clone(), options, CancellationToken::new()));
        Self(nodes)
    }

    /// One more node that projects, and how far it says it is.
    pub(crate) async fn project(&mut self, desk: &Desk) -> Freshness {
        let bus = connect(&desk.config).await;
        let freshness = Freshness::new(desk.log.clone(), desk.database.pool.clone());
        let url = &desk.config.database_url;
        let projector = Projector::new(desk.log.clone(), bus, url, freshness.clone(), 2).unwrap();
        self.0.spawn(async move { projector.project(Partition::all().collect()).await });
        freshness
    }
}

/// Applies the whole log at once to empty tables, and insists that the live ones look the same.
pub(crate) async fn rows_equal_replay(desk: &Desk) {
    let different = replay::tables_unlike_replay(&desk.log, &desk.database.pool).await;
    assert!(different.is_empty(), "unlike a replay: {different:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn read_models_follow_the_log_and_waits_end() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    let freshness = nodes.project(&desk).await;
    for query in 1..=50 {
        let position = desk.append_histories([query], 3).await;
        let partition = Partition(u16::try_from(query % 16).unwrap());
        assert!(freshness.reached(partition, position, LIMIT).await, "{query}");
    }
    assert!(freshness.reached_all(desk.log.head().await.unwrap(), LIMIT).await);
    assert_eq!(freshness.applied(), Position(150));
    rows_equal_replay(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_does_not_project_knows_how_far_the_other_is() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    nodes.project(&desk).await;
    let polling = Freshness::new(desk.log.clone(), desk.database.pool.clone());
    let listening = polling.clone();
    let (bus, stop) = (connect(&desk.config).await, CancellationToken::new());
    let follow = tokio::spawn(async move { listening.follow(&bus, &stop).await });
    let position = desk.append_histories([17], 9).await;
    assert!(polling.reached(Partition(1), position, LIMIT).await);
    follow.abort();
    let position = desk.append_histories([18], 9).await;
    assert!(polling.reached(Partition(2), position, LIMIT).await);
    assert!(polling.reached_all(position, LIMIT).await);
    assert!(!polling.reached_all(Position(1_000), Duration::from_millis(20)).await, "there is no such fact");
    assert!(!polling.reached(Partition(2), Position(1_000), Duration::from_millis(20)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn news_about_facts_that_are_not_in_the_log_are_not_believed() {
    let desk = desk().await;
    let position = desk.append(1, 0, vec![opened()]).await;
    let freshness = Freshness::new(desk.log.clone(), desk.database.pool.clone());
    let (listening, bus, stop) = (freshness.clone(), connect(&desk.config).await, CancellationToken::new());
    let follow = tokio::spawn(async move { listening.follow(&bus, &stop).await });
    let say = async || {
        desk.bus.publish_signal("applied", format!("[[1,{},false],[2,1000,false]]", position.0).into());
        freshness.reached(Partition(1), position, Duration::from_millis(20)).await
    };
    eventually(LIMIT, say, |heard| *heard).await;
    assert!(!freshness.reached(Partition(2), Position(1_000), Duration::from_millis(20)).await);
    follow.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_database_lost_in_a_crash_is_not_said_to_be_applied() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    nodes.project(&desk).await;
    let freshness = Freshness::new(desk.log.clone(), desk.database.pool.clone());
    let (listening, bus, stop) = (freshness.clone(), connect(&desk.config).await, CancellationToken::new());
    let follow = tokio::spawn(async move { listening.follow(&bus, &stop).await });
    let position = desk.append_histories([17], 9).await;
    assert!(freshness.reached_all(position, LIMIT).await);
    // As after a crash: read models and checkpoints are behind again, and nobody projects yet.
    drop(nodes);
    let (instant, mut connection) = (Duration::from_millis(20), desk.database.pool.acquire().await.unwrap());
    connection
        .execute(
            "truncate read.queries, read.query_details, read.query_terms, read.messages, read.message_threads, read.calls, read.requests,
                 read.board, read.board_queries;
             update projection_checkpoints set position = 0",
        )
        .await
        .unwrap();
    let begin = async || {
        desk.bus.publish_signal("applied", "[]".into());
        freshness.reached(Partition(1), position, instant).await
    };
    eventually(LIMIT, begin, |reached| !reached).await;
    assert!(!freshness.reached_all(position, instant).await);
    assert_eq!(freshness.applied(), Position::START);
    let mut nodes = Nodes::relaying(&desk);
    nodes.project(&desk).await;
    eventually(LIMIT, async || freshness.applied(), |applied| *applied == position).await;
    assert!(freshness.reached_all(position, LIMIT).await);
    rows_equal_replay(&desk).await;
    follow.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_projectors_at_once_apply_everything_once() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    let one = nodes.project(&desk).await;
    let other = nodes.project(&desk).await;
    let last = desk.append_histories(1..=60, 12).await;
    assert!(one.reached_all(last, LIMIT).await);
    assert!(other.reached_all(last, LIMIT).await);
    rows_equal_replay(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_projector_that_dies_is_followed_by_one_that_goes_on() {
    let desk = desk().await;
    let mut last = Position::START;
    for life in 0..8 {
        let mut nodes = Nodes::relaying(&desk);
        let freshness = nodes.project(&desk).await;
        last = desk.append_histories(life * 5 + 1..=life * 5 + 5, 12).await;
        // It dies with facts on their way, in whichever state that is.
        freshness.reached(Partition(0), last, Duration::from_millis(3 * life.unsigned_abs())).await;
    }
    let mut nodes = Nodes::relaying(&desk);
    assert!(nodes.project(&desk).await.reached_all(last, LIMIT).await);
    rows_equal_replay(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fact_that_cannot_be_applied_stops_its_read_model_in_its_partition_only() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    let freshness = nodes.project(&desk).await;
    // Nobody opened query 1, which only the read models of queries mind.
    let poison = desk.append(1, 0, vec![accepted_by(&ada())]).await;
    let behind = desk.append_histories([17], 9).await;
    let elsewhere = desk.append_histories([2], 9).await;
    assert!(freshness.reached(Partition(2), elsewhere, LIMIT).await);
    assert!(!freshness.reached(Partition(1), behind, LIMIT).await);
    assert!(freshness.is_stopped(Partition(1)));
    assert_eq!(freshness.stopped(), [Partition(1)]);

    let standings = async || projector::standings(&desk.log, &desk.database.pool).await.unwrap();
    let messages_went_on = |standings: &Vec<projector::Standing>| {
        standings.iter().any(|s| s.projection == Projection::Messages && s.lag == 0 && s.stopped.is_empty())
    };
    let standings = eventually(LIMIT, standings, messages_went_on).await;
    let queries = standings.iter().find(|s| s.projection == Projection::Queries).unwrap();
    assert_eq!(queries.stopped.len(), 1);
    assert_eq!((queries.stopped[0].partition, queries.stopped[0].position), (Partition(1), poison));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_donor_whose_key_does_not_open_stops_one_partition_only() {
    let mut desk = desk().await;
    let spoilt = desk.append(1, 0, vec![opened()]).await;
    let fine = desk.append(2, 0, vec![opened()]).await;
    let spoil = "update donor_keys set wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1)
                 where donor_id = 'donor-1'";
    desk.database.pool.execute(spoil).await.unwrap();
    // A node that has no key in memory.
    desk.log = node::log(&desk.database);
    let mut nodes = Nodes::relaying(&desk);
    let freshness = nodes.project(&desk).await;
    assert!(freshness.reached(Partition(2), fine, LIMIT).await);
    assert!(!freshness.reached(Partition(1), spoilt, LIMIT).await);
    let standings = async || projector::standings(&desk.log, &desk.database.pool).await.unwrap();
    let all_stopped = |standings: &Vec<projector::Standing>| {
        standings.iter().all(|s| s.stopped.len() == 1 && s.stopped[0].error.contains("master key"))
    };
    eventually(LIMIT, standings, all_stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stopped_read_model_goes_on_when_it_is_told_to() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    // As if a bug had lost the row: the fact is right, the read model is not.
    let freshness = nodes.project(&desk).await;
    let first = desk.append(1, 0, vec![opened()]).await;
    assert!(freshness.reached(Partition(1), first, LIMIT).await);
    desk.database.pool.execute("create table lost as table read.queries").await.unwrap();
    desk.database.pool.execute("delete from read.queries").await.unwrap();
    let second = desk.append(1, 1, vec![accepted_by(&ada())]).await;
    assert!(!freshness.reached(Partition(1), second, LIMIT).await);
    desk.database.pool.execute("insert into read.queries table lost").await.unwrap();
    let resumed = projector::resume(&desk.database.pool, Projection::Queries).await.unwrap();
    assert_eq!(resumed, 1);
    let third = desk.append(1, 2, vec![marked_in_progress(staff(&ada()))]).await;
    eventually(LIMIT, async || freshness.reached(Partition(1), third, LIMIT).await, |reached| *reached).await;
    assert!(freshness.stopped().is_empty());
    rows_equal_replay(&desk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_froze_in_the_middle_of_a_batch_holds_up_the_next_for_seconds_only() {
    let desk = desk().await;
    let options = database::options(&desk.config.database_url, Purpose::Project).unwrap();
    let mut frozen = PgConnection::connect_with(&options).await.unwrap();
    frozen.execute("begin; update projection_checkpoints set position = position").await.unwrap();
    let mut nodes = Nodes::relaying(&desk);
    let freshness = nodes.project(&desk).await;
    let last = desk.append(1, 0, vec![opened()]).await;
    assert!(freshness.reached_all(last, LIMIT).await);
    assert!(frozen.execute("commit").await.is_err(), "its transaction was ended");
}

#[tokio::test]
async fn no_statement_is_compiled_for_being_reckoned_dear() {
    let desk = desk().await;
    for purpose in [Purpose::Append, Purpose::Read, Purpose::Project] {
        let options = database::options(&desk.config.database_url, purpose).unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        let compiles: String = sqlx::query_scalar("show jit").fetch_one(&mut connection).await.unwrap();
        assert_eq!(compiles, "off", "{purpose:?}");
    }
}
