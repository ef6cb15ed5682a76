//! Integer ids, handed out in blocks so that a command rarely asks the database for one.
//!
//! Ids are unique over all nodes and after every restart; they are neither gapless nor in order of use.

use std::ops::Range;

use aggregates::call_session::CallSession;
use aggregates::donor_query::DonorQuery;
use aggregates::ids::{CallId, CallRequestId, ChatId, MessageId, QueryId};
use aggregates::staff_chat::StaffChat;
use sqlx::PgPool;
use tokio::sync::Mutex;

use super::{Log, LogError};

/// How many ids a sequence value stands for; `increment by` in the migration.
const BLOCK: i64 = 32;

/// What is left of the blocks this node holds.
#[derive(Default)]
pub(super) struct Ids {
    queries: Block,
    messages: Block,
    calls: Block,
    requests: Block,
}

#[derive(Default)]
struct Block {
    left: Mutex<Range<i64>>,
}

impl Block {
    async fn next(&self, pool: &PgPool, sequence: &str) -> Result<i64, LogError> {
        let mut left = self.left.lock().await;
        if let Some(id) = left.next() {
            return Ok(id);
        }
        let first: i64 = sqlx::query_scalar("select nextval($1::regclass)").bind(sequence).fetch_one(pool).await?;
        *left = first + 1..first + BLOCK;
        Ok(first)
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
