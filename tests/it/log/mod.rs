//! The event log against a real PostgreSQL.

mod append;
mod cut;
mod gone;
mod order;
mod sealed;
mod state;
mod stock;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, QueryId};
use aggregates::people::Actor;
use aggregates::recorded::{Event, Metadata, StreamId};
use proof_concierge::log::{Append, CommandKey, StreamAppend};

/// An append of a query's facts by a donor, on the version given.
pub(crate) fn facts(query: i64, expected: i64, events: impl IntoIterator<Item = DonorQueryEvent>) -> Append {
    let query = QueryId::new(query);
    Append {
        streams: vec![StreamAppend {
            stream: StreamId::DonorQuery(query),
            query,
            expected,
            events: events.into_iter().map(Event::DonorQuery).collect(),
        }],
        subject: DonorId::new(format!("donor-{query}")),
        metadata: Metadata::of(&Actor::System, "request-1"),
        key: None,
    }
}

fn key(name: &str, request: u8) -> CommandKey {
    CommandKey { scope: "test".to_owned(), key: name.to_owned(), request_hash: [request; 32] }
}
