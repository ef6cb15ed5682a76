//! What an append promises: order, versions, claims, keys, all or nothing.

use aggregates::call_session::CallSessionEvent;
use aggregates::ids::{CallId, QueryId};
use aggregates::recorded::{Event, Position, StreamId};
use aggregates::testing::{accepted_by, ada, call_created, closed_by_donor, opened, resolved_by};
use proof_concierge::log::{AppendError, StreamAppend};
use sqlx::Executor;

use super::{facts, key};
use crate::support::database::database;
use crate::support::node;

#[tokio::test]
async fn facts_come_back_as_they_went_in() {
    let database = database().await;
    let log = node::log(&database);
    let appended = log.append(facts(17, 0, [opened(), accepted_by(&ada())])).await.unwrap();
    let stored = log.read_after(Position::START, 10).await.unwrap();
    assert_eq!(stored.len(), 2);
    for (stored, expected) in stored.iter().zip(&appended.events) {
        assert_eq!(&log.open(stored).await.unwrap(), expected);
    }
    let positions: Vec<i64> = appended.events.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, [1, 2]);
}

#[tokio::test]
async fn a_stale_version_is_refused_and_writes_nothing() {
    let database = database().await;
    let log = node::log(&database);
    log.append(facts(17, 0, [opened()])).await.unwrap();
    for stale in [0, 2, 7] {
        let refused = log.append(facts(17, stale, [accepted_by(&ada())])).await;
        assert!(matches!(refused, Err(AppendError::Conflict(StreamId::DonorQuery(_)))), "{stale}: {refused:?}");
    }
    assert_eq!(log.head().await.unwrap(), Position(1));
}

#[tokio::test]
async fn two_streams_are_written_together_or_not_at_all() {
    let database = database().await;
    let log = node::log(&database);
    let call = |query: i64, expected| StreamAppend {
        stream: StreamId::CallSession(CallId::new(5)),
        query: QueryId::new(query),
        expected,
        events: vec![Event::CallSession(call_created())],
    };
    let mut both = facts(17, 0, [opened()]);
    both.streams.push(call(17, 0));
    assert_eq!(log.append(both).await.unwrap().events.len(), 2);

    let mut half = facts(18, 0, [opened()]);
    half.streams.push(call(18, 0));
    let refused = log.append(half).await;
    assert!(matches!(refused, Err(AppendError::Conflict(StreamId::CallSession(_)))), "{refused:?}");
    assert_eq!(log.head().await.unwrap(), Position(2));
    let stored = log.read_queries(&[QueryId::new(17)], Position::START, 10).await.unwrap();
    let last = log.open(&stored[1]).await.unwrap().event;
    assert!(matches!(last, Event::CallSession(CallSessionEvent::CallCreated { .. })));
}

#[tokio::test]
async fn a_donor_holds_one_open_query_at_a_time() {
    let database = database().await;
    let log = node::log(&database);
    let of_ada = |query, expected, event| {
        let mut append = facts(query, expected, [event]);
        append.subject = aggregates::ids::DonorId::new("ada");
        append
    };
    log.append(of_ada(1, 0, opened())).await.unwrap();
    let refused = log.append(of_ada(2, 0, opened())).await;
    let Err(AppendError::Claimed { holder, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(holder, StreamId::DonorQuery(QueryId::new(1)));
    log.append(of_ada(1, 1, closed_by_donor())).await.unwrap();
    log.append(of_ada(2, 0, opened())).await.unwrap();
    // The first query lets go of what it no longer holds: nothing changes for the second.
    log.append(of_ada(1, 2, resolved_by(&ada()))).await.unwrap();
    assert!(log.append(of_ada(3, 0, opened())).await.is_err());
}

#[tokio::test]
async fn fifty_opens_of_one_donor_at_once_make_one_query() {
    let database = database().await;
    let log = node::log(&database);
    let opens = (1..=50).map(|query| {
        let mut append = facts(query, 0, [opened()]);
        append.subject = aggregates::ids::DonorId::new("ada");
        log.append(append)
    });
    let opened = futures_util::future::join_all(opens).await;
    assert_eq!(opened.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(opened.iter().filter_map(|result| result.as_ref().err()).all(|e| matches!(e, AppendError::Claimed { .. })));
    assert_eq!(log.head().await.unwrap(), Position(1));
}

#[tokio::test]
async fn the_same_key_a_hundred_times_at_once_appends_once() {
    let database = database().await;
    let log = node::log(&database);
    let repeated = (0..100).map(|_| {
        let mut append = facts(17, 0, [opened(), accepted_by(&ada())]);
        append.key = Some(key("once", 1));
        log.append(append)
    });
    let answers: Vec<_> = futures_util::future::join_all(repeated).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.events == answers[0].events));
    assert_eq!(log.head().await.unwrap(), Position(2));
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let database = database().await;
    let log = node::log(&database);
    let mut first = facts(17, 0, [opened()]);
    first.key = Some(key("mine", 1));
    log.append(first).await.unwrap();
    let mut other = facts(18, 0, [opened()]);
    other.key = Some(key("mine", 2));
    assert!(matches!(log.append(other).await, Err(AppendError::KeyReused)));
    assert_eq!(log.head().await.unwrap(), Position(1));
}

#[tokio::test]
async fn keys_are_forgotten_after_seven_days_however_many_there_are() {
    let database = database().await;
    let keys = "insert into command_keys (scope, key, request_hash, created_at)
                select 'staff:1', age || '-' || n, '', now() - age
                from (values (interval '7 days 1 second', 12000), (interval '6 days 23 hours', 1)) as kept (age, count),
                    generate_series(1, count) as n";
    database.pool.execute(keys).await.unwrap();
    let log = node::log(&database);
    assert_eq!(log.forget_old_keys().await.unwrap(), 12_000);
    let left: Vec<String> = sqlx::query_scalar("select key from command_keys").fetch_all(&database.pool).await.unwrap();
    assert_eq!(left, ["6 days 23:00:00-1"]);
}

#[tokio::test]
async fn nobody_changes_the_past() {
    let database = database().await;
    let log = node::log(&database);
    log.append(facts(17, 0, [opened()])).await.unwrap();
    for change in ["update events set sequence = 2", "delete from events", "truncate events"] {
        let refused = database.pool.execute(change).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    let mut service = database.pool.acquire().await.unwrap();
    service.execute("set role concierge_service").await.unwrap();
    let insert = "insert into events select * from events";
    let refused = service.execute(insert).await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
}
