//! Puts together what a node does outside the desk: who carries notes, mail and rooms, and the reactions that use them.

use std::sync::Arc;

use anyhow::Context;
use sqlx::PgPool;
use tokio::sync::watch;

use super::Stage;
use crate::accounts::Accounts;
use crate::accounts::devices::Devices;
use crate::bus::Bus;
use crate::config::Config;
use crate::database::{self, Purpose};
use crate::dispatch::Dispatcher;
use crate::http::health::{Condition, Probe};
use crate::integrations::Outbox;
use crate::integrations::calls::CallRooms;
use crate::integrations::mail::Mailer;
use crate::integrations::push::Push;
use crate::log::Log;
use crate::projector::Freshness;
use crate::reactions::{Carrier, Deliveries, Reactions};

/// Connections for what is planned and recorded. Nothing holds one while a provider is asked.
const CONNECTIONS: u32 = 4;

/// Starts the reactions if the node's roles ask for them. What staff see of them is there in any case.
pub(super) fn start(
    config: &Config,
    stage: &Stage,
    probes: &mut Vec<Probe>,
    carrier: &Carrier,
    bus: Bus,
    dispatcher: Dispatcher,
) -> anyhow::Result<Deliveries> {
    let pool = database::pool(&config.database_url, Purpose::Append, CONNECTIONS)?;
    let relaxed = database::pool(&config.database_url, Purpose::React, CONNECTIONS)?;
    let reactions = Reactions::new(carrier.log.clone(), pool, relaxed);
    let deliveries = reactions.deliveries();
    if config.roles.reactions {
        probes.push(probe(reactions.trouble()));
        let options = database::options(&config.database_url, Purpose::Read)?;
        reactions.start(bus, dispatcher, carrier, options, &stage.tasks, &stage.stop);
    }
    Ok(deliveries)
}

/// What carrying takes, as configured.
pub(super) fn carrier(
    config: &Config,
    log: &Log,
    reads: &PgPool,
    freshness: &Freshness,
    accounts: &Accounts,
) -> anyhow::Result<Carrier> {
    let outbox = Outbox::new(reads.clone());
    Ok(Carrier {
        log: log.clone(),
        reads: reads.clone(),
        freshness: freshness.clone(),
        accounts: accounts.clone(),
        devices: Devices::new(reads.clone()),
        push: Push::new(&config.push, outbox.clone()).context("cannot set up push")?,
        mailer: Mailer::new(&config.mail, outbox).context("cannot set up mail")?,
        frontend_url: config.mail.frontend_url.clone(),
        rooms: CallRooms::new(config, reads.clone()).context("cannot set up calls")?,
    })
}

/// The desk works while a letter waits, so trouble outside is a warning.
fn probe(trouble: watch::Receiver<Option<String>>) -> Probe {
    let check = move || trouble.borrow().clone().map_or(Condition::Up, Condition::Warning);
    Probe { name: "reactions", check: Arc::new(check) }
}
