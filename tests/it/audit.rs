//! `concierge audit verify`: what was done to the log behind the service's back is found.

use aggregates::testing::{accepted_by, ada, opened};
use proof_concierge::app::audit::{self, Command};
use sqlx::Executor;

use crate::log::facts;
use crate::support::database::{TestDatabase, database};
use crate::support::node;

/// A log of three facts that readers have seen.
async fn audited() -> TestDatabase {
    let database = database().await;
    let log = node::log(&database);
    for query in 1..=2 {
        log.append(facts(query, 0, [opened()])).await.unwrap();
    }
    log.append(facts(1, 1, [accepted_by(&ada())])).await.unwrap();
    database.pool.execute("update projection_checkpoints set position = 3").await.unwrap();
    database
}

/// What an audit says after an owner of the database did something to the log.
async fn after(deed: &str) -> Result<(), String> {
    let database = audited().await;
    let deed = format!("alter table events disable trigger user; {deed}");
    database.pool.execute(deed.as_str()).await.unwrap();
    audit::carry_out(Command::Verify, &node::config(&database)).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_in_order() {
    assert_eq!(after("select 1").await, Ok(()));
}

#[tokio::test]
async fn a_changed_a_missing_a_moved_and_a_cut_off_fact_are_found() {
    let changed = "update events set payload = replace(payload::text, 'Ada', 'Eve')::json where position = 3";
    assert_eq!(after(changed).await, Err("the fact at position 3 does not match its digest".to_owned()));
    let missing = "delete from events where position = 2";
    assert_eq!(after(missing).await, Err("the fact at position 2 is missing".to_owned()));
    let swapped = "drop index events_position;
                   update events set position = 4 - position where position in (1, 3)";
    assert_eq!(after(swapped).await, Err("the fact at position 1 comes before one that it follows".to_owned()));
    let cut_off = "delete from events where position = 3";
    let error = "the log ends at position 2, but readers have seen 3: its end is gone";
    assert_eq!(after(cut_off).await, Err(error.to_owned()));
}
