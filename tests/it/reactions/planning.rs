//! Each fact is planned once, whoever plans.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, QueryId};
use aggregates::people::Actor;
use aggregates::policy::{Effect, effects};
use aggregates::recorded::{Event, Metadata, Position, StreamId};
use aggregates::testing::{accepted_by, ada, opened};
use proof_concierge::accounts::Accounts;
use proof_concierge::accounts::devices::Devices;
use proof_concierge::database::{self, Purpose};
use proof_concierge::integrations::Outbox;
use proof_concierge::integrations::calls::CallRooms;
use proof_concierge::integrations::mail::Mailer;
use proof_concierge::integrations::push::Push;
use proof_concierge::log::{Append, StreamAppend};
use proof_concierge::projector::Freshness;
use proof_concierge::reactions::{Carrier, Planner};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::eventually::eventually;
use crate::support::stream::{Desk, LIMIT, connect, desk};

/// Planners that do not wait for each other's lock. They end with the set. Nobody projects, so they find nobody out and
/// write a row for each audience.
async fn planners(desk: &Desk, count: usize) -> JoinSet<()> {
    let mut planners = JoinSet::new();
    for _ in 0..count {
        let (bus, carrier) = (connect(&desk.config).await, carrier(desk).await);
        let planner = Planner::new(bus, carrier, desk.database.pool.clone(), watch::Sender::new(()));
        planners.spawn(async move { planner.run().await });
    }
    planners
}

async fn carrier(desk: &Desk) -> Carrier {
    let config = &desk.config;
    let reads = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
    let outbox = Outbox::new(reads.clone());
    Carrier {
        log: desk.log.clone(),
        freshness: Freshness::new(desk.log.clone(), reads.clone()),
        accounts: Accounts::open(reads.clone(), &config.jwt_secret).await.unwrap(),
        devices: Devices::new(reads.clone()),
        push: Push::new(&config.push, outbox.clone()).unwrap(),
        mailer: Mailer::new(&config.mail, outbox).unwrap(),
        frontend_url: config.mail.frontend_url.clone(),
        rooms: CallRooms::new(config, reads.clone()).unwrap(),
        reads,
    }
}

async fn planned_up_to(desk: &Desk, position: Position) {
    let checkpoint = async || {
        let at = sqlx::query_scalar::<_, i64>("select position from reaction_checkpoint");
        at.fetch_one(&desk.database.pool).await.unwrap()
    };
    eventually(LIMIT, checkpoint, |at| *at == position.0).await;
}

async fn rows(desk: &Desk) -> Vec<(i64, i16)> {
    sqlx::query_as("select position, effect from deliveries order by position, effect")
        .fetch_all(&desk.database.pool)
        .await
        .unwrap()
}

/// What the facts of the log ask for, but timers.
async fn expected(desk: &Desk) -> Vec<(i64, i16)> {
    let mut expected = Vec::new();
    for stored in desk.log.read_after(Position::START, i64::MAX).await.unwrap() {
        let fact = desk.log.open(&stored).await.unwrap();
        for (index, effect) in (0..).zip(effects(&fact)) {
            if matches!(effect, Effect::Push { .. } | Effect::Mail { .. } | Effect::CloseRoom(_)) {
                expected.push((fact.position.0, index));
            }
        }
    }
    expected
}

async fn append_from_elsewhere(desk: &Desk, query: i64, events: Vec<DonorQueryEvent>) -> Position {
    let id = QueryId::new(query);
    let appended = desk.log.append(Append {
        streams: vec![StreamAppend {
            stream: StreamId::DonorQuery(id),
            query: id,
            expected: 0,
            events: events.into_iter().map(Event::DonorQuery).collect(),
        }],
        subject: DonorId::new(format!("donor-{query}")),
        metadata: Metadata::of(&Actor::System, "import").imported_from("the old desk"),
        key: None,
    });
    appended.await.unwrap().events.last().unwrap().position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_planners_that_race_plan_every_fact_once() {
    let desk = desk().await;
    let mut planners = planners(&desk, 2).await;
    let last = desk.append_histories(1..=60, 12).await;
    planned_up_to(&desk, last).await;
    assert_eq!(rows(&desk).await, expected(&desk).await);
    assert!(planners.try_join_next().is_none(), "no planner ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_planner_goes_on_where_the_last_one_was_killed() {
    let desk = desk().await;
    for round in 0..8 {
        let planners = planners(&desk, 1).await;
        desk.append_histories([round * 2 + 1, round * 2 + 2], 12).await;
        // Somewhere in the middle of its work, or before.
        drop(planners);
    }
    let _last = planners(&desk, 1).await;
    planned_up_to(&desk, desk.log.head().await.unwrap()).await;
    assert_eq!(rows(&desk).await, expected(&desk).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_told_of_facts_that_were_taken_over() {
    let desk = desk().await;
    let _planner = planners(&desk, 1).await;
    append_from_elsewhere(&desk, 1, vec![opened(), accepted_by(&ada())]).await;
    let last = desk.append(2, 0, vec![opened()]).await;
    planned_up_to(&desk, last).await;
    let positions: Vec<_> = rows(&desk).await.into_iter().map(|(position, _)| position).collect();
    assert_eq!(positions, [3, 3], "only the fact of this desk, by push and by mail");
}
