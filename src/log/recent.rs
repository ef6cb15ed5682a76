//! What this node appended last, so that the relay beside it need not read it back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aggregates::recorded::{Position, StoredEvent};

/// How many facts are kept. A relay that is further behind reads the log.
const KEPT: usize = 1_024;

/// A run of facts without a hole; none while no relay wants it.
#[derive(Default)]
pub(super) struct Recent {
    run: Mutex<Option<VecDeque<StoredEvent>>>,
}

impl Recent {
    /// Begins a run, without what came before. A log that lost its end may hold other facts at those positions by now.
    pub(super) fn begin(&self) {
        *self.lock() = Some(VecDeque::new());
    }

    /// Adds facts, if a run was begun. One that does not follow the last one begins a new run: another node wrote in between.
    pub(super) fn add(&self, facts: impl Iterator<Item = StoredEvent>) {
        let mut run = self.lock();
        let Some(run) = run.as_mut() else { return };
        for fact in facts {
            if run.back().is_some_and(|last| fact.position.0 != last.position.0 + 1) {
                run.clear();
            }
            if run.len() == KEPT {
                run.pop_front();
            }
            run.push_back(fact);
        }
    }

    /// The facts that follow a position, at most so many; none if the next one is not here.
    pub(super) fn after(&self, position: Position, at_most: usize) -> Vec<StoredEvent> {
        let run = self.lock();
        let Some((run, first)) = run.as_ref().and_then(|run| Some((run, run.front()?))) else { return Vec::new() };
        let Ok(skipped) = usize::try_from(position.0 + 1 - first.position.0) else { return Vec::new() };
        run.iter().skip(skipped).take(at_most).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<StoredEvent>>> {
        // A fact is added whole or not at all, so a panic elsewhere does not spoil the run.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use aggregates::ids::QueryId;
    use aggregates::recorded::{Position, StoredEvent};
    use aggregates::testing::NOON;
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::{KEPT, Recent};

    fn fact(position: i64) -> StoredEvent {
        StoredEvent {
            position: Position(position),
            event_id: Uuid::nil(),
            aggregate_type: "donor_query".to_owned(),
            aggregate_id: "1".to_owned(),
            query: QueryId::new(1),
            sequence: position,
            event_type: "QueryReminded".to_owned(),
            event_version: "1.0".to_owned(),
            payload: RawValue::NULL.to_owned(),
            metadata: RawValue::NULL.to_owned(),
            recorded_at: NOON,
        }
    }

    fn begun() -> Recent {
        let recent = Recent::default();
        recent.begin();
        recent
    }

    fn after(recent: &Recent, position: i64, at_most: usize) -> Vec<i64> {
        recent.after(Position(position), at_most).iter().map(|fact| fact.position.0).collect()
    }

    #[test]
    fn what_follows_is_given_and_never_with_a_hole() {
        let recent = begun();
        assert_eq!(after(&recent, 0, 10), [0_i64; 0]);
        recent.add((5..=8).map(fact));
        assert_eq!(after(&recent, 4, 10), [5, 6, 7, 8]);
        assert_eq!(after(&recent, 6, 1), [7]);
        assert_eq!(after(&recent, 8, 10), [0_i64; 0]);
        assert_eq!(after(&recent, 3, 10), [0_i64; 0], "the fourth is not here");
        recent.add([fact(11)].into_iter());
        assert_eq!(after(&recent, 8, 10), [0_i64; 0], "somebody else wrote the ninth and the tenth");
        assert_eq!(after(&recent, 10, 10), [11]);
    }

    #[test]
    fn only_so_many_are_kept() {
        let recent = begun();
        let many = i64::try_from(KEPT).expect("a small number") + 10;
        recent.add((1..=many).map(fact));
        assert_eq!(after(&recent, 9, 10), [0_i64; 0], "the tenth was let go");
        assert_eq!(after(&recent, 10, 2), [11, 12]);
    }

    #[test]
    fn nothing_is_kept_from_before_the_beginning() {
        let recent = Recent::default();
        recent.add((1..=10).map(|_| panic!("nobody wants to know")));
        recent.begin();
        recent.add((1..=10).map(fact));
        recent.begin();
        assert_eq!(after(&recent, 7, 10), [0_i64; 0], "the log may have lost them");
        recent.add((8..=9).map(fact));
        assert_eq!(after(&recent, 7, 10), [8, 9]);
    }
}
