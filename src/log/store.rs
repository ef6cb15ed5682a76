//! The log behind cqrs-es's `EventStore`, so that its framework and tools run on the same facts.
//!
//! The dispatcher does not use it: it appends two streams at once and needs positions back.

use std::collections::HashMap;

use aggregates::recorded::{Metadata, RecordedEvent};
use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};

use super::{Append, AppendError, Log, LogError, Logged, StreamAppend};

/// An aggregate on its way through cqrs-es.
pub struct Context<A: Logged> {
    id: A::Id,
    aggregate: A,
    version: i64,
}

impl<A: Logged> AggregateContext<A> for Context<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A: Logged + Clone> EventStore<A> for Log {
    type AC = Context<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let id = A::parse_id(aggregate_id).ok_or_else(unknown_id)?;
        let recorded = self.stream_facts(A::stream(id)).await.map_err(unexpected)?;
        Ok(recorded.into_iter().filter_map(envelope).collect())
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Context<A>, AggregateError<A::Error>> {
        let id = A::parse_id(aggregate_id).ok_or_else(unknown_id)?;
        let loaded = self.load::<A>(id).await.map_err(unexpected)?;
        Ok(Context { id, aggregate: std::sync::Arc::unwrap_or_clone(loaded.state), version: loaded.version })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Context<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (query, subject) = context.aggregate.about(context.id).ok_or_else(unknown_id)?;
        let stream = A::stream(context.id);
        let events = events.into_iter().map(A::wrap).collect();
        let append = Append {
            streams: vec![StreamAppend { stream, query, expected: context.version, events }],
            subject,
            metadata: to_metadata(metadata)?,
            key: None,
        };
        let appended = self.append(append).await;
        self.forget(stream);
        match appended {
            Ok(appended) => Ok(appended.events.into_iter().filter_map(envelope).collect()),
            Err(AppendError::Conflict(_) | AppendError::Claimed { .. }) => Err(AggregateError::AggregateConflict),
            Err(error) => Err(AggregateError::UnexpectedError(Box::new(error))),
        }
    }
}

fn envelope<A: Logged>(recorded: RecordedEvent) -> Option<EventEnvelope<A>> {
    let metadata = serde_json::to_value(&recorded.metadata).ok().and_then(|map| serde_json::from_value(map).ok());
    Some(EventEnvelope {
        aggregate_id: recorded.stream.aggregate_id(),
        sequence: usize::try_from(recorded.sequence).ok()?,
        payload: A::unwrap(recorded.event)?,
        metadata: metadata.unwrap_or_default(),
    })
}

/// Metadata of the log; whoever says nothing is the desk itself.
fn to_metadata<E: std::error::Error>(mut map: HashMap<String, String>) -> Result<Metadata, AggregateError<E>> {
    map.entry("actor_kind".to_owned()).or_insert_with(|| "system".to_owned());
    for id in ["request_id", "causation_id", "correlation_id"] {
        map.entry(id.to_owned()).or_insert_with(|| "none".to_owned());
    }
    let value = serde_json::to_value(map).and_then(serde_json::from_value);
    value.map_err(|error| AggregateError::DeserializationError(Box::new(error)))
}

fn unknown_id<E: std::error::Error>() -> AggregateError<E> {
    AggregateError::UnexpectedError("no such stream".into())
}

fn unexpected<E: std::error::Error>(error: LogError) -> AggregateError<E> {
    AggregateError::UnexpectedError(Box::new(error))
}
