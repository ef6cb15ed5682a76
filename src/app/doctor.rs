//! `concierge doctor`: is everything there that a node needs?

use std::time::Duration;

use anyhow::bail;
use sqlx::{Connection, PgConnection};

use super::say;
use crate::bus::Bus;
use crate::config::Config;
use crate::database::{self, Purpose};
use crate::log::Log;
use crate::{clock, migrate};

/// How far the database's clock may be from ours.
const CLOCK_DRIFT_MS: i64 = 1_000;
/// How long each check may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks one thing after the other, says what it finds, and fails if anything is wrong.
pub async fn examine(config: &Config) -> anyhow::Result<()> {
    let mut wrong = 0;
    let mut tell = |what: &str, found: anyhow::Result<String>| {
        wrong += u32::from(found.is_err());
        match found {
            Ok(detail) => say(&format!("ok     {what}: {detail}")),
            Err(error) => say(&format!("WRONG  {what}: {error:#}")),
        }
    };
    tell("configuration", config.check().map(|()| "complete".to_owned()).map_err(Into::into))?;
    tell("PostgreSQL", within(postgres(config)).await)?;
    tell("schema", within(migrate::pending(config.database_url.expose())).await)?;
    tell("master key", within(master_key(config)).await)?;
    tell("clock", within(drift(config)).await)?;
    tell("NATS", within(nats(config)).await)?;
    if wrong > 0 {
        bail!("{wrong} of 6 checks failed");
    }
    Ok(())
}

async fn within(check: impl Future<Output = anyhow::Result<String>>) -> anyhow::Result<String> {
    tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| bail!("no answer within {PATIENCE:?}"))
}

async fn postgres(config: &Config) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(config.database_url.expose()).await?;
    Ok(format!("version {}", sqlx::query_scalar::<_, String>("show server_version").fetch_one(&mut connection).await?))
}

async fn master_key(config: &Config) -> anyhow::Result<String> {
    Log::open_database(config)?.check_master_key().await?;
    Ok("opens what is sealed".to_owned())
}

async fn drift(config: &Config) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect_with(&database::options(&config.database_url, Purpose::Read)?).await?;
    let theirs: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut connection).await?;
    let drift = (clock::now() - theirs).num_milliseconds().abs();
    if drift > CLOCK_DRIFT_MS {
        bail!("{drift} ms from the database's");
    }
    Ok(format!("{drift} ms from the database's"))
}

async fn nats(config: &Config) -> anyhow::Result<String> {
    let bus = Bus::connect(&config.nats_url, &config.nats_prefix).await?;
    bus.link().wait_for(|link| link.up).await?;
    bus.ensure_stream().await?;
    Ok("stream in place".to_owned())
}
