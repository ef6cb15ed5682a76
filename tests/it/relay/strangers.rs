//! Somebody else who can log in to the same NATS: nothing of it is believed, and nothing is missing for it.

use aggregates::recorded::{Position, StoredEvent};
use aggregates::testing::{accepted_by, ada, opened, resolved_by};
use proof_concierge::bus::Scope;
use proof_concierge::relay::{Progress, Relay};
use proof_concierge::tail::Tail;
use tokio::time::timeout;

use crate::projector::{Nodes, rows_equal_replay};
use crate::support::stream::{Desk, LIMIT, desk};

/// Publishes what is not a fact on a subject of the stream.
async fn publish_rubbish(desk: &Desk) {
    let (context, _) = desk.jetstream().await;
    let subject = format!("{}.events.3.DonorQuery.3.QueryOpened", desk.config.nats_prefix);
    context.publish(subject, "rubbish".into()).await.unwrap().await.unwrap();
}

/// Publishes a fact as the relay would, but for the seal.
async fn forge(desk: &Desk, fact: &StoredEvent, previous: Position, seal: &str) {
    let (context, _) = desk.jetstream().await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Concierge-Position", fact.position.to_string());
    headers.insert("Concierge-Previous", previous.to_string());
    headers.insert("Concierge-Seal", seal);
    let StoredEvent { aggregate_type, aggregate_id, event_type, .. } = fact;
    let partition = fact.partition().0;
    let subject =
        format!("{}.events.{partition}.{aggregate_type}.{aggregate_id}.{event_type}", desk.config.nats_prefix);
    let body = serde_json::to_vec(fact).unwrap();
    context.publish_with_headers(subject, headers, body.into()).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_window_never_closes_over_a_place_that_a_stranger_took() {
    let desk = desk().await;
    let mut relay = Relay::new(desk.log.clone(), desk.bus.clone());
    desk.append_histories(1..=2, 3).await;
    let mut cursor = relay.resume().await.unwrap();
    let window = relay.read_window(&cursor).await.unwrap();
    assert_eq!(relay.publish_window(&mut cursor, &window).await.unwrap(), Progress::Done);
    publish_rubbish(&desk).await;
    desk.append_histories(3..=3, 3).await;
    let window = relay.read_window(&cursor).await.unwrap();
    assert_eq!(window.len(), 3);
    assert_eq!(relay.publish_window(&mut cursor, &window).await.unwrap(), Progress::Resync);
    assert_eq!(cursor.position, Position(6), "no fact landed behind the gap");
    let mut cursor = relay.resume().await.unwrap();
    let window = relay.read_window(&cursor).await.unwrap();
    assert_eq!(relay.publish_window(&mut cursor, &window).await.unwrap(), Progress::Done);
    desk.stream_equals_log().await;
}

#[tokio::test]
async fn a_running_relay_refills_a_stream_that_a_stranger_wrote_to() {
    let desk = desk().await;
    let _nodes = Nodes::relaying(&desk);
    desk.append_histories(1..=5, 9).await;
    desk.stream_equals_log().await;
    for query in 6..=9 {
        publish_rubbish(&desk).await;
        desk.append_histories([query], 3).await;
        desk.stream_equals_log().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_forged_fact_changes_nothing_and_the_real_one_is_applied() {
    let desk = desk().await;
    let mut nodes = Nodes::relaying(&desk);
    let freshness = nodes.project(&desk).await;
    let first = desk.append(1, 0, vec![opened()]).await;
    assert!(freshness.reached_all(first, LIMIT).await);
    desk.stream_equals_log().await;
    let mut tail = Tail::start(desk.log.clone(), desk.bus.clone(), Scope::All, Position::START);
    assert_eq!(timeout(LIMIT, tail.next_batch(9)).await.unwrap().len(), 1);

    // What a real one would look like, from a desk where it happened.
    let elsewhere = self::desk().await;
    elsewhere.append(1, 0, vec![opened(), resolved_by(&ada())]).await;
    let forged = elsewhere.log.read_after(first, 1).await.unwrap().remove(0);
    for seal in ["", "AAAA", &"A".repeat(43)] {
        forge(&desk, &forged, first, seal).await;
    }

    let real = desk.append(1, 1, vec![accepted_by(&ada())]).await;
    assert_eq!(real, forged.position);
    let read = timeout(LIMIT, tail.next_batch(9)).await.unwrap();
    assert_eq!(read.iter().map(|fact| fact.event_type.as_str()).collect::<Vec<_>>(), ["QueryAccepted"]);
    assert!(freshness.reached_all(real, LIMIT).await);
    rows_equal_replay(&desk).await;
    desk.stream_equals_log().await;
}
