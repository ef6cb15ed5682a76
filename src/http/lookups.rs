//! What nearly every answer shows, looked up for all requests that need it at once: see [`crate::grouped`].

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::{MessageId, QueryId};
use axum::body::Bytes;
use projections::messages::{self, MessageRow};
use projections::queries::{self, QueryRow};
use projections::{ReadError, ReadPool};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::donor_queries::listing::{self, ListKey};
use crate::accounts::Accounts;
use crate::grouped::{Answers, GroupError, Grouped};

/// How many messages a single query shows.
pub(super) const NEWEST_IN_ONE: i64 = 50;

/// How many statements of a kind are under way at once: one on its way while the next is gathered.
const AT_ONCE: usize = 2;

/// How long a search waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions about the read models that requests share. Cheap to clone.
#[derive(Clone)]
pub struct Lookups {
    queries: Grouped<QueryId, QueryRow>,
    conversations: Grouped<QueryId, Arc<Conversation>>,
    messages: Grouped<MessageId, MessageRow>,
    lists: Grouped<ListKey, Bytes>,
    /// What no index may narrow takes as long as it takes: nobody else waits for it.
    searches: Searches,
}

/// Lists that are read for one request each, few at a time: half of the connections are there for everything else.
#[derive(Clone)]
struct Searches {
    reads: ReadPool,
    accounts: Accounts,
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A query with the end of what was said about it, in the order it was said.
pub(super) struct Conversation {
    pub(super) row: QueryRow,
    pub(super) said: Vec<MessageRow>,
}

impl Lookups {
    /// Looks up until the stop: rows by their keys on one pool, lists on the other.
    pub fn start(
        look_ups: &ReadPool,
        reads: &ReadPool,
        accounts: &Accounts,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let of = || look_ups.clone();
        let (for_queries, for_conversations, for_messages, for_lists) = (of(), of(), of(), reads.clone());
        let people = accounts.clone();
        let turns = Arc::new(Semaphore::new((reads.options().get_max_connections() as usize / 2).max(1)));
        Self {
            searches: Searches {
                reads: reads.clone(),
                accounts: accounts.clone(),
                turns,
                tasks: tasks.clone(),
                stop: stop.clone(),
            },
            queries: Grouped::start(tasks, stop, AT_ONCE, move |ids| rows(for_queries.clone(), ids)),
            conversations: Grouped::start(tasks, stop, AT_ONCE, move |ids| {
                conversations(for_conversations.clone(), ids)
            }),
            messages: Grouped::start(tasks, stop, AT_ONCE, move |ids| said(for_messages.clone(), ids)),
            lists: Grouped::start(tasks, stop, AT_ONCE, move |keys| {
                let pages = listing::pages(for_lists.clone(), people.clone(), keys);
                async { Ok(pages.await) }
            }),
        }
    }

    /// A query, unless it was deleted.
    pub(super) async fn query(&self, id: QueryId) -> Result<Option<QueryRow>, GroupError> {
        self.queries.find(id).await
    }

    /// A query with the last [`NEWEST_IN_ONE`] messages about it, unless it was deleted.
    pub(super) async fn conversation(&self, id: QueryId) -> Result<Option<Arc<Conversation>>, GroupError> {
        self.conversations.find(id).await
    }

    /// A message about a query, unless that was deleted.
    pub(super) async fn message(&self, id: MessageId) -> Result<Option<MessageRow>, GroupError> {
        self.messages.find(id).await
    }

    /// A page of a list of queries, written as JSON.
    pub(super) async fn page(&self, list: ListKey) -> Result<Bytes, GroupError> {
        if list.is_search() {
            return Ok(self.searches.page(list).await?);
        }
        self.lists.find(list).await?.ok_or_else(|| ReadError::RowNotFound.into())
    }
}

impl Searches {
    /// A page, once it is its turn. Whoever goes away while it is read still counts, as its statement does.
    async fn page(&self, list: ListKey) -> Result<Bytes, ReadError> {
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| ReadError::PoolTimedOut)?.map_err(|_| ReadError::PoolClosed)?;
        let Self { reads, accounts, stop, .. } = self.clone();
        let reading = self.tasks.spawn(async move {
            let page = stop.run_until_cancelled(listing::written(&reads, &accounts, &list)).await;
            drop(turn);
            page.unwrap_or(Err(ReadError::PoolClosed))
        });
        reading.await.unwrap_or(Err(ReadError::WorkerCrashed))
    }
}

async fn rows(reads: ReadPool, ids: Vec<QueryId>) -> Result<Answers<QueryId, QueryRow>, ReadError> {
    Ok(each(queries::each_of_ids(&reads, &ids).await?))
}

async fn conversations(reads: ReadPool, ids: Vec<QueryId>) -> Result<Answers<QueryId, Arc<Conversation>>, ReadError> {
    let rows = queries::each_of_ids(&reads, &ids).await?;
    let is_talked_about = |row: &QueryRow| row.message_count > 0;
    let talked = rows.iter().filter(|(_, row)| row.as_ref().is_ok_and(is_talked_about)).map(|(id, _)| *id);
    let talked: Vec<QueryId> = talked.collect();
    let mut said: HashMap<QueryId, Vec<Result<MessageRow, ReadError>>> = HashMap::new();
    if !talked.is_empty() {
        for (query, message) in messages::each_latest_of_queries(&reads, &talked, NEWEST_IN_ONE).await? {
            said.entry(query).or_default().push(message);
        }
    }
    let whole = |(id, row): (QueryId, Result<QueryRow, ReadError>)| {
        let said: Result<Vec<MessageRow>, ReadError> = said.remove(&id).into_iter().flatten().collect();
        (id, row.and_then(|row| Ok(Arc::new(Conversation { row, said: said? }))))
    };
    Ok(each(rows.into_iter().map(whole)))
}

async fn said(reads: ReadPool, ids: Vec<MessageId>) -> Result<Answers<MessageId, MessageRow>, ReadError> {
    Ok(each(messages::each_of_ids(&reads, &ids).await?))
}

/// What was read of each key; one that cannot be understood is nobody else's failure.
fn each<K: Eq + Hash, V>(read: impl IntoIterator<Item = (K, Result<V, ReadError>)>) -> Answers<K, V> {
    read.into_iter().map(|(key, value)| (key, value.map_err(GroupError::from))).collect()
}
