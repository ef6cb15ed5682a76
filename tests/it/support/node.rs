//! A node's parts for a test: configuration and log on the test's own database.

use proof_concierge::bus::{Bus, Seal};
use proof_concierge::config::{Config, Secret};
use proof_concierge::log::Log;

use super::database::TestDatabase;
use super::servers::servers;

/// A configuration for one test: its own database, its own names in NATS, no limits.
pub(crate) fn config(database: &TestDatabase) -> Config {
    let mut config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        database_url: Secret::new(&database.url),
        nats_url: Secret::new(servers().nats_url()),
        nats_prefix: format!("t{}", uuid::Uuid::new_v4().simple()),
        jwt_secret: Secret::new("a secret that only tests use, 32 bytes"),
        master_key: Secret::new("0123456789abcdef".repeat(4)),
        ..Config::default()
    };
    config.limits.login_per_minute = 0;
    config.limits.open_per_minute = 0;
    config.limits.donor_per_minute = 0;
    config
}

/// The log of a test's database.
pub(crate) fn log(database: &TestDatabase) -> Log {
    Log::open_database(&config(database)).unwrap()
}

/// The bus of a configuration, connecting in the background.
pub(crate) async fn bus(config: &Config) -> Bus {
    let seal = Seal::new(&config.master_key_bytes().unwrap());
    Bus::connect(&config.nats_url, &config.nats_prefix, seal).await.unwrap()
}
