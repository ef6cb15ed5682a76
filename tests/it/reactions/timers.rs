//! Timers fire once, on any node, and not at all if what they were for is over.

use aggregates::call_session::CallSessionCommand;
use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::{Caller, NewCall};
use aggregates::ids::{CallId, MessageId, QueryId, RoomName};
use aggregates::people::Actor;
use aggregates::recorded::{Metadata, StreamId};
use aggregates::vocabulary::{CallMode, EndReason};
use chrono::{DateTime, TimeDelta, Utc};
use proof_concierge::dispatch::CommandContext;

use super::{Desk, LIMIT, Node, desk};
use crate::support::eventually::eventually;
use crate::support::node;

const CALL: CallId = CallId::new(1_000_005);

/// A call of a donor whose room closes at a certain time.
pub(super) async fn call(desk: &Desk, query: QueryId, expires_at: DateTime<Utc>) {
    let call = NewCall {
        id: CALL,
        room: RoomName::new("call-5-quiet-otter"),
        room_url: "https://calls.example/quiet-otter".to_owned(),
        provider: "local".to_owned(),
        mode: CallMode::Video,
        expires_at,
    };
    let message = MessageId::new(1_000_104);
    let start = DonorQueryCommand::StartCall { call, message, by: Caller::Donor, at: Utc::now() };
    desk.dispatch(query, start).await;
}

async fn joined(desk: &Desk, query: QueryId, at: DateTime<Utc>) {
    let context = CommandContext { metadata: Metadata::of(&Actor::System, "request-1"), if_match: None, key: None };
    desk.dispatcher.call(CALL, query, CallSessionCommand::StartCall { by: Actor::System, at }, &context).await.unwrap();
}

async fn timers(desk: &Desk) -> i64 {
    desk.count("timers").await
}

/// How many facts of the query have this name.
async fn facts(desk: &Desk, query: QueryId, name: &str) -> usize {
    let facts = node::log(&desk.database).stream_facts(StreamId::DonorQuery(query)).await.unwrap();
    facts.iter().filter(|fact| fact.event.name() == name).count()
}

async fn query_on(node: &Node) -> QueryId {
    node.opened_by("d-1").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_whose_time_is_up_ends_once_on_two_nodes_and_its_room_closes() {
    let desk = desk().await;
    let (one, _other) = (desk.node().await, desk.node().await);
    let query = query_on(&one).await;
    call(&desk, query, Utc::now() - TimeDelta::seconds(1)).await;
    let ended = format!("read.calls where call_id = {CALL} and status = 'ENDED' and end_reason = 'EXPIRED'");
    eventually(LIMIT, async || desk.count(&ended).await, |ended| *ended == 1).await;
    desk.settled().await;
    eventually(LIMIT, async || timers(&desk).await, |timers| *timers == 0).await;
    assert_eq!(facts(&desk, query, "CallDetached").await, 1);
    assert_eq!(desk.deliveries("channel = 'room' and state = 'sent'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_timer_that_fires_again_changes_nothing() {
    let desk = desk().await;
    let node = desk.node().await;
    let query = query_on(&node).await;
    call(&desk, query, Utc::now() + TimeDelta::hours(3)).await;
    joined(&desk, query, Utc::now() - TimeDelta::minutes(61)).await;
    let told = format!("read.messages where query_id = {query} and content like '%exceeded the standard duration%'");
    eventually(LIMIT, async || desk.count(&told).await, |told| *told == 1).await;
    eventually(LIMIT, async || timers(&desk).await, |timers| *timers == 1).await;
    // As if the node had died after the command and before it forgot the timer.
    let again =
        format!("insert into timers (kind, query_id, call_id, due_at) values ('long_call', {query}, {CALL}, now())");
    desk.execute(&again).await;
    eventually(LIMIT, async || timers(&desk).await, |timers| *timers == 1).await;
    assert_eq!(desk.count(&told).await, 1);
    assert_eq!(facts(&desk, query, "CallDetached").await, 0, "the call goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_ends_disarms_its_timers() {
    let desk = desk().await;
    let node = desk.node().await;
    let query = query_on(&node).await;
    call(&desk, query, Utc::now() + TimeDelta::hours(1)).await;
    joined(&desk, query, Utc::now()).await;
    eventually(LIMIT, async || timers(&desk).await, |timers| *timers == 2).await;
    let end = DonorQueryCommand::EndCall { call: CALL, reason: EndReason::HungUp, by: Caller::System, at: Utc::now() };
    desk.dispatch(query, end).await;
    eventually(LIMIT, async || timers(&desk).await, |timers| *timers == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_timer_that_a_dead_node_took_fires_on_another() {
    let desk = desk().await;
    let first = desk.node_with(|config| config.roles.reactions = false).await;
    let query = query_on(&first).await;
    call(&desk, query, Utc::now() + TimeDelta::hours(1)).await;
    let taken = format!(
        "insert into timers (kind, query_id, call_id, attempts, due_at)
         values ('call_expiry', {query}, {CALL}, 1, now() + interval '2 seconds');
         update reaction_checkpoint set position = (select max(position) from events)"
    );
    desk.execute(&taken).await;
    drop(first);
    let _second = desk.node().await;
    eventually(LIMIT, async || facts(&desk, query, "CallDetached").await, |ended| *ended == 1).await;
}
