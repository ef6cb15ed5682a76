//! From decided facts to rows: seal, digest, hand to the writer, and give back what was recorded.

use aggregates::policy::{self, ClaimChange};
use aggregates::recorded::{Event, Position, RecordedEvent, StoredEvent, StreamId};
use chrono::{DateTime, Utc};
use serde_json::Value;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::codec::{Codec, DataKey, Place};
use super::writer::{ClaimRow, Job, Row, Written};
use super::{Append, AppendError, Appended, Log, LogError, StreamAppend, digest_of, random_uuid};
use crate::clock;

impl Log {
    /// Appends facts of one or more streams in one transaction. Answers when they are durable.
    ///
    /// A command whose [`super::CommandKey`] was carried out before writes nothing and gives back the facts of that time.
    /// Unless the facts were written now, and whoever asked is told so, memory knows nothing of the streams afterwards.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let claims = claims(&append);
        self.append_with(append, claims).await
    }

    /// Appends facts that let go of claims but take none: for queries that another desk let exist beside each other.
    pub async fn append_unclaimed(&self, append: Append) -> Result<Appended, AppendError> {
        let mut claims = claims(&append);
        claims.retain(|claim| !claim.take);
        self.append_with(append, claims).await
    }

    async fn append_with(&self, append: Append, claims: Vec<ClaimRow>) -> Result<Appended, AppendError> {
        let (key, new_key) = self.inner.codec.key_of(&append.subject).await.map_err(AppendError::Unavailable)?;
        let rows = rows(&append, &key).map_err(AppendError::Unavailable)?;
        let event_ids: Vec<Uuid> = rows.iter().map(|row| row.event.event_id).collect();
        let is_new = new_key.is_some();
        let job = Job {
            checks: append.streams.iter().map(|stream| (stream.stream, stream.expected)).collect(),
            rows,
            claims,
            key: append.key.clone(),
            new_key,
        };
        let mut under_way = UnderWay::new(self, &append);
        match self.inner.writer.write(job).await? {
            Written::Recorded { first, at } => {
                under_way.streams.clear();
                // Only then: a key that was looked up is used no longer than it may be, however often.
                if is_new {
                    self.inner.codec.learn(&append.subject, &key);
                }
                let events = recorded(append, &event_ids, first, at);
                self.inner.fresh.keep(&events);
                Ok(Appended { events, replayed: false })
            }
            Written::Replayed { first, last } => {
                let events = self.read_range(first, last).await.map_err(AppendError::Unavailable)?;
                Ok(Appended { events, replayed: true })
            }
        }
    }

    /// The facts from one position to another, both included.
    pub(super) async fn read_range(&self, first: Position, last: Position) -> Result<Vec<RecordedEvent>, LogError> {
        let mut events = Vec::new();
        for stored in self.read_after(Position(first.0 - 1), last.0 - first.0 + 1).await? {
            events.push(self.open(&stored).await?);
        }
        Ok(events)
    }
}

/// The streams of an append that is on its way. Whoever asked may go away meanwhile and not hear that it was carried out;
/// then nobody corrects what memory knew before, such as that there is no such query.
struct UnderWay<'a> {
    log: &'a Log,
    streams: Vec<StreamId>,
}

impl<'a> UnderWay<'a> {
    fn new(log: &'a Log, append: &Append) -> Self {
        Self { log, streams: append.streams.iter().map(|stream| stream.stream).collect() }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        for stream in self.streams.drain(..) {
            self.log.forget(stream);
        }
    }
}

/// The sealed rows of an append, in order. Positions and times are the writer's to give.
fn rows(append: &Append, key: &DataKey) -> Result<Vec<Row>, LogError> {
    let metadata = to_raw_value(&append.metadata).map_err(|error| unserializable(&error))?;
    let mut rows = Vec::new();
    for StreamAppend { stream, query, expected, events } in &append.streams {
        for (event, sequence) in events.iter().zip(expected + 1..) {
            let mut payload = payload(event).map_err(|error| unserializable(&error))?;
            let aggregate_id = stream.aggregate_id();
            let place = Place { aggregate_type: stream.aggregate_type(), aggregate_id: &aggregate_id, sequence };
            Codec::seal(&mut payload, key, &place);
            let event = StoredEvent {
                position: Position::START,
                event_id: random_uuid(),
                aggregate_type: stream.aggregate_type().to_owned(),
                aggregate_id,
                query: *query,
                sequence,
                event_type: event.name().to_owned(),
                event_version: event.version().to_owned(),
                payload: to_raw_value(&payload).map_err(|error| unserializable(&error))?,
                metadata: metadata.clone(),
                recorded_at: clock::now(),
            };
            rows.push(Row { digest: digest_of(&event), event });
        }
    }
    Ok(rows)
}

fn payload(event: &Event) -> Result<Value, serde_json::Error> {
    match event {
        Event::DonorQuery(event) => serde_json::to_value(event),
        Event::CallSession(event) => serde_json::to_value(event),
        Event::StaffChat(event) => serde_json::to_value(event),
    }
}

fn unserializable(error: &serde_json::Error) -> LogError {
    LogError::Unreadable { position: Position::START, reason: error.to_string() }
}

/// What the facts take and let go of.
fn claims(append: &Append) -> Vec<ClaimRow> {
    let mut claims = Vec::new();
    for stream in &append.streams {
        for event in &stream.events {
            let change = match event {
                Event::DonorQuery(event) => policy::claim_change(event, &append.subject),
                Event::CallSession(_) => None,
                Event::StaffChat(event) => Some(policy::chat_claim(event)),
            };
            let (key, take) = match change {
                None => continue,
                Some(ClaimChange::Take(claim)) => (claim.key(), true),
                Some(ClaimChange::Release(claim)) => (claim.key(), false),
            };
            claims.push(ClaimRow { key, take, stream: stream.stream });
        }
    }
    claims
}

/// The facts as they stand in the log from `first` on.
fn recorded(append: Append, event_ids: &[Uuid], first: Position, at: DateTime<Utc>) -> Vec<RecordedEvent> {
    let Append { streams, metadata, .. } = append;
    let mut places = event_ids.iter().zip(first.0..);
    let mut events = Vec::new();
    for StreamAppend { stream, query, expected, events: facts } in streams {
        for ((event, sequence), (event_id, position)) in facts.into_iter().zip(expected + 1..).zip(&mut places) {
            events.push(RecordedEvent {
                position: Position(position),
                event_id: *event_id,
                stream,
                query,
                sequence,
                recorded_at: at,
                event,
                metadata: metadata.clone(),
            });
        }
    }
    events
}
