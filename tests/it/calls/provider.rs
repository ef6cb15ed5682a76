//! Calls with a provider outside the desk, on its good and its bad days.

use std::time::{Duration, Instant};

use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::{Caller, NewCall};
use aggregates::ids::{CallId, MessageId, QueryId, RoomName};
use aggregates::people::Actor;
use aggregates::recorded::Metadata;
use aggregates::vocabulary::CallMode;
use chrono::{TimeDelta, Utc};
use futures_util::future::{join, join_all};
use proof_concierge::config::{Config, Secret};
use proof_concierge::dispatch::{CommandContext, Dispatcher};
use proof_concierge::log::Log;
use serde_json::{Value, json};

use super::{call, conversation, newest, post_nothing};
use crate::stubs::daily::{DailyStub, Fault, KEY};
use crate::support::app::{Answer, Client};
use crate::support::desk::{Desk, desk_with, query_of};
use crate::support::eventually::eventually;

const LIMIT: Duration = Duration::from_secs(30);

async fn daily() -> (DailyStub, Desk, Config) {
    let stub = DailyStub::start().await;
    let mut config = Config::default();
    let desk = desk_with(|desk| {
        stub.configure(desk);
        config = desk.clone();
    })
    .await;
    (stub, desk, config)
}

/// Tries again until the provider is back.
async fn at_last(client: &Client, path: &str, body: &Value) -> Answer {
    eventually(LIMIT, async || client.post(path, body).await, |answer| answer.status == 201).await
}

fn is_unavailable(answer: &Answer) {
    assert_eq!(*answer.at("/code"), "call_provider_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.to_string().contains(KEY));
}

#[tokio::test]
async fn a_request_waits_for_a_provider_that_is_down() {
    let (stub, desk, _) = daily().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    post_nothing(&donor, &call(&format!("{query}/request"))).await.expect(201);
    stub.fail_next([Fault::Broken; 5]);
    let accept = call(&format!("{query}/accept-request"));
    is_unavailable(&post_nothing(&ada, &accept).await.expect(503));
    let waiting = ada.get(&call(&format!("{query}/requests"))).await.expect(200);
    assert_eq!(*waiting.at("/data/0/status"), "PENDING");
    assert_eq!(*donor.get(&call(&format!("{query}/active-call"))).await.expect(200).at("/data"), Value::Null);
    let untouched = ada.get(&format!("/api/v1/donor-queries/{query}")).await.expect(200);
    assert_eq!(*untouched.at("/data/assignedToId"), Value::Null);
    assert!(stub.rooms().is_empty());
    let accepted = at_last(&ada, &accept, &json!({})).await;
    assert_eq!(stub.rooms(), [accepted.at("/data/room/name").as_str().unwrap()]);
    assert_eq!(*accepted.at("/data/room/provider"), "daily");
    let shown = conversation(&donor, query).await;
    assert!(newest(&shown, "SYSTEM")["userToken"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_in_line_for_a_provider_that_hangs() {
    let stub = DailyStub::start().await;
    let desk = desk_with(|config| {
        stub.configure(config);
        config.calls.daily_patience_ms = 1_000;
    })
    .await;
    let (donor, query) = desk.donor("d-1").await;
    let path = call(&format!("{query}/direct-call"));
    stub.fail_next([Fault::Hanging; 64]);
    let started = Instant::now();
    for answer in join_all((0..6).map(|_| post_nothing(&donor, &path))).await {
        is_unavailable(&answer.expect(503));
    }
    // One after the other they would have taken six seconds.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_query_is_not_opened_for_a_call_that_cannot_be_held() {
    let (stub, desk, _) = daily().await;
    let (nobody, path) = (desk.anonymous(), "/api/v1/donor-queries/start-call");
    stub.fail_next([Fault::Broken; 5]);
    is_unavailable(&nobody.post(path, &query_of("d-1")).await.expect(503));
    let open = desk.staff("ada").await.get("/api/v1/donor-queries/general").await.expect(200);
    assert_eq!(*open.at("/data"), json!([]));
    let opened = at_last(&nobody, path, &query_of("d-1")).await;
    assert_eq!(stub.rooms(), [opened.at("/data/call/room/name").as_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_who_start_at_once_cost_one_room() {
    let (stub, desk, _) = daily().await;
    let (donor, query) = desk.donor("d-1").await;
    let path = call(&format!("{query}/direct-call"));
    let answers = join_all((0..6).map(|_| post_nothing(&donor, &path))).await;
    let rooms: Vec<_> = answers.into_iter().map(|answer| answer.expect(201).at("/data/room/name").clone()).collect();
    assert!(rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
    assert_eq!(stub.asked_for().iter().filter(|asked| *asked == "POST /rooms").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_lost_the_race_to_another_node_is_closed() {
    let (stub, desk, config) = daily().await;
    let (_, query) = desk.donor("d-1").await;
    let (ada, path) = (desk.staff("ada").await, call(&query.to_string()));
    stub.fail_next([Fault::Limited(1)]);
    let other_node = async {
        eventually(LIMIT, async || stub.asked().len(), |asked| *asked > 0).await;
        begin_elsewhere(&config, QueryId::new(query)).await;
    };
    let (refused, ()) = join(post_nothing(&ada, &path), other_node).await;
    assert_eq!(*refused.expect(409).at("/code"), "call_active");
    assert!(stub.asked_for().iter().any(|asked| asked == "DELETE /rooms"));
    assert!(stub.rooms().is_empty(), "the call of the other node has a room that the stub does not know");
}

async fn begin_elsewhere(config: &Config, query: QueryId) {
    let at = Utc::now();
    let new = NewCall {
        id: CallId::new(4_017),
        room: RoomName::new("elsewhere"),
        room_url: "https://stub.daily.co/elsewhere".to_owned(),
        provider: "daily".to_owned(),
        mode: CallMode::Video,
        expires_at: at + TimeDelta::hours(1),
    };
    let command = DonorQueryCommand::StartCall { call: new, message: MessageId::new(4_018), by: Caller::Donor, at };
    let context = CommandContext { metadata: Metadata::of(&Actor::System, "elsewhere"), if_match: None, key: None };
    let dispatcher = Dispatcher::new(Log::open_database(config).unwrap());
    dispatcher.query(query, command, &context).await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_the_desks_trouble_and_not_the_donors() {
    let stub = DailyStub::start().await;
    let desk = desk_with(|config| {
        stub.configure(config);
        config.calls.daily_api_key = Secret::new("not-the-key-of-this-desk");
    })
    .await;
    let (donor, query) = desk.donor("d-1").await;
    let refused = post_nothing(&donor, &call(&format!("{query}/direct-call"))).await.expect(503);
    is_unavailable(&refused);
    assert!(!refused.to_string().contains("not-the-key"));
    donor.get(&format!("/api/v1/messages/query/{query}")).await.expect(200);
}
