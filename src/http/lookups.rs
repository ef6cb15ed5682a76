//! What nearly every answer shows, looked up for all requests that need it at once: see [`crate::grouped`].

use std::collections::HashMap;
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
use crate::grouped::{GroupError, Grouped};

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
    /// What cannot be listed fails alone: pages that were asked for at once are not one statement.
    lists: Grouped<ListKey, Result<Bytes, GroupError>>,
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
    /// Looks up until the stop.
    pub fn start(reads: &ReadPool, accounts: &Accounts, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let of = || reads.clone();
        let (for_queries, for_conversations, for_messages, for_lists) = (of(), of(), of(), of());
        let people = accounts.clone();
        let turns = Arc::new(Semaphore::new((reads.options().get_max_connections() as usize / 2).max(1)));
        Self {
            searches: Searches {
                reads: of(),
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
                listing::pages(for_lists.clone(), people.clone(), keys)
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
        self.lists.find(list).await?.unwrap_or_else(|| Ok(Bytes::new()))
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

async fn rows(reads: ReadPool, ids: Vec<QueryId>) -> Result<HashMap<QueryId, QueryRow>, ReadError> {
    let rows = queries::of_ids(&reads, &ids).await?;
    Ok(rows.into_iter().map(|row| (row.query_id, row)).collect())
}

async fn conversations(reads: ReadPool, ids: Vec<QueryId>) -> Result<HashMap<QueryId, Arc<Conversation>>, ReadError> {
    let rows = queries::of_ids(&reads, &ids).await?;
    let talked: Vec<QueryId> = rows.iter().filter(|row| row.message_count > 0).map(|row| row.query_id).collect();
    let mut said: HashMap<QueryId, Vec<MessageRow>> = HashMap::new();
    if !talked.is_empty() {
        for message in messages::latest_of_queries(&reads, &talked, NEWEST_IN_ONE).await? {
            if let Some(query) = message.query_id {
                said.entry(query).or_default().push(message);
            }
        }
    }
    let whole = |row: QueryRow| {
        let said = said.remove(&row.query_id).unwrap_or_default();
        (row.query_id, Arc::new(Conversation { row, said }))
    };
    Ok(rows.into_iter().map(whole).collect())
}

async fn said(reads: ReadPool, ids: Vec<MessageId>) -> Result<HashMap<MessageId, MessageRow>, ReadError> {
    let rows = messages::of_ids(&reads, &ids).await?;
    Ok(rows.into_iter().map(|row| (row.message_id, row)).collect())
}
