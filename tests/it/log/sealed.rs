//! Personal text is sealed at rest, and the table stays readable by the stock library.

use aggregates::donor_query::{DonorQuery, DonorQueryEvent};
use aggregates::people::Actor;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, Position, RecordedEvent, StoredEvent};
use aggregates::testing::{accepted_by, ada, opened, samples};
use cqrs_es::persist::PersistedEventRepository;
use postgres_es::PostgresEventRepository;
use proof_concierge::log::Log;
use sqlx::Executor;

use super::facts;
use crate::support::database::database;
use crate::support::node;

#[tokio::test]
async fn no_personal_text_is_stored_in_the_clear() {
    let database = database().await;
    let log = node::log(&database);
    let DonorQueryEvent::QueryOpened { donor, .. } = opened() else { panic!("a sample changed") };
    let name = donor.get().unwrap().clone();
    log.append(facts(17, 0, [opened()])).await.unwrap();
    let rows: String = sqlx::query_scalar("select payload::text || metadata::text from events")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(!rows.contains(&name), "{rows}");
    assert!(rows.contains("$sealed"), "{rows}");
}

#[tokio::test]
async fn without_its_key_the_fact_stands_and_the_text_is_gone() {
    let database = database().await;
    node::log(&database).append(facts(17, 0, [opened()])).await.unwrap();
    database.pool.execute("delete from donor_keys").await.unwrap();
    let log = node::log(&database);
    let sealed = log.read_sealed(Position::START, 1).await.unwrap();
    assert!(Log::verifies(&sealed[0].event, &sealed[0].digest));
    let opened = log.open(&sealed[0].event).await.unwrap();
    let Event::DonorQuery(DonorQueryEvent::QueryOpened { donor, test, .. }) = opened.event else { panic!() };
    assert_eq!(donor, Personal::Erased(true));
    assert!(!test.is_empty());
}

#[tokio::test]
async fn a_key_that_does_not_open_spoils_only_what_it_sealed() {
    let database = database().await;
    let log = node::log(&database);
    for query in [17, 18] {
        log.append(facts(query, 0, [opened()])).await.unwrap();
    }
    let spoil = "update donor_keys set wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1)
                 where donor_id = 'donor-17'";
    database.pool.execute(spoil).await.unwrap();
    let log = node::log(&database);
    let stored = log.read_after(Position::START, 2).await.unwrap();
    let opened = log.open_all(&stored).await.unwrap();
    let [Err(spoilt), Ok(_)] = &opened[..] else { panic!("{opened:?}") };
    assert!(spoilt.to_string().contains("master key"), "{spoilt}");
}

#[tokio::test]
async fn a_box_cannot_be_moved_to_another_place() {
    let database = database().await;
    let log = node::log(&database);
    log.append(facts(17, 0, [opened()])).await.unwrap();
    let mut stored = log.read_after(Position::START, 1).await.unwrap().remove(0);
    stored.sequence = 2;
    assert!(log.open(&stored).await.is_err());
}

#[tokio::test]
async fn a_node_remembers_what_it_appended_itself() {
    let database = database().await;
    let (log, other) = (node::log(&database), node::log(&database));
    let mut appended = log.append(facts(17, 0, [opened()])).await.unwrap().events;
    appended.extend(other.append(facts(17, 1, [opened()])).await.unwrap().events);
    appended.extend(log.append(facts(17, 2, [opened()])).await.unwrap().events);
    let mut stored = log.read_after(Position::START, 3).await.unwrap();
    let all: Vec<_> = appended.into_iter().map(Some).collect();
    assert_eq!(fresh(&log, &stored).await, all);
    // Nothing of these can be opened any more, so what is known is remembered; the other node's has to be opened.
    for fact in &mut stored {
        fact.sequence += 1;
    }
    assert_eq!(fresh(&log, &stored).await, [all[0].clone(), None, all[2].clone()]);
    // Another fact in the same place is not the one that is remembered.
    stored[0].event_id = stored[1].event_id;
    assert_eq!(fresh(&log, &stored[..1]).await, [None]);
}

async fn fresh(log: &Log, stored: &[StoredEvent]) -> Vec<Option<RecordedEvent>> {
    log.open_fresh(stored).await.unwrap().into_iter().map(Result::ok).collect()
}

#[tokio::test]
async fn every_fact_survives_the_log_and_its_digest_verifies() {
    let database = database().await;
    let log = node::log(&database);
    let facts_of_queries: Vec<_> = samples()
        .into_iter()
        .filter_map(|event| match event {
            Event::DonorQuery(event) => Some(event),
            Event::CallSession(_) | Event::StaffChat(_) => None,
        })
        .collect();
    let appended = log.append(facts(17, 0, facts_of_queries)).await.unwrap().events;
    for (sealed, expected) in log.read_sealed(Position::START, 100).await.unwrap().iter().zip(&appended) {
        assert!(Log::verifies(&sealed.event, &sealed.digest));
        assert_eq!(&log.open(&sealed.event).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn one_changed_byte_is_found() {
    let database = database().await;
    let log = node::log(&database);
    log.append(facts(17, 0, [accepted_by(&ada())])).await.unwrap();
    let mut forge = database.pool.acquire().await.unwrap();
    forge.execute("set session_replication_role = replica").await.unwrap();
    let forged = "update events set payload = replace(payload::text, 'Ada', 'Eve')::json";
    assert_eq!(forge.execute(forged).await.unwrap().rows_affected(), 1);
    let sealed = log.read_sealed(Position::START, 1).await.unwrap();
    assert!(!Log::verifies(&sealed[0].event, &sealed[0].digest));
}

#[tokio::test]
async fn the_stock_library_reads_the_table() {
    let database = database().await;
    let log = node::log(&database);
    let mut append = facts(17, 0, [opened(), accepted_by(&ada())]);
    append.metadata = Metadata::of(&Actor::System, "request-7");
    log.append(append).await.unwrap();
    let stock = PostgresEventRepository::new(database.pool.clone());
    let events = stock.get_events::<DonorQuery>("17").await.unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.sequence, event.event_type.as_str())).collect();
    assert_eq!(seen, [(1, "QueryOpened"), (2, "QueryAccepted")]);
    let accepted: DonorQueryEvent = serde_json::from_value(events[1].payload.clone()).unwrap();
    assert_eq!(accepted, accepted_by(&ada()));
    let metadata: std::collections::HashMap<String, String> =
        serde_json::from_value(events[0].metadata.clone()).unwrap();
    assert_eq!(metadata["request_id"], "request-7");
}
