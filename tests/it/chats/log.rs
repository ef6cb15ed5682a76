//! A chat in the log: one stream on however many nodes, sealed, and read back as it was.

use std::collections::BTreeSet;

use aggregates::ids::MessageId;
use aggregates::people::{Actor, Staff};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, Position};
use aggregates::staff_chat::{ChatMembers, StaffChat, StaffChatCommand, StaffChatEvent};
use aggregates::testing::{NOON, ada, ben, cleo, text};
use aggregates::vocabulary::MessageType;
use futures_util::future::join_all;
use projections::Projection;
use proof_concierge::app::audit::{self, Command};
use proof_concierge::dispatch::{CommandContext, Dispatcher};
use proof_concierge::log::Log;
use proof_concierge::projector::rebuild::rebuild;
use sqlx::Executor;

use super::WORDS;
use crate::support::database::{TestDatabase, database};
use crate::support::node;

fn message(id: i64, by: &Staff, to: &Staff) -> StaffChatCommand {
    StaffChatCommand::PostChatMessage {
        message: MessageId::new(id),
        by: by.as_ref(),
        to: to.as_ref(),
        message_type: MessageType::Chat,
        content: text(WORDS),
        at: NOON,
    }
}

fn context() -> CommandContext {
    CommandContext { metadata: Metadata::of(&Actor::System, "request-1"), if_match: None, key: None }
}

async fn rebuilt(database: &TestDatabase) -> Vec<String> {
    let config = node::config(database);
    rebuild(&node::log(database), &config.database_url, Projection::Messages, |_, _| {}).await.unwrap();
    sqlx::query_scalar("select content from read.messages order by message_id").fetch_all(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_that_know_nothing_of_each_other_begin_one_chat() {
    let database = database().await;
    let nodes = [node::log(&database), node::log(&database)].map(Dispatcher::new);
    let (ada, ben) = (ada(), ben());
    let says = (0..50).map(|turn: i64| {
        let (by, to) = if turn % 4 < 2 { (&ada, &ben) } else { (&ben, &ada) };
        let node = &nodes[usize::try_from(turn % 2).unwrap()];
        async move { node.chat(message(turn + 1, by, to), &context()).await.map(|said| said.events) }
    });
    let said: Vec<_> = join_all(says).await.into_iter().map(|said| said.unwrap().remove(0)).collect();
    let streams: BTreeSet<_> = said.iter().map(|fact| fact.stream.to_string()).collect();
    assert_eq!(streams.len(), 1, "{streams:?}");
    let versions: BTreeSet<_> = said.iter().map(|fact| fact.sequence).collect();
    assert_eq!(versions, (1..=50).collect());
    let others = nodes[0].chat(message(51, &ada, &cleo()), &context()).await.unwrap();
    assert_eq!(others.events[0].sequence, 1, "another pair has a chat of its own");
    let keys: Vec<String> =
        sqlx::query_scalar("select key from claims order by key").fetch_all(&database.pool).await.unwrap();
    assert_eq!(keys, ["chat:1:2", "chat:1:3"]);
}

#[tokio::test]
async fn it_is_sealed_and_gone_with_its_key_and_the_facts_stand() {
    let database = database().await;
    let node = Dispatcher::new(node::log(&database));
    node.chat(message(1, &ada(), &ben()), &context()).await.unwrap();
    node.chat(message(2, &cleo(), &ben()), &context()).await.unwrap();
    let stored: Vec<String> =
        sqlx::query_scalar("select payload::text from events").fetch_all(&database.pool).await.unwrap();
    assert!(stored.iter().all(|payload| payload.contains("$sealed") && !payload.contains(WORDS)), "{stored:?}");
    assert_eq!(rebuilt(&database).await, [WORDS, WORDS]);

    let subject = ChatMembers::of(ben().id, ada().id).subject();
    let destroyed = sqlx::query("delete from donor_keys where donor_id = $1").bind(subject.as_str());
    assert_eq!(destroyed.execute(&database.pool).await.unwrap().rows_affected(), 1);
    assert_eq!(rebuilt(&database).await, [Personal::Erased(true).as_str(), WORDS]);
    audit::carry_out(Command::Verify, &node::config(&database)).await.unwrap();
}

#[tokio::test]
async fn it_is_read_back_as_it_was_from_facts_and_from_snapshots() {
    let database = database().await;
    let log = node::log(&database);
    let node = Dispatcher::new(log.clone());
    let said = node.chat(message(1, &ada(), &ben()), &context()).await.unwrap().events.remove(0);
    let again: Log = node::log(&database);
    let facts = again.read_after(Position::START, 9).await.unwrap();
    assert_eq!(again.open(&facts[0]).await.unwrap(), said);
    let Event::StaffChat(StaffChatEvent::ChatMessagePosted { content, .. }) = said.event else { panic!("it was said") };
    assert_eq!(content.as_str(), WORDS);

    let aggregates::recorded::StreamId::StaffChat(chat) = said.stream else { panic!("a chat has a stream of its own") };
    let loaded = again.load_cold::<StaffChat>(chat).await.unwrap();
    again.save_snapshot(chat, &loaded).await.unwrap();
    node.chat(message(2, &ben(), &ada()), &context()).await.unwrap();
    database.pool.execute("delete from donor_keys").await.unwrap();
    let cold = node::log(&database).load_cold::<StaffChat>(chat).await.unwrap();
    assert_eq!((cold.version, &*cold.state), (2, &StaffChat::Begun(ChatMembers::of(ada().id, ben().id))));
}
