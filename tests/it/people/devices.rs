//! Several devices per person, a bounded number of them, and each of one person only.

use std::time::Duration;

use aggregates::ids::{DonorId, UserId};
use aggregates::people::{DonorSession, Role};
use futures_util::FutureExt;
use proof_concierge::accounts::devices::{Device, DeviceError, DeviceKind, Devices};
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::database::{self, Purpose};
use uuid::Uuid;

use crate::support::database::{TestDatabase, database};
use crate::support::eventually::eventually;
use crate::support::node::config;

const OWN: DonorSession = DonorSession(Uuid::from_u128(1));
const OTHER: DonorSession = DonorSession(Uuid::from_u128(2));

struct Registry {
    devices: Devices,
    accounts: Accounts,
    _database: TestDatabase,
}

async fn registry() -> Registry {
    let database = database().await;
    let config = config(&database);
    let pool = database::pool(&config.database_url, Purpose::Read, 4).unwrap();
    let accounts = Accounts::open(pool.clone(), &config.jwt_secret).await.unwrap();
    let people = [("ada", "Ada", Role::Admin, "a password for tests"), ("ben", "Ben", Role::Admin, "another password")];
    seed(&accounts, &people).await.unwrap();
    Registry { devices: Devices::new(pool), accounts, _database: database }
}

impl Registry {
    fn people(&self) -> (UserId, UserId) {
        let id = |name| self.accounts.list().values().find(|user| user.username == name).unwrap().id;
        (id("ada"), id("ben"))
    }

    async fn of(&self, id: UserId) -> Vec<String> {
        let devices = self.devices.of_staff(&[id]).await.unwrap();
        devices.into_iter().map(|(_, device)| shown(&device)).collect()
    }
}

fn token(number: u8) -> String {
    format!("a-push-token-for-tests:{number}")
}

fn shown(device: &Device) -> String {
    device.value.expose().to_owned()
}

#[tokio::test]
async fn a_second_device_does_not_replace_the_first() {
    let registry = registry().await;
    let (ada, ben) = registry.people();
    for number in [1, 2, 1] {
        registry.devices.register_staff(ada, DeviceKind::Token, &token(number)).await.unwrap();
    }
    registry.devices.register_staff(ben, DeviceKind::Fid, &token(3)).await.unwrap();
    assert_eq!(registry.of(ada).await, [token(1), token(2)]);
    let both = registry.devices.of_staff(&[ada, ben]).await.unwrap();
    let kinds: Vec<_> = both.iter().map(|(id, device)| (*id, device.kind)).collect();
    assert_eq!(kinds, [(ada, DeviceKind::Token), (ada, DeviceKind::Token), (ben, DeviceKind::Fid)]);
    registry.devices.clear_staff(ada).await.unwrap();
    assert!(registry.of(ada).await.is_empty());
    assert_eq!(registry.of(ben).await, [token(3)]);
}

#[tokio::test]
async fn a_device_belongs_to_the_last_who_registered_it() {
    let registry = registry().await;
    let (ada, ben) = registry.people();
    let donor = DonorId::new("d-1");
    registry.devices.register_staff(ada, DeviceKind::Token, &token(1)).await.unwrap();
    registry.devices.register_staff(ben, DeviceKind::Token, &token(1)).await.unwrap();
    assert!(registry.of(ada).await.is_empty());
    registry.devices.register_donor(&donor, OWN, DeviceKind::Token, &token(1)).await.unwrap();
    assert!(registry.of(ben).await.is_empty());
    let devices = registry.devices.of_donors(&[(&donor, OWN)]).await.unwrap();
    registry.devices.forget(devices[0].1.id).await.unwrap();
    assert!(registry.devices.of_donors(&[(&donor, OWN)]).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_device_that_was_not_seen_for_longest_makes_room() {
    let registry = registry().await;
    let (ada, _) = registry.people();
    let donor = DonorId::new("d-1");
    for number in 0..12 {
        registry.devices.register_staff(ada, DeviceKind::Token, &token(number)).await.unwrap();
        registry.devices.register_donor(&donor, OWN, DeviceKind::Token, &token(100 + number)).await.unwrap();
    }
    assert_eq!(registry.of(ada).await, (2..12).rev().map(token).collect::<Vec<_>>());
    let devices = registry.devices.of_donors(&[(&donor, OWN)]).await.unwrap();
    assert_eq!(
        devices.iter().map(|(_, device)| shown(device)).collect::<Vec<_>>(),
        (107..112).rev().map(token).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn whoever_knows_a_donors_id_hears_nothing_of_the_donors_queries() {
    let registry = registry().await;
    let donor = DonorId::new("d-1");
    registry.devices.register_donor(&donor, OTHER, DeviceKind::Token, &token(1)).await.unwrap();
    assert!(registry.devices.of_donors(&[(&donor, OWN)]).await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_pushed_to_an_account_that_is_switched_off() {
    let registry = registry().await;
    let (ada, _) = registry.people();
    registry.devices.register_staff(ada, DeviceKind::Token, &token(1)).await.unwrap();
    registry.accounts.set_active(ada, false).await.unwrap();
    assert!(registry.of(ada).await.is_empty());
}

#[tokio::test]
async fn what_is_no_push_token_is_refused_and_never_shown() {
    let registry = registry().await;
    let (ada, _) = registry.people();
    let refused = registry.devices.register_staff(ada, DeviceKind::Token, "no token at all, but long enough").await;
    assert!(matches!(refused, Err(DeviceError::Implausible)));
    registry.devices.register_staff(ada, DeviceKind::Token, &token(1)).await.unwrap();
    let shown = format!("{:?}", registry.devices.of_staff(&[ada]).await.unwrap());
    assert!(!shown.contains(&token(1)), "{shown}");
}

#[tokio::test]
async fn a_request_given_up_at_its_beginning_takes_nothing_later_with_it() {
    let database = database().await;
    let pool = database::pool(&config(&database).database_url, Purpose::Read, 1).unwrap();
    sqlx::query("select 1").execute(&pool).await.unwrap();
    eventually(Duration::from_secs(10), async || pool.num_idle(), |idle| *idle == 1).await;

    let (devices, donor, token) = (Devices::new(pool.clone()), DonorId::new("d-1"), token(1));
    let given_up = devices.register_donor(&donor, OWN, DeviceKind::Token, &token).now_or_never();
    assert!(given_up.is_none(), "the answer to its first statement cannot be there");
    tokio::task::yield_now().await;
    let write = "insert into snapshots (aggregate_type, aggregate_id, version, schema_hash, state)
                 values ('donor_query', '1', 1, '', '{}')";
    sqlx::query(write).execute(&pool).await.unwrap();
    let written: i64 = sqlx::query_scalar("select count(*) from snapshots").fetch_one(&database.pool).await.unwrap();
    assert_eq!(written, 1);
}
