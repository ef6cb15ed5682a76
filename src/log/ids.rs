//! Integer ids, handed out in blocks so that a command rarely asks the database for one.
//!
//! Ids are unique over all nodes and after every restart; they are neither gapless nor in order of use.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use aggregates::call_session::CallSession;
use aggregates::donor_query::DonorQuery;
use aggregates::ids::{CallId, CallRequestId, ChatId, MessageId, QueryId};
use aggregates::staff_chat::StaffChat;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Log, LogError};

/// How many ids a sequence value stands for; `increment by` in the migration.
const BLOCK: i64 = 32;

/// How many blocks are fetched at once at most.
const MOST_BLOCKS: i32 = 16;

/// Whoever uses up within this time what was fetched fetches twice as much: everybody waits while one fetches.
const BRISK: Duration = Duration::from_secs(1);

/// What is left of the blocks this node holds.
#[derive(Default)]
pub(super) struct Ids {
    queries: Supply,
    messages: Supply,
    calls: Supply,
    requests: Supply,
}

#[derive(Default)]
struct Supply {
    stock: Mutex<Stock>,
}

#[derive(Default)]
struct Stock {
    left: VecDeque<Range<i64>>,
    /// When something was fetched last, and how many blocks.
    fetched: Option<(Instant, i32)>,
}

impl Supply {
    async fn next(&self, pool: &PgPool, sequence: &str) -> Result<i64, LogError> {
        let mut stock = self.stock.lock().await;
        if let Some(id) = stock.take() {
            return Ok(id);
        }
        let (now, blocks) = (Instant::now(), stock.wanted());
        let firsts: Vec<i64> = sqlx::query_scalar("select nextval($1::regclass) from generate_series(1, $2)")
            .bind(sequence)
            .bind(blocks)
            .fetch_all(pool)
            .await?;
        stock.left = firsts.into_iter().map(|first| first..first + BLOCK).collect();
        stock.fetched = Some((now, blocks));
        stock.take().ok_or(LogError::Database(sqlx::Error::RowNotFound))
    }
}

impl Stock {
    fn take(&mut self) -> Option<i64> {
        let block = self.left.front_mut()?;
        let id = block.next();
        if block.is_empty() {
            self.left.pop_front();
        }
        id
    }

    /// How many blocks are fetched next: few on a quiet desk, whose ids then hardly jump when the node restarts.
    fn wanted(&self) -> i32 {
        match self.fetched {
            Some((at, blocks)) if at.elapsed() < BRISK => MOST_BLOCKS.min(2 * blocks),
            Some(_) | None => 1,
        }
    }
}

impl Log {
    /// A query id nobody has. The log need not be asked what it knows of it.
    pub async fn next_query_id(&self) -> Result<QueryId, LogError> {
        let id = self.inner.ids.queries.next(&self.inner.pool, "query_ids").await.map(QueryId::new)?;
        self.keep_new::<DonorQuery>(id);
        Ok(id)
    }

    /// A chat id nobody has, and no query. The log need not be asked what it knows of it.
    pub async fn next_chat_id(&self) -> Result<ChatId, LogError> {
        let id = self.inner.ids.queries.next(&self.inner.pool, "query_ids").await.map(ChatId::new)?;
        self.keep_new::<StaffChat>(id);
        Ok(id)
    }

    /// A message id nobody has.
    pub async fn next_message_id(&self) -> Result<MessageId, LogError> {
        self.inner.ids.messages.next(&self.inner.pool, "message_ids").await.map(MessageId::new)
    }

    /// A call id nobody has. The log need not be asked what it knows of it.
    pub async fn next_call_id(&self) -> Result<CallId, LogError> {
        let id = self.inner.ids.calls.next(&self.inner.pool, "call_ids").await.map(CallId::new)?;
        self.keep_new::<CallSession>(id);
        Ok(id)
    }

    /// A call request id nobody has.
    pub async fn next_request_id(&self) -> Result<CallRequestId, LogError> {
        self.inner.ids.requests.next(&self.inner.pool, "call_request_ids").await.map(CallRequestId::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_needs_many_fetches_many() {
        let mut stock = Stock::default();
        let mut fetched = Vec::new();
        for _ in 0..6 {
            let blocks = stock.wanted();
            fetched.push(blocks);
            stock.fetched = Some((Instant::now(), blocks));
            tokio::time::advance(BRISK / 2).await;
        }
        assert_eq!(fetched, [1, 2, 4, 8, 16, 16]);
        tokio::time::advance(BRISK).await;
        assert_eq!(stock.wanted(), 1);
    }

    #[test]
    fn blocks_are_used_up_one_after_the_other() {
        let mut stock = Stock { left: VecDeque::from([1..4, 33..35]), fetched: None };
        assert_eq!(std::iter::from_fn(|| stock.take()).collect::<Vec<_>>(), [1, 2, 3, 33, 34]);
    }
}
