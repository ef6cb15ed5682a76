//! Applies facts to the read models, and tells who waits how far it got.

use std::time::Duration;

use aggregates::recorded::{Partition, Position};

/// How far the read models got. Cheap to clone.
#[derive(Clone)]
pub struct Freshness {}

impl Freshness {
    /// Waits until every read model has applied the facts of a partition up to a position; `false` on time-out.
    pub async fn reached(&self, _partition: Partition, _position: Position, _limit: Duration) -> bool {
        unimplemented!()
    }

    /// Waits until every read model has applied all facts up to a position; `false` on time-out.
    pub async fn reached_all(&self, _position: Position, _limit: Duration) -> bool {
        unimplemented!()
    }

    /// Everything up to here is applied.
    pub fn applied(&self) -> Position {
        unimplemented!()
    }
}
