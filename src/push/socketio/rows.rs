//! Rows of queries, for events that say more than their fact does.

use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::QueryId;
use aggregates::recorded::RecordedEvent;
use moka::sync::Cache;
use projections::queries::{self, QueryRow};
use sqlx::PgPool;
use tracing::warn;

/// How many rows are kept, and for how long at most: they hold names.
const CAPACITY: u64 = 1_000;
const LIFETIME: Duration = Duration::from_mins(1);

/// The rows that were read lately, so that a replay reads each query once. Cheap to clone.
#[derive(Clone)]
pub(in crate::push) struct Rows {
    reads: PgPool,
    lately: Cache<QueryId, Arc<QueryRow>>,
}

impl Rows {
    pub(in crate::push) fn new(reads: PgPool) -> Self {
        Self { reads, lately: Cache::builder().max_capacity(CAPACITY).time_to_live(LIFETIME).build() }
    }

    /// The query of a fact, with that fact or a later one in it; `None` if it was deleted or cannot be read.
    pub(in crate::push) async fn as_of(&self, fact: &RecordedEvent) -> Option<Arc<QueryRow>> {
        if let Some(row) = self.lately.get(&fact.query).filter(|row| row.position >= fact.position) {
            return Some(row);
        }
        match queries::find(&self.reads, fact.query).await {
            Ok(row) => {
                let row = Arc::new(row?);
                self.lately.insert(fact.query, Arc::clone(&row));
                Some(row)
            }
            Err(error) => {
                warn!(query.id = %fact.query, %error, "Could not read query {}; its events say less", fact.query);
                None
            }
        }
    }
}
