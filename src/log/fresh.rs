//! What this node appended a moment ago, readable as it was, so that its readers need not open it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aggregates::recorded::{Position, RecordedEvent, StoredEvent};
use tokio::time::Instant;

/// How many facts are kept: more than readers that keep up are behind.
const KEPT: usize = 1_024;

/// How long a fact is good. It is plain text, and is read for no longer than this after the donor's key is gone.
const LIFETIME: Duration = Duration::from_secs(10);

/// The facts, by position. What is too old goes with the next that comes.
#[derive(Default)]
pub(super) struct Fresh {
    facts: Mutex<BTreeMap<Position, Kept>>,
}

struct Kept {
    since: Instant,
    fact: Arc<RecordedEvent>,
}

impl Kept {
    fn is_good(&self) -> bool {
        self.since.elapsed() < LIFETIME
    }
}

impl Fresh {
    /// Keeps facts that were recorded just now.
    pub(super) fn keep(&self, recorded: &[RecordedEvent]) {
        let since = Instant::now();
        let kept: Vec<_> = recorded.iter().map(|fact| Kept { since, fact: Arc::new(fact.clone()) }).collect();
        let mut facts = self.lock();
        facts.extend(kept.into_iter().map(|kept| (kept.fact.position, kept)));
        while facts.len() > KEPT || facts.first_key_value().is_some_and(|(_, kept)| !kept.is_good()) {
            facts.pop_first();
        }
    }

    /// A stored fact as it was appended, if that was here and a moment ago.
    pub(super) fn of(&self, stored: &StoredEvent) -> Option<RecordedEvent> {
        let found = self.lock().get(&stored.position).filter(|kept| kept.is_good()).map(|kept| Arc::clone(&kept.fact));
        // A log that lost its end may hold another fact there by now.
        found.filter(|fact| fact.event_id == stored.event_id).map(Arc::unwrap_or_clone)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Position, Kept>> {
        // A fact is added whole or not at all, so a panic elsewhere does not spoil them.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
