//! `concierge doctor`: is everything there that a node needs?

use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{Connection, PgConnection};

use super::say;
use crate::bus::{Bus, Seal};
use crate::config::Config;
use crate::database::{self, Purpose};
use crate::integrations::Outbox;
use crate::integrations::calls::CallRooms;
use crate::integrations::mail::Mailer;
use crate::integrations::push::Push;
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
    tell("outside services", outside(config))?;
    if wrong > 0 {
        bail!("{wrong} of 7 checks failed");
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

/// Sets up what carries notes, mail and calls as a node would; nobody is asked for anything.
fn outside(config: &Config) -> anyhow::Result<String> {
    let pool = database::pool(&config.database_url, Purpose::Read, 1)?;
    let outbox = Outbox::new(pool.clone());
    Push::new(&config.push, outbox.clone()).context("push")?;
    Mailer::new(&config.mail, outbox).context("mail")?;
    let calls = CallRooms::new(config, pool).context("calls")?.provider().as_str();
    let carrier = |is_local| if is_local { "local outbox" } else { "configured" };
    Ok(format!("push {}, mail {}, calls {calls}", carrier(config.push.is_local()), carrier(config.mail.is_local())))
}

async fn nats(config: &Config) -> anyhow::Result<String> {
    let bus = Bus::connect(&config.nats_url, &config.nats_prefix, Seal::new(&config.master_key_bytes()?)).await?;
    bus.link().wait_for(|link| link.up).await?;
    bus.replicated(config.nats_replicas).ensure_stream().await?;
    Ok("stream in place".to_owned())
}
