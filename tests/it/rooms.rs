//! Rooms for calls: the real client against a Daily that has bad days, and the desk's own rooms.

use std::time::Duration;

use aggregates::ids::{CallId, DonorId, RoomName, UserId};
use aggregates::people::StaffRef;
use aggregates::vocabulary::CallMode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proof_concierge::config::{Config, Secret};
use proof_concierge::database::{self, Purpose};
use proof_concierge::integrations::calls::{CallRooms, Grant, Provider, ProviderError, Room, Seat};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::stubs::daily::{DailyStub, Fault, KEY};
use crate::support::database::{TestDatabase, database};
use crate::support::desk::desk;
use crate::support::node;

const CALL: CallId = CallId::new(17);

/// Rooms at a stub. Nothing of this needs a database.
fn rooms_at(stub: &DailyStub, change: impl FnOnce(&mut Config)) -> CallRooms {
    let mut config = Config { jwt_secret: Secret::new("a secret that only tests use, 32 bytes"), ..Config::default() };
    stub.configure(&mut config);
    change(&mut config);
    CallRooms::new(&config, PgPool::connect_lazy("postgres://127.0.0.1:1/none").unwrap()).unwrap()
}

/// Rooms in a database.
fn rooms_in(database: &TestDatabase) -> CallRooms {
    let config = node::config(database);
    CallRooms::new(&config, database::pool(&config.database_url, Purpose::Read, 2).unwrap()).unwrap()
}

async fn create(rooms: &CallRooms, mode: CallMode) -> Result<Room, ProviderError> {
    rooms.create_room(&rooms.spec(CALL, mode, Utc::now())).await
}

fn ada() -> StaffRef {
    StaffRef { id: UserId::new(7), name: "Ada".to_owned() }
}

async fn grant_to(rooms: &CallRooms, room: &Room, seat: Seat<'_>) -> Result<Grant, ProviderError> {
    rooms.grant(room.provider.as_str(), &room.name, &room.url, seat, in_an_hour()).await
}

fn in_an_hour() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

/// What a token says, whoever signed it.
fn claims(grant: &Grant) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(grant.token.expose().split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn making_a_room_twice_makes_one() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |_| {});
    let room = create(&rooms, CallMode::Video).await.unwrap();
    assert_eq!(create(&rooms, CallMode::Video).await.unwrap(), room);
    assert_eq!(stub.rooms(), [room.name.as_str()]);
    assert_eq!(stub.asked_for(), ["POST /rooms", "POST /rooms", "GET /rooms"]);
    assert_eq!((room.provider, room.url), (Provider::Daily, format!("https://stub.daily.co/{}", room.name)));
}

#[tokio::test]
async fn a_room_whose_answer_was_lost_is_found_again() {
    let stub = DailyStub::start().await;
    stub.fail_next([Fault::Lost]);
    let room = create(&rooms_at(&stub, |_| {}), CallMode::Video).await.unwrap();
    assert_eq!(stub.rooms(), [room.name.as_str()]);
    assert_eq!(stub.asked_for(), ["POST /rooms", "POST /rooms", "GET /rooms"]);
}

#[tokio::test]
async fn a_room_is_private_small_and_closes_by_itself() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |_| {});
    let spec = rooms.spec(CALL, CallMode::Audio, Utc::now());
    rooms.create_room(&spec).await.unwrap();
    let expected = json!({
        "name": spec.name,
        "privacy": "private",
        "properties": {
            "exp": spec.expires_at.timestamp(),
            "eject_at_room_exp": true,
            "max_participants": 3,
            "start_video_off": true,
        },
    });
    assert_eq!(stub.asked()[0].body, expected);
}

#[tokio::test]
async fn a_room_that_is_open_to_everybody_is_not_taken() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |_| {});
    let room = create(&rooms, CallMode::Video).await.unwrap();
    stub.open_to_everybody(room.name.as_str());
    let refused = create(&rooms, CallMode::Video).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn the_address_is_the_configured_domain() {
    let stub = DailyStub::start().await;
    for (domain, host) in [("acme", "acme.daily.co"), ("calls.example.org", "calls.example.org")] {
        let room =
            create(&rooms_at(&stub, |config| config.calls.daily_domain = domain.to_owned()), CallMode::Video).await;
        let room = room.unwrap();
        assert_eq!(room.url, format!("https://{host}/{}", room.name));
    }
}

#[tokio::test]
async fn daily_gets_the_time_it_asks_for() {
    let stub = DailyStub::start().await;
    stub.fail_next([Fault::Limited(1)]);
    create(&rooms_at(&stub, |_| {}), CallMode::Video).await.unwrap();
    let asked = stub.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1), "{asked:?}");
}

#[tokio::test]
async fn a_caller_does_not_wait_for_what_takes_too_long() {
    let stub = DailyStub::start().await;
    stub.fail_next([Fault::Limited(60)]);
    let begun = Instant::now();
    let error = create(&rooms_at(&stub, |_| {}), CallMode::Video).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn daily_is_asked_again_after_faults_but_not_for_ever() {
    let stub = DailyStub::start().await;
    stub.fail_next([Fault::Broken; 20]);
    let error =
        create(&rooms_at(&stub, |config| config.calls.daily_patience_ms = 1_500), CallMode::Video).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable(_)), "{error:?}");
    assert!((2..=5).contains(&stub.asked().len()), "{:?}", stub.asked());
}

#[tokio::test]
async fn a_daily_that_hangs_is_unavailable() {
    let stub = DailyStub::start().await;
    stub.fail_next([Fault::Hanging; 20]);
    let begun = Instant::now();
    let error =
        create(&rooms_at(&stub, |config| config.calls.daily_patience_ms = 500), CallMode::Video).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_wrong_key_is_a_wrong_setting_and_never_shown() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |config| config.calls.daily_api_key = Secret::new("another-key"));
    let error = create(&rooms, CallMode::Video).await.unwrap_err();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error:?}");
    assert_eq!(stub.asked().len(), 1);
    let closed = rooms.close_room("daily", &RoomName::new("any")).await.unwrap_err();
    assert!(matches!(closed, ProviderError::Misconfigured(_)), "{closed:?}");
    assert!(!format!("{error:?} {error} {closed:?}").contains("another-key"));
}

#[tokio::test]
async fn a_room_that_is_gone_is_closed() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |_| {});
    let room = create(&rooms, CallMode::Video).await.unwrap();
    rooms.close_room("daily", &room.name).await.unwrap();
    assert!(stub.rooms().is_empty());
    rooms.close_room("daily", &room.name).await.unwrap();
    assert_eq!(stub.asked_for(), ["POST /rooms", "DELETE /rooms", "DELETE /rooms"]);
}

#[tokio::test]
async fn daily_makes_a_token_for_one_person_and_one_room() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |_| {});
    let room = create(&rooms, CallMode::Video).await.unwrap();
    let grant = grant_to(&rooms, &room, Seat::Staff(&ada())).await.unwrap();
    assert_eq!(grant.token.expose(), format!("token-for-{}", room.name));
    let expected = json!({ "properties": {
        "room_name": room.name,
        "user_id": "staff-7",
        "user_name": "Ada",
        "is_owner": true,
        "exp": grant.expires_at.timestamp(),
    }});
    assert_eq!(stub.asked()[1].body, expected);
    assert!(!format!("{grant:?}").contains("token-for"));
}

#[tokio::test]
async fn with_the_domains_id_tokens_are_signed_here() {
    let stub = DailyStub::start().await;
    let rooms = rooms_at(&stub, |config| config.calls.daily_domain_id = "the-domain".to_owned());
    let room = create(&rooms, CallMode::Video).await.unwrap();
    let donor = DonorId::new("dora@example.org");
    let grant = grant_to(&rooms, &room, Seat::Donor { id: &donor, name: "Dora" }).await.unwrap();
    assert_eq!(stub.asked_for(), ["POST /rooms"]);

    let key = DecodingKey::from_secret(KEY.as_bytes());
    let signed = jsonwebtoken::decode::<Value>(grant.token.expose(), &key, &Validation::new(Algorithm::HS256)).unwrap();
    let said = signed.claims;
    assert_eq!((&said["r"], &said["d"], &said["u"]), (&json!(room.name), &json!("the-domain"), &json!("Dora")));
    assert_eq!((&said["o"], &said["exp"]), (&json!(false), &json!(grant.expires_at.timestamp())));
    assert!(said["iat"].as_i64().unwrap() <= Utc::now().timestamp());
    let user = said["ud"].as_str().unwrap();
    assert!(user.starts_with("donor-") && user.len() <= 36 && !user.contains("dora"), "{user}");
    assert!(grant.token.expose().len() < 2_048);
}

#[tokio::test]
async fn a_call_of_a_provider_that_is_gone_has_no_way_in() {
    let database = database().await;
    let rooms = rooms_in(&database);
    for provider in ["daily", "jitsi"] {
        let room = RoomName::new("old");
        let error = rooms.grant(provider, &room, "https://x", Seat::Staff(&ada()), in_an_hour()).await.unwrap_err();
        assert!(matches!(error, ProviderError::Misconfigured(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_local_room_is_a_row_and_its_token_says_what_it_is() {
    let database = database().await;
    let rooms = rooms_in(&database);
    assert_eq!(rooms.provider(), Provider::Local);
    let spec = rooms.spec(CALL, CallMode::Audio, Utc::now());
    let room = rooms.create_room(&spec).await.unwrap();
    assert_eq!(rooms.create_room(&spec).await.unwrap(), room);
    assert!(room.url.ends_with(&format!("/calls/{}", room.name)) && room.provider.note().is_some());
    let row: (String, i64, String) =
        sqlx::query_as("select name, call_id, mode from call_rooms").fetch_one(&database.pool).await.unwrap();
    assert_eq!(row, (room.name.to_string(), 17, "AUDIO".to_owned()));

    let (staff, donor) = (ada(), DonorId::new("d-1"));
    let led = claims(&grant_to(&rooms, &room, Seat::Staff(&staff)).await.unwrap());
    assert_eq!((&led["provider"], &led["role"], &led["sub"]), (&json!("local"), &json!("staff"), &json!("staff-7")));
    assert_eq!((&led["aud"], &led["room"]), (&json!("proof-concierge-calls"), &json!(room.name)));
    let guest = claims(&grant_to(&rooms, &room, Seat::Donor { id: &donor, name: "Dora" }).await.unwrap());
    assert_eq!((&guest["role"], &guest["name"]), (&json!("donor"), &json!("Dora")));
}

#[tokio::test]
async fn nobody_enters_a_local_room_that_is_closed_or_over() {
    let database = database().await;
    let rooms = rooms_in(&database);
    let room = create(&rooms, CallMode::Video).await.unwrap();
    grant_to(&rooms, &room, Seat::Staff(&ada())).await.unwrap();
    for _ in 0..2 {
        rooms.close_room("local", &room.name).await.unwrap();
        let error = grant_to(&rooms, &room, Seat::Staff(&ada())).await.unwrap_err();
        assert!(matches!(error, ProviderError::RoomClosed), "{error:?}");
    }
    let over = rooms.spec(CallId::new(18), CallMode::Video, Utc::now() - TimeDelta::hours(2));
    let over = rooms.create_room(&over).await.unwrap();
    let error = grant_to(&rooms, &over, Seat::Staff(&ada())).await.unwrap_err();
    assert!(matches!(error, ProviderError::RoomClosed), "{error:?}");
    let past = Utc::now() - TimeDelta::seconds(1);
    let error = rooms.grant("daily", &room.name, &room.url, Seat::Staff(&ada()), past).await.unwrap_err();
    assert!(matches!(error, ProviderError::RoomClosed), "{error:?}");
}

#[tokio::test]
async fn a_token_for_a_room_opens_nothing_else() {
    let database = database().await;
    let rooms = rooms_in(&database);
    let room = create(&rooms, CallMode::Video).await.unwrap();
    let grant = grant_to(&rooms, &room, Seat::Staff(&ada())).await.unwrap();
    // Every test's desk signs with the same secret.
    let desk = desk().await;
    let holder = desk.anonymous().with_token(grant.token.expose());
    holder.get("/api/v1/users/me").await.expect(401);
    holder.get("/api/v1/donor-queries/user").await.expect(401);
}
