//! Somebody asks and goes away while the facts are being written: nothing that was so before is believed afterwards.

use aggregates::call_session::CallSession;
use aggregates::donor_query::command::{Caller, NewCall};
use aggregates::donor_query::{DonorQuery, DonorQueryCommand};
use aggregates::ids::{CallId, MessageId, QueryId, RoomName};
use aggregates::people::Actor;
use aggregates::recorded::{Metadata, StreamId};
use aggregates::testing::{NOON, opening};
use aggregates::vocabulary::{CallMode, EndReason};
use chrono::TimeDelta;
use proof_concierge::dispatch::{CommandContext, Dispatcher};
use proof_concierge::log::Log;
use sqlx::Executor;

use super::cut::{LIMIT, waiting_at_the_fence};
use crate::support::database::{TestDatabase, database};
use crate::support::eventually::eventually;
use crate::support::node;

fn context() -> CommandContext {
    CommandContext { metadata: Metadata::of(&Actor::System, "request-1"), if_match: None, key: None }
}

fn start(call: CallId) -> DonorQueryCommand {
    let call = NewCall {
        id: call,
        room: RoomName::new("room-1"),
        room_url: "https://calls.example/room-1".to_owned(),
        provider: "local".to_owned(),
        mode: CallMode::Video,
        expires_at: NOON + TimeDelta::hours(1),
    };
    DonorQueryCommand::StartCall { call, message: MessageId::new(8), by: Caller::Donor, at: NOON }
}

/// Carries a command out for somebody who has gone away before it is written.
async fn unheard(database: &TestDatabase, log: &Log, node: &Dispatcher, query: QueryId, command: DonorQueryCommand) {
    let before = log.stream_version(StreamId::DonorQuery(query)).await.unwrap();
    let mut stranger = database.pool.begin().await.unwrap();
    stranger.execute("select pg_advisory_xact_lock(5005)").await.unwrap();
    let node = node.clone();
    let asked = tokio::spawn(async move { node.query(query, command, &context()).await });
    eventually(LIMIT, async || waiting_at_the_fence(&database.pool).await, |waiting| *waiting == 1).await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    stranger.rollback().await.unwrap();
    let version = async || log.stream_version(StreamId::DonorQuery(query)).await.unwrap();
    eventually(LIMIT, version, |version| *version > before).await;
}

#[tokio::test]
async fn a_query_whose_donor_did_not_hear_of_it_is_there() {
    let database = database().await;
    let log = node::log(&database);
    let node = Dispatcher::new(log.clone());
    let query = log.next_query_id().await.unwrap();
    unheard(&database, &log, &node, query, DonorQueryCommand::OpenQuery(opening())).await;
    let (state, version) = node.load(query).await.unwrap();
    assert_eq!(version, 1);
    assert!(matches!(&*state, DonorQuery::Open(_)), "{state:?}");
}

#[tokio::test]
async fn a_call_that_began_unheard_can_be_ended() {
    let database = database().await;
    let log = node::log(&database);
    let node = Dispatcher::new(log.clone());
    let (query, call) = (log.next_query_id().await.unwrap(), log.next_call_id().await.unwrap());
    node.query(query, DonorQueryCommand::OpenQuery(opening()), &context()).await.unwrap();
    unheard(&database, &log, &node, query, start(call)).await;
    let end = DonorQueryCommand::EndCall { call, reason: EndReason::HungUp, by: Caller::Donor, at: NOON };
    node.query(query, end, &context()).await.unwrap();
    let session = log.load_cold::<CallSession>(call).await.unwrap();
    assert!(matches!(&*session.state, CallSession::Ended { .. }), "{session:?}");
}
