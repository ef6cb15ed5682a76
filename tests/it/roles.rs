//! One desk of processes that each do one thing: together they are what one node is, and each can be lost.

use std::time::Duration;

use aggregates::ids::UserId;
use proof_concierge::accounts::devices::{DeviceKind, Devices};
use proof_concierge::config::Config;
use proof_concierge::database::{self, Purpose};
use proof_concierge::integrations::Outbox;
use serde_json::json;

use crate::support::app::Client;
use crate::support::database::database;
use crate::support::desk::{people, query_of};
use crate::support::eventually::eventually;
use crate::support::node;
use crate::support::service::Service;

const LIMIT: Duration = Duration::from_mins(1);

/// A donor opens a query; also tells what the service answered.
async fn open(api: &Service, donor: &str) -> (Client, i64, u16) {
    let answer = api.anonymous().post("/api/v1/donor-queries", &query_of(donor)).await;
    let token = answer.at("/data/donorToken").as_str().unwrap().to_owned();
    let id = answer.at("/data/id").as_i64().unwrap();
    (api.anonymous().with_token(&token), id, answer.status.as_u16())
}

/// From asking to closing: every answer shows what it did, though another process wrote the rows.
async fn live_through(api: &Service, donor: &str) {
    let (donor, id, status) = open(api, donor).await;
    assert_eq!(status, 201);
    let ada = api.staff("ada").await;
    let accepted = ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    assert_eq!(*accepted.at("/data/assignedToUser/name"), "Ada");
    let words = json!({ "content": "Please loosen it.", "messageType": "QUERY" });
    ada.post(&format!("/api/v1/messages/admin/{id}"), &words).await.expect(201);
    let heard = donor.get(&format!("/api/v1/messages/query/{id}")).await.expect(200);
    assert!(heard.body.to_string().contains("Please loosen it."), "{heard}");
    ada.patch(&format!("/api/v1/donor-queries/{id}/resolve"), &json!({})).await.expect(200);
    let read = ada.get(&format!("/api/v1/donor-queries/{id}")).await.expect(200);
    assert_eq!(*read.at("/data/status"), "RESOLVED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_of_one_role_each_are_a_desk_together() {
    let database = database().await;
    let config = Config { read_your_writes_ms: 20_000, ..node::config(&database) };
    people(&config).await;
    let pool = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
    let (devices, outbox) = (Devices::new(pool.clone()), Outbox::new(pool));
    devices.register_staff(UserId::new(1), DeviceKind::Token, "sue-0123456789-0123456789").await.unwrap();
    let api = Service::start(&config, &["API"]).await;
    let relay = Service::start(&config, &["RELAY"]).await;
    let reactions = Service::start(&config, &["REACTIONS"]).await;
    let projectors = [Service::start(&config, &["PROJECTOR"]).await, Service::start(&config, &["PROJECTOR"]).await];
    for donor in 1..=4 {
        live_through(&api, &format!("d-{donor}")).await;
    }

    // The feed is the API's, the facts came through the relay.
    let page = api.staff("sue").await.get("/api/v1/events?after=0").await.expect(200);
    assert!(page.body.to_string().contains("QueryOpened"), "{page}");
    // Notes are the reactions': one for Sue about each query that was opened.
    eventually(LIMIT, async || outbox.notes(200).await.unwrap().len(), |count| *count >= 4).await;

    // Who serves no API says how it is, and nothing else.
    for node in [&relay, &reactions, &projectors[0]] {
        node.anonymous().get("/health/ready").await.expect(200);
        node.anonymous().post("/api/v1/donor-queries", &query_of("d-9")).await.expect(404);
    }
    for node in [relay, reactions, api].into_iter().chain(projectors) {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_without_a_projector_takes_commands_and_shows_them_later() {
    let database = database().await;
    let config = node::config(&database);
    people(&config).await;
    let api = Service::start(&Config { read_your_writes_ms: 20_000, ..config.clone() }, &["API"]).await;
    let hasty = Service::start(&Config { read_your_writes_ms: 50, ..config.clone() }, &["API"]).await;
    let projectors = [Service::start(&config, &["PROJECTOR"]).await, Service::start(&config, &["PROJECTOR"]).await];
    // There is no relay: everybody finds facts in the log.
    live_through(&api, "d-1").await;
    let [first, second] = projectors;
    drop(first);
    live_through(&api, "d-2").await;
    live_through(&api, "d-3").await;
    drop(second);
    let (donor, id, status) = open(&hasty, "d-4").await;
    assert_eq!(status, 202, "nobody writes rows");
    let _third = Service::start(&config, &["PROJECTOR"]).await;
    let shown = async || donor.get(&format!("/api/v1/messages/query/{id}")).await;
    eventually(LIMIT, shown, |answer| answer.status.is_success()).await.at("/data/0/content");
}
