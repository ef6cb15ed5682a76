//! Reading facts back, sealed and in order.

use std::str::FromStr;

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::QueryId;
use aggregates::policy::Claim;
use aggregates::recorded::{Event, PARTITIONS, Partition, Position, RecordedEvent, StoredEvent, StreamId};
use aggregates::staff_chat::StaffChatEvent;
use cqrs_es::persist::SerializedEvent;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::codec::{Codec, Keys, Place, Unopened};
use super::{Log, LogError};

/// The columns of a stored fact; `json` is read as text, which is exactly what was written.
const COLUMNS: &str = "position, event_id, aggregate_type, aggregate_id, query_id, sequence, event_type, event_version, \
                       payload::text as payload, metadata::text as metadata, recorded_at, digest";

/// A stored fact with the digest it was recorded with.
pub struct Sealed {
    /// The fact.
    pub event: StoredEvent,
    /// SHA-256 as recorded.
    pub digest: Vec<u8>,
}

impl FromRow<'_, PgRow> for Sealed {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let raw = |column: &str| -> Result<Box<RawValue>, sqlx::Error> {
            RawValue::from_string(row.try_get(column)?)
                .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
        };
        Ok(Self {
            event: StoredEvent {
                position: Position(row.try_get("position")?),
                event_id: row.try_get("event_id")?,
                aggregate_type: row.try_get("aggregate_type")?,
                aggregate_id: row.try_get("aggregate_id")?,
                query: QueryId::new(row.try_get("query_id")?),
                sequence: row.try_get("sequence")?,
                event_type: row.try_get("event_type")?,
                event_version: row.try_get("event_version")?,
                payload: raw("payload")?,
                metadata: raw("metadata")?,
                recorded_at: row.try_get("recorded_at")?,
            },
            digest: row.try_get("digest")?,
        })
    }
}

impl Log {
    /// The facts after a position, in order.
    pub async fn read_after(&self, after: Position, limit: i64) -> Result<Vec<StoredEvent>, LogError> {
        Ok(self.read_sealed(after, limit).await?.into_iter().map(|sealed| sealed.event).collect())
    }

    /// The facts after a position with their digests, in order.
    pub async fn read_sealed(&self, after: Position, limit: i64) -> Result<Vec<Sealed>, LogError> {
        let sql = format!("select {COLUMNS} from events where position > $1 order by position limit $2");
        Ok(sqlx::query_as(&sql).bind(after.0).bind(limit).fetch_all(&self.inner.pool).await?)
    }

    /// The facts of one partition after a position and up to another, in order.
    pub async fn read_partition(
        &self,
        partition: Partition,
        after: Position,
        through: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let sql = format!(
            "select {COLUMNS} from events where position > $1 and position <= $2 and mod(query_id, {PARTITIONS}) = $3 \
             order by position limit $4"
        );
        let rows: Vec<Sealed> = sqlx::query_as(&sql)
            .bind(after.0)
            .bind(through.0)
            .bind(i64::from(partition.0))
            .bind(limit)
            .fetch_all(&self.inner.pool)
            .await?;
        Ok(rows.into_iter().map(|sealed| sealed.event).collect())
    }

    /// The facts about some queries after a position, in order.
    pub async fn read_queries(
        &self,
        queries: &[QueryId],
        after: Position,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let ids: Vec<i64> = queries.iter().map(|query| query.get()).collect();
        let sql = format!(
            "select {COLUMNS} from events where query_id = any($1) and position > $2 order by position limit $3"
        );
        let rows: Vec<Sealed> =
            sqlx::query_as(&sql).bind(ids).bind(after.0).bind(limit).fetch_all(&self.inner.pool).await?;
        Ok(rows.into_iter().map(|sealed| sealed.event).collect())
    }

    /// The position of the last fact of each partition at or before a position; [`Position::START`] where there is none.
    pub async fn partition_heads(&self, through: Position) -> Result<Vec<Position>, LogError> {
        let sql = format!(
            "select coalesce((select position from events where position <= $1 and mod(query_id, {PARTITIONS}) = p \
             order by position desc limit 1), 0) from generate_series(0, {PARTITIONS} - 1) p order by p"
        );
        let heads: Vec<i64> = sqlx::query_scalar(&sql).bind(through.0).fetch_all(&self.inner.pool).await?;
        Ok(heads.into_iter().map(Position).collect())
    }

    /// The position of the last fact.
    pub async fn head(&self) -> Result<Position, LogError> {
        let head: Option<i64> =
            sqlx::query_scalar("select max(position) from events").fetch_one(&self.inner.pool).await?;
        Ok(Position(head.unwrap_or_default()))
    }

    /// Which history this is: another one after the log was taken back to an earlier state, as `deploy/backup.md` says.
    pub async fn epoch(&self) -> Result<Uuid, LogError> {
        Ok(sqlx::query_scalar("select epoch from log_epoch").fetch_one(&self.inner.pool).await?)
    }

    /// How many facts a stream has.
    pub async fn stream_version(&self, stream: StreamId) -> Result<i64, LogError> {
        let version: Option<i64> = sqlx::query_scalar(
            "select sequence from events where aggregate_type = $1 and aggregate_id = $2 order by sequence desc limit 1",
        )
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .fetch_optional(&self.inner.pool)
        .await?;
        Ok(version.unwrap_or_default())
    }

    /// The position of a stream's last fact; [`Position::START`] if it has none.
    pub async fn stream_head(&self, stream: StreamId) -> Result<Position, LogError> {
        let head: Option<i64> = sqlx::query_scalar(
            "select position from events where aggregate_type = $1 and aggregate_id = $2 order by sequence desc limit 1",
        )
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .fetch_optional(&self.inner.pool)
        .await?;
        Ok(Position(head.unwrap_or_default()))
    }

    /// The stream that holds a claim, if one does.
    pub async fn holder(&self, claim: &Claim) -> Result<Option<StreamId>, LogError> {
        let found: Option<(String, String)> =
            sqlx::query_as("select aggregate_type, aggregate_id from claims where key = $1")
                .bind(claim.key())
                .fetch_optional(&self.inner.pool)
                .await?;
        Ok(found.and_then(|(aggregate_type, aggregate_id)| StreamId::parse(&aggregate_type, &aggregate_id)))
    }

    /// The position of the last fact about a query, of whichever of its streams; [`Position::START`] if there is none.
    pub async fn query_head(&self, query: QueryId) -> Result<Position, LogError> {
        let head: Option<i64> =
            sqlx::query_scalar("select position from events where query_id = $1 order by position desc limit 1")
                .bind(query.get())
                .fetch_optional(&self.inner.pool)
                .await?;
        Ok(Position(head.unwrap_or_default()))
    }

    /// The facts of one stream, opened, in order.
    pub async fn stream_facts(&self, stream: StreamId) -> Result<Vec<RecordedEvent>, LogError> {
        let sql =
            format!("select {COLUMNS} from events where aggregate_type = $1 and aggregate_id = $2 order by sequence");
        let rows: Vec<Sealed> = sqlx::query_as(&sql)
            .bind(stream.aggregate_type())
            .bind(stream.aggregate_id())
            .fetch_all(&self.inner.pool)
            .await?;
        let mut facts = Vec::with_capacity(rows.len());
        for sealed in rows {
            facts.push(self.open(&sealed.event).await?);
        }
        Ok(facts)
    }

    /// Opens a stored fact: unseals personal text and lifts old formats.
    pub async fn open(&self, stored: &StoredEvent) -> Result<RecordedEvent, LogError> {
        let nothing = || LogError::Unreadable { position: stored.position, reason: "it was skipped".to_owned() };
        self.open_all(std::slice::from_ref(stored)).await?.pop().ok_or_else(nothing)?
    }

    /// Opens facts that have only just come, as [`Log::open_all`] does, but those that this node appended a moment ago it
    /// remembers.
    ///
    /// # Errors
    /// As those of [`Log::open_all`].
    pub async fn open_fresh(&self, stored: &[StoredEvent]) -> Result<Vec<Result<RecordedEvent, LogError>>, LogError> {
        let known: Vec<_> = stored.iter().map(|fact| self.inner.fresh.of(fact)).collect();
        let unknown: Vec<_> = stored.iter().zip(&known).filter(|(_, known)| known.is_none()).collect();
        let mut opened = if unknown.is_empty() {
            Vec::new()
        } else {
            let unknown: Vec<_> = unknown.into_iter().map(|(fact, _)| fact.clone()).collect();
            self.open_all(&unknown).await?
        }
        .into_iter();
        Ok(known.into_iter().filter_map(|known| known.map(Ok).or_else(|| opened.next())).collect())
    }

    /// Opens stored facts, each or not at all, with one look for all their keys.
    ///
    /// # Errors
    /// If the keys cannot be looked up now; a fact that makes no sense is an error of its own.
    pub async fn open_all(&self, stored: &[StoredEvent]) -> Result<Vec<Result<RecordedEvent, LogError>>, LogError> {
        let mut parsed: Vec<_> = stored.iter().map(serialized).collect();
        let ids = parsed.iter_mut().flatten().flat_map(|fact| Codec::key_ids(&mut fact.payload));
        let keys = self.inner.codec.keys(ids).await?;
        let open = |(stored, fact): (&StoredEvent, Result<SerializedEvent, String>)| {
            let opened = fact.and_then(|fact| {
                let (stream, event) = self.unseal(fact, &keys)?;
                Ok(RecordedEvent {
                    position: stored.position,
                    event_id: stored.event_id,
                    stream,
                    query: stored.query,
                    sequence: stored.sequence,
                    recorded_at: stored.recorded_at,
                    event,
                    metadata: serde_json::from_str(stored.metadata.get()).map_err(|error| error.to_string())?,
                })
            });
            opened.map_err(|reason| LogError::Unreadable { position: stored.position, reason })
        };
        Ok(stored.iter().zip(parsed).map(open).collect())
    }

    /// Unseals and lifts a payload as cqrs-es reads it.
    pub(super) async fn open_payload(&self, mut stored: SerializedEvent) -> Result<(StreamId, Event), Unopened> {
        let keys = self.inner.codec.keys(Codec::key_ids(&mut stored.payload)).await?;
        Ok(self.unseal(stored, &keys)?)
    }

    fn unseal(&self, mut stored: SerializedEvent, keys: &Keys) -> Result<(StreamId, Event), String> {
        let stream = StreamId::parse(&stored.aggregate_type, &stored.aggregate_id)
            .ok_or_else(|| format!("unknown stream {}/{}", stored.aggregate_type, stored.aggregate_id))?;
        let place = Place {
            aggregate_type: &stored.aggregate_type,
            aggregate_id: &stored.aggregate_id,
            sequence: i64::try_from(stored.sequence).map_err(|error| error.to_string())?,
        };
        Codec::open(&mut stored.payload, &place, keys)?;
        for upcaster in &self.inner.upcasters {
            if upcaster.can_upcast(&stored.event_type, &stored.event_version) {
                stored = upcaster.upcast(stored);
            }
        }
        let event = match stream {
            StreamId::DonorQuery(_) => serde_json::from_value::<DonorQueryEvent>(stored.payload).map(Event::DonorQuery),
            StreamId::CallSession(_) => {
                serde_json::from_value::<CallSessionEvent>(stored.payload).map(Event::CallSession)
            }
            StreamId::StaffChat(_) => serde_json::from_value::<StaffChatEvent>(stored.payload).map(Event::StaffChat),
        };
        Ok((stream, event.map_err(|error| error.to_string())?))
    }
}

/// A stored fact as cqrs-es and the upcasters know it.
fn serialized(stored: &StoredEvent) -> Result<SerializedEvent, String> {
    Ok(SerializedEvent {
        aggregate_id: stored.aggregate_id.clone(),
        sequence: usize::try_from(stored.sequence).map_err(|error| error.to_string())?,
        aggregate_type: stored.aggregate_type.clone(),
        event_type: stored.event_type.clone(),
        event_version: stored.event_version.clone(),
        payload: Value::from_str(stored.payload.get()).map_err(|error| error.to_string())?,
        metadata: Value::Null,
    })
}
