//! cqrs-es's own framework on this log.

use aggregates::donor_query::{DonorQuery, DonorQueryCommand, DonorQueryError};
use aggregates::testing::{NOON, NOTICE, ada, ben, opening};
use cqrs_es::{AggregateError, CqrsFramework, EventStore};

use crate::support::database::database;
use crate::support::node;

#[tokio::test]
async fn the_stock_framework_executes_commands_on_the_log() {
    let database = database().await;
    let log = node::log(&database);
    let stock = CqrsFramework::<DonorQuery, _>::new(log.clone(), Vec::new(), ());
    stock.execute("17", DonorQueryCommand::OpenQuery(opening())).await.unwrap();
    stock.execute("17", DonorQueryCommand::AcceptQuery { by: ada(), notice: NOTICE, at: NOON }).await.unwrap();
    let refused = stock.execute("17", DonorQueryCommand::AcceptQuery { by: ben(), notice: NOTICE, at: NOON }).await;
    let Err(AggregateError::UserError(DonorQueryError::AlreadyHeld(holder))) = refused else { panic!("{refused:?}") };
    assert_eq!(holder, ada().as_ref());
    let events = EventStore::<DonorQuery>::load_events(&log, "17").await.unwrap();
    assert!(events.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence));
    let replayed = events.into_iter().fold(DonorQuery::default(), |state, event| state.evolve(event.payload));
    assert_eq!(replayed.holder(), Some(&ada().as_ref()));
}
