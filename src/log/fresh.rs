//! What this node appended a moment ago, readable as it was, so that its readers need not open it again.

use std::sync::Arc;
use std::time::Duration;

use aggregates::recorded::{Position, RecordedEvent, StoredEvent};
use moka::sync::Cache;

use super::cache::hot;

/// How many facts are kept: more than readers that keep up are behind.
const KEPT: u64 = 1_024;

/// How long a fact is kept. It is plain text, and outlives the donor's key by no more than this.
const LIFETIME: Duration = Duration::from_secs(10);

/// The facts, by position.
pub(super) struct Fresh {
    facts: Cache<Position, Arc<RecordedEvent>>,
}

impl Default for Fresh {
    fn default() -> Self {
        Self { facts: hot(KEPT).time_to_live(LIFETIME).build() }
    }
}

impl Fresh {
    /// Keeps facts that were recorded just now.
    pub(super) fn keep(&self, facts: &[RecordedEvent]) {
        for fact in facts {
            self.facts.insert(fact.position, Arc::new(fact.clone()));
        }
    }

    /// A stored fact as it was appended, if that was here and a moment ago.
    pub(super) fn of(&self, stored: &StoredEvent) -> Option<RecordedEvent> {
        // A log that lost its end may hold another fact there by now.
        self.facts.get(&stored.position).filter(|fact| fact.event_id == stored.event_id).map(Arc::unwrap_or_clone)
    }
}
