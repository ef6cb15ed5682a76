//! Two nodes on one database: what one knows, the other does not decide against.

use aggregates::donor_query::{DonorQuery, DonorQueryCommand};
use aggregates::ids::{MessageId, QueryId};
use aggregates::people::{Actor, Staff};
use aggregates::recorded::Metadata;
use aggregates::testing::{NOON, ada, ben, cleo, opening};
use proof_concierge::dispatch::{CommandContext, DispatchError, Dispatcher};
use proof_concierge::log::CommandKey;

use crate::support::database::{TestDatabase, database};
use crate::support::node;

const QUERY: QueryId = QueryId::new(17);

fn context() -> CommandContext {
    CommandContext { metadata: Metadata::of(&Actor::System, "request-1"), if_match: None, key: None }
}

fn node_on(database: &TestDatabase) -> Dispatcher {
    Dispatcher::new(node::log(database))
}

/// One node on which a query was opened, and another on which Ben accepted it.
async fn two_nodes(database: &TestDatabase) -> (Dispatcher, Dispatcher) {
    let (one, other) = (node_on(database), node_on(database));
    one.query(QUERY, DonorQueryCommand::OpenQuery(opening()), &context()).await.unwrap();
    other.query(QUERY, accept(ben()), &context()).await.unwrap();
    (one, other)
}

fn accept(by: Staff) -> DonorQueryCommand {
    DonorQueryCommand::AcceptQuery { by, notice: MessageId::new(7), at: NOON }
}

fn transfer(by: Staff, to: &Staff) -> DonorQueryCommand {
    DonorQueryCommand::TransferQuery { by, to: to.as_ref(), note: None, notice: MessageId::new(8), at: NOON }
}

fn resolve(by: Staff) -> DonorQueryCommand {
    DonorQueryCommand::ResolveQuery { by, notice: MessageId::new(9), at: NOON }
}

#[tokio::test]
async fn a_refusal_is_never_decided_on_what_another_node_changed() {
    let database = database().await;
    let (one, other) = two_nodes(&database).await;
    one.query(QUERY, transfer(ben(), &cleo()), &context()).await.unwrap();
    // The other node remembers that Ben holds it; it is Cleo's to accept.
    let accepted = other.query(QUERY, accept(cleo()), &context()).await.unwrap();
    assert_eq!(accepted.state.holder(), Some(&cleo().as_ref()));
}

#[tokio::test]
async fn who_may_act_is_never_told_from_what_another_node_changed() {
    let database = database().await;
    let (one, other) = two_nodes(&database).await;
    one.query(QUERY, transfer(ben(), &cleo()), &context()).await.unwrap();
    one.query(QUERY, accept(cleo()), &context()).await.unwrap();
    let (current, version) = other.current(QUERY).await.unwrap();
    assert_eq!((current.check_may_act(&cleo()), current.check_may_act(&ben()).is_err()), (Ok(()), true));
    assert_eq!(version, one.load(QUERY).await.unwrap().1);
}

#[tokio::test]
async fn nothing_to_do_is_never_decided_on_what_another_node_changed() {
    let database = database().await;
    let (one, other) = two_nodes(&database).await;
    other.query(QUERY, resolve(ben()), &context()).await.unwrap();
    one.query(QUERY, DonorQueryCommand::MarkInProgress { by: ada(), at: NOON }, &context()).await.unwrap();
    let resolved = other.query(QUERY, resolve(ben()), &context()).await.unwrap();
    assert!(!resolved.events.is_empty());
    assert!(matches!(&*resolved.state, DonorQuery::Closed(_)));
}

#[tokio::test]
async fn a_repeated_command_is_not_refused_for_the_version_it_made_itself() {
    let database = database().await;
    let node = node_on(&database);
    node.query(QUERY, DonorQueryCommand::OpenQuery(opening()), &context()).await.unwrap();
    let (_, version) = node.load(QUERY).await.unwrap();
    let key = CommandKey { scope: "test".to_owned(), key: "once".to_owned(), request_hash: [1; 32] };
    let repeated = CommandContext { if_match: Some(version), key: Some(key), ..context() };
    let first = node.query(QUERY, accept(ada()), &repeated).await.unwrap();
    let second = node.query(QUERY, accept(ada()), &repeated).await.unwrap();
    assert_eq!(second.events, first.events);
    assert!(second.replayed);
    let stranger = CommandContext { key: None, ..repeated };
    let refused = node.query(QUERY, accept(ada()), &stranger).await;
    assert!(matches!(refused, Err(DispatchError::VersionMismatch { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_node_with_another_master_key_does_not_start() {
    let database = database().await;
    node::log(&database).check_master_key().await.unwrap();
    let mut config = node::config(&database);
    config.master_key = proof_concierge::config::Secret::new("f".repeat(64));
    let stranger = proof_concierge::log::Log::open_database(&config).unwrap();
    assert!(stranger.check_master_key().await.is_err());
    node::log(&database).check_master_key().await.unwrap();
}
