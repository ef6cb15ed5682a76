//! What Daily tells moves the call, and only if it is Daily who tells it.

use std::time::Duration;

use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::{Caller, NewCall};
use aggregates::ids::{CallId, MessageId, QueryId, UserId};
use aggregates::people::{Actor, Role, Staff};
use aggregates::recorded::Metadata;
use aggregates::vocabulary::{CallMode, CallStatus, EndReason};
use chrono::{TimeDelta, Utc};
use projections::ReadPool;
use projections::calls::{self, CallRow};
use proof_concierge::config::Config;
use proof_concierge::database::{self, Purpose};
use proof_concierge::dispatch::{CommandContext, Dispatcher};
use proof_concierge::integrations::calls::CallRooms;
use proof_concierge::log::Log;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stubs::daily::{DailyStub, signature};
use crate::support::app::{Answer, Client};
use crate::support::desk::{Desk, desk, desk_with};
use crate::support::eventually::eventually;

const LIMIT: Duration = Duration::from_secs(10);
const PATH: &str = "/api/v1/webhooks/daily";

/// A desk with a call that nobody has joined yet.
struct Scene {
    daily: Client,
    reads: ReadPool,
    call: CallRow,
    _desk: Desk,
}

async fn scene() -> Scene {
    let stub = DailyStub::start().await;
    let mut config = Config::default();
    let desk = desk_with(|desk| {
        stub.configure(desk);
        config = desk.clone();
    })
    .await;
    let reads = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
    let (_, query) = desk.donor("d-1").await;
    let id = begin_call(&config, &reads, QueryId::new(query), UserId::new(desk.id_of("ada"))).await;
    let shown = eventually(LIMIT, async || calls::find(&reads, id).await.unwrap(), Option::is_some).await;
    Scene { daily: desk.anonymous(), reads, call: shown.unwrap(), _desk: desk }
}

/// Begins a call as another node would.
async fn begin_call(config: &Config, reads: &ReadPool, query: QueryId, ada: UserId) -> CallId {
    let rooms = CallRooms::new(config, reads.clone()).unwrap();
    let dispatcher = Dispatcher::new(Log::open_database(config).unwrap());
    let (id, at) = (CallId::new(4_017), Utc::now());
    let by = Staff { id: ada, name: "Ada".to_owned(), role: Role::Admin };
    let spec = rooms.spec(id, CallMode::Video, at);
    let room = rooms.create_room(&spec).await.unwrap();
    let call = NewCall {
        id,
        room: room.name,
        room_url: room.url,
        provider: room.provider.as_str().to_owned(),
        mode: spec.mode,
        expires_at: spec.expires_at,
    };
    let actor = Actor::Staff(by.as_ref());
    let context = CommandContext { metadata: Metadata::of(&actor, "test"), if_match: None, key: None };
    let accept = DonorQueryCommand::AcceptQuery { by: by.clone(), notice: MessageId::new(900_001), at };
    let start = DonorQueryCommand::StartCall { call, message: MessageId::new(900_002), by: Caller::Staff(by), at };
    dispatcher.query_all(query, &[accept, start], &context).await.unwrap();
    id
}

/// An event as Daily wraps it.
fn event(kind: &str, id: &str, payload: &Value) -> String {
    let event_ts = Utc::now().timestamp();
    json!({ "version": "1.0.0", "type": kind, "id": id, "event_ts": event_ts, "payload": payload }).to_string()
}

impl Scene {
    /// Delivers an event as Daily does.
    async fn deliver(&self, kind: &str, payload: &Value) -> Answer {
        let body = event(kind, "evt-1", payload);
        let timestamp = Utc::now().timestamp().to_string();
        self.send(&timestamp, &signature(&timestamp, &body), body).await
    }

    async fn send(&self, timestamp: &str, signature: &str, body: String) -> Answer {
        let request = self.daily.request(Method::POST, PATH).header("content-type", "application/json");
        let request = request.header("X-Webhook-Timestamp", timestamp).header("X-Webhook-Signature", signature);
        self.daily.send(request.body(body)).await
    }

    /// Somebody's session, some seconds from now.
    fn session(&self, user: &str, session: &str, joined_in: i64) -> Value {
        json!({
            "room": self.call.room_name,
            "user_id": user,
            "session_id": session,
            "joined_at": Utc::now().timestamp() + joined_in,
        })
    }

    fn meeting(&self) -> Value {
        json!({ "room": self.call.room_name, "meeting_id": "m-1", "end_ts": Utc::now().timestamp() })
    }

    async fn call(&self) -> CallRow {
        calls::find(&self.reads, self.call.call_id).await.unwrap().unwrap()
    }

    /// Waits until the call stands there.
    async fn stands(&self, status: CallStatus) -> CallRow {
        eventually(LIMIT, async || self.call().await, |call| call.status == status).await
    }

    /// The ids of those who are there.
    async fn present(&self) -> Vec<String> {
        let sql = "select user_id from call_participants where left_at is null order by user_id";
        sqlx::query_scalar(sql).fetch_all(&self.reads).await.unwrap()
    }
}

#[tokio::test]
async fn a_call_starts_with_its_first_participant_and_ends_with_its_last() {
    let scene = scene().await;
    scene.deliver("participant.joined", &scene.session("staff-2", "s-1", -10)).await.expect(200);
    let started = scene.stands(CallStatus::Started).await;
    // Told again, in other words, and late.
    scene.deliver("participant.joined", &scene.session("staff-2", "s-1", -10)).await.expect(200);
    scene.deliver("meeting.started", &scene.meeting()).await.expect(200);
    assert_eq!(scene.call().await.position, started.position);

    scene.deliver("participant.left", &scene.session("staff-2", "s-1", -10)).await.expect(200);
    scene.deliver("meeting.ended", &scene.meeting()).await.expect(200);
    let ended = scene.stands(CallStatus::Ended).await;
    assert_eq!(ended.end_reason, Some(EndReason::Abandoned));
    for kind in ["meeting.ended", "meeting.started"] {
        scene.deliver(kind, &scene.meeting()).await.expect(200);
    }
    scene.deliver("participant.joined", &scene.session("donor-x", "s-9", 0)).await.expect(200);
    assert_eq!(scene.call().await.position, ended.position);
}

#[tokio::test]
async fn who_loads_the_page_again_is_still_there() {
    let scene = scene().await;
    let (first, second) = (scene.session("donor-x", "s-1", -60), scene.session("donor-x", "s-2", -5));
    scene.deliver("participant.joined", &first).await.expect(200);
    scene.deliver("participant.joined", &second).await.expect(200);
    scene.deliver("participant.left", &first).await.expect(200);
    scene.deliver("participant.joined", &first).await.expect(200);
    assert_eq!(scene.present().await, ["donor-x"]);
    scene.deliver("participant.left", &second).await.expect(200);
    // The same delivery once more, and the one before it.
    scene.deliver("participant.left", &second).await.expect(200);
    scene.deliver("participant.joined", &second).await.expect(200);
    assert!(scene.present().await.is_empty());
}

#[tokio::test]
async fn a_call_goes_on_if_somebody_came_back_before_its_end_was_told() {
    let scene = scene().await;
    scene.deliver("participant.joined", &scene.session("staff-2", "s-1", 0)).await.expect(200);
    let late = Utc::now() - TimeDelta::seconds(30);
    let ended = json!({ "room": scene.call.room_name, "end_ts": late.timestamp() });
    scene.deliver("meeting.ended", &ended).await.expect(200);
    assert_eq!(scene.present().await, ["staff-2"]);
    assert_eq!(scene.stands(CallStatus::Started).await.ended_at, None);
}

#[tokio::test]
async fn only_daily_is_believed() {
    let scene = scene().await;
    let body = event("meeting.ended", "evt-1", &scene.meeting());
    let now = Utc::now().timestamp().to_string();
    scene.send(&now, "AAAA", body.clone()).await.expect(401);
    scene.daily.post(PATH, &serde_json::from_str(&body).unwrap()).await.expect(401);
    let other = event("meeting.started", "evt-1", &scene.meeting());
    scene.send(&now, &signature(&now, &body), other).await.expect(401);
    let stale = (Utc::now() - TimeDelta::minutes(6)).timestamp().to_string();
    scene.send(&stale, &signature(&stale, &body), body).await.expect(401);
    assert_eq!(scene.call().await.status, CallStatus::Created);
}

#[tokio::test]
async fn what_is_of_no_interest_is_accepted() {
    let scene = scene().await;
    scene.daily.post(PATH, &json!({ "test": "test" })).await.expect(200);
    for (kind, payload) in [
        ("recording.started", json!({ "recording_id": "r-1" })),
        ("meeting.started", json!({ "room": "a-room-of-somebody-else" })),
        ("meeting.started", json!({ "room": 5 })),
        ("participant.joined", json!({ "room": scene.call.room_name })),
        ("meeting.started", json!({ "room": "call-\0" })),
        ("participant.joined", scene.session("donor-\0", "s-1", 0)),
        ("participant.left", scene.session("donor-x", "s-\0", 0)),
    ] {
        let answer = scene.deliver(kind, &payload).await.expect(200);
        assert_eq!(answer.body, json!({ "received": true }));
    }
    assert_eq!(scene.call().await.status, CallStatus::Created);
}

#[tokio::test]
async fn a_delivery_that_outruns_the_read_models_is_to_be_told_again() {
    let stub = DailyStub::start().await;
    let mut config = Config::default();
    let desk = desk_with(|desk| {
        stub.configure(desk);
        config = desk.clone();
    })
    .await;
    let reads = database::pool(&config.database_url, Purpose::Read, 1).unwrap();
    let room = CallRooms::new(&config, reads).unwrap().spec(CallId::new(5), CallMode::Video, Utc::now()).name;
    let body = event("meeting.started", "evt-1", &json!({ "room": room }));
    let timestamp = Utc::now().timestamp().to_string();
    let request = desk.anonymous().request(Method::POST, PATH).header("X-Webhook-Timestamp", &timestamp);
    let request = request.header("X-Webhook-Signature", signature(&timestamp, &body)).body(body);
    desk.anonymous().send(request).await.expect(503);
}

#[tokio::test]
async fn without_a_secret_there_is_no_webhook() {
    let desk = desk().await;
    let refused = desk.anonymous().post(PATH, &json!({ "test": "test" })).await.expect(404);
    assert_eq!(*refused.at("/message"), format!("Cannot POST {PATH}"));
}
