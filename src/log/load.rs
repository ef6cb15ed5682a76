//! Loading aggregates: from memory if hot, else from the last snapshot and the facts after it.
//!
//! Neither the cache nor a snapshot is ever trusted on its own: the append's version check catches a stale one, and a
//! snapshot made by other code (another schema hash) is ignored.

use std::sync::{Arc, LazyLock};

use aggregates::call_session::CallSession;
use aggregates::donor_query::DonorQuery;
use aggregates::ids::{CallId, ChatId, DonorId, QueryId};
use aggregates::recorded::{Event, Position, StreamId};
use aggregates::staff_chat::StaffChat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use cqrs_es::Aggregate;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use moka::sync::Cache;
use postgres_es::PostgresEventRepository;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::warn;

use super::cache::hot;
use super::{Log, LogError};

/// A stream as long as this, and every multiple, gets a snapshot.
const SNAPSHOT_EVERY: i64 = 100;

/// An aggregate as the log has it.
#[derive(Debug)]
pub struct Loaded<A> {
    /// The state after its last fact.
    pub state: Arc<A>,
    /// How many facts its stream has.
    pub version: i64,
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), version: self.version }
    }
}

/// An aggregate whose facts are in this log.
pub trait Logged: Aggregate + 'static {
    /// Its identity.
    type Id: Copy + Send + Sync;
    /// The code that gives a snapshot its meaning.
    const SCHEMA: &'static [&'static str];
    /// Where its facts are.
    fn stream(id: Self::Id) -> StreamId;
    /// Wraps a fact.
    fn wrap(event: Self::Event) -> Event;
    /// Unwraps a fact, if it is one of this aggregate's.
    fn unwrap(event: Event) -> Option<Self::Event>;
    /// The identity in a stored `aggregate_id`.
    fn parse_id(id: &str) -> Option<Self::Id>;
    /// The query and the donor it is about, or what stands for them, once it exists.
    fn about(&self, id: Self::Id) -> Option<(QueryId, DonorId)>;
    /// Where hot ones are kept.
    fn cache(caches: &Caches) -> &Cache<StreamId, Loaded<Self>>;
    /// The hash of [`Self::SCHEMA`].
    fn schema_hash() -> &'static str;
}

/// Hot aggregates, bounded.
pub struct Caches {
    queries: Cache<StreamId, Loaded<DonorQuery>>,
    calls: Cache<StreamId, Loaded<CallSession>>,
    chats: Cache<StreamId, Loaded<StaffChat>>,
}

impl Caches {
    pub(super) fn new(capacity: u64) -> Self {
        Self { queries: hot(capacity).build(), calls: hot(capacity).build(), chats: hot(capacity).build() }
    }

    fn forget(&self, stream: &StreamId) {
        match stream {
            StreamId::DonorQuery(_) => self.queries.invalidate(stream),
            StreamId::CallSession(_) => self.calls.invalidate(stream),
            StreamId::StaffChat(_) => self.chats.invalidate(stream),
        }
    }
}

impl Logged for DonorQuery {
    type Id = QueryId;
    const SCHEMA: &'static [&'static str] = aggregates::donor_query::SOURCE;

    fn stream(id: QueryId) -> StreamId {
        StreamId::DonorQuery(id)
    }

    fn wrap(event: Self::Event) -> Event {
        Event::DonorQuery(event)
    }

    fn unwrap(event: Event) -> Option<Self::Event> {
        match event {
            Event::DonorQuery(event) => Some(event),
            Event::CallSession(_) | Event::StaffChat(_) => None,
        }
    }

    fn parse_id(id: &str) -> Option<QueryId> {
        id.parse().ok().map(QueryId::new)
    }

    fn about(&self, id: QueryId) -> Option<(QueryId, DonorId)> {
        Some((id, self.origin()?.donor_id.clone()))
    }

    fn cache(caches: &Caches) -> &Cache<StreamId, Loaded<Self>> {
        &caches.queries
    }

    fn schema_hash() -> &'static str {
        static HASH: LazyLock<String> = LazyLock::new(|| hash(DonorQuery::SCHEMA));
        &HASH
    }
}

impl Logged for CallSession {
    type Id = CallId;
    const SCHEMA: &'static [&'static str] = aggregates::call_session::SOURCE;

    fn stream(id: CallId) -> StreamId {
        StreamId::CallSession(id)
    }

    fn wrap(event: Self::Event) -> Event {
        Event::CallSession(event)
    }

    fn unwrap(event: Event) -> Option<Self::Event> {
        match event {
            Event::CallSession(event) => Some(event),
            Event::DonorQuery(_) | Event::StaffChat(_) => None,
        }
    }

    fn parse_id(id: &str) -> Option<CallId> {
        id.parse().ok().map(CallId::new)
    }

    fn about(&self, _id: CallId) -> Option<(QueryId, DonorId)> {
        match self {
            Self::Absent => None,
            Self::Created(about) | Self::Started(about) | Self::Ended { about, .. } => {
                Some((about.query, about.donor_id.clone()))
            }
        }
    }

    fn cache(caches: &Caches) -> &Cache<StreamId, Loaded<Self>> {
        &caches.calls
    }

    fn schema_hash() -> &'static str {
        static HASH: LazyLock<String> = LazyLock::new(|| hash(CallSession::SCHEMA));
        &HASH
    }
}

impl Logged for StaffChat {
    type Id = ChatId;
    const SCHEMA: &'static [&'static str] = aggregates::staff_chat::SOURCE;

    fn stream(id: ChatId) -> StreamId {
        StreamId::StaffChat(id)
    }

    fn wrap(event: Self::Event) -> Event {
        Event::StaffChat(event)
    }

    fn unwrap(event: Event) -> Option<Self::Event> {
        match event {
            Event::StaffChat(event) => Some(event),
            Event::DonorQuery(_) | Event::CallSession(_) => None,
        }
    }

    fn parse_id(id: &str) -> Option<ChatId> {
        id.parse().ok().map(ChatId::new)
    }

    fn about(&self, id: ChatId) -> Option<(QueryId, DonorId)> {
        match self {
            Self::Absent => None,
            Self::Begun(members) => Some((id.place(), members.subject())),
        }
    }

    fn cache(caches: &Caches) -> &Cache<StreamId, Loaded<Self>> {
        &caches.chats
    }

    fn schema_hash() -> &'static str {
        static HASH: LazyLock<String> = LazyLock::new(|| hash(StaffChat::SCHEMA));
        &HASH
    }
}

fn hash(sources: &[&str]) -> String {
    let mut hash = Sha256::new();
    for source in sources {
        hash.update(source.as_bytes());
    }
    BASE64.encode(hash.finalize())
}

impl Log {
    /// The aggregate as this node knows it, which another node may have changed since: the append will tell.
    pub async fn load<A: Logged>(&self, id: A::Id) -> Result<Loaded<A>, LogError> {
        if let Some(hot) = A::cache(&self.inner.caches).get(&A::stream(id)) {
            return Ok(hot);
        }
        let loaded = self.load_cold::<A>(id).await?;
        if loaded.version > 0 {
            A::cache(&self.inner.caches).insert(A::stream(id), loaded.clone());
        }
        Ok(loaded)
    }

    /// Keeps the state an aggregate reached, and makes a snapshot of it now and then.
    pub fn keep<A: Logged>(&self, id: A::Id, loaded: Loaded<A>, appended: i64) {
        let due = loaded.version / SNAPSHOT_EVERY > (loaded.version - appended) / SNAPSHOT_EVERY;
        if due {
            let (log, snapshot) = (self.clone(), loaded.clone());
            self.inner.tasks.spawn(async move {
                if let Err(error) = log.save_snapshot(id, &snapshot).await {
                    warn!(error = %error, stream = %A::stream(id), "A snapshot could not be saved");
                }
            });
        }
        A::cache(&self.inner.caches).insert(A::stream(id), loaded);
    }

    /// Remembers that an aggregate has no facts yet.
    pub(super) fn keep_new<A: Logged>(&self, id: A::Id) {
        A::cache(&self.inner.caches).insert(A::stream(id), Loaded { state: Arc::default(), version: 0 });
    }

    /// Forgets what memory knows of a stream, so that the next load reads the log.
    pub fn forget(&self, stream: StreamId) {
        self.inner.caches.forget(&stream);
    }

    /// The aggregate from its last snapshot, if there is a usable one, and the facts after it.
    pub async fn load_cold<A: Logged>(&self, id: A::Id) -> Result<Loaded<A>, LogError> {
        let stream = A::stream(id);
        let (state, version) = self.snapshot::<A>(stream).await?.unwrap_or_default();
        let tail =
            if version == 0 { self.whole_stream::<A>(stream).await? } else { self.tail(stream, version).await? };
        self.fold(stream, state, version, tail).await
    }

    /// The aggregate from all of its facts, without any shortcut.
    pub async fn load_from_facts<A: Logged>(&self, id: A::Id) -> Result<Loaded<A>, LogError> {
        let stream = A::stream(id);
        self.fold(stream, A::default(), 0, self.whole_stream::<A>(stream).await?).await
    }

    /// Applies the facts that come next, without a gap.
    async fn fold<A: Logged>(
        &self,
        stream: StreamId,
        mut state: A,
        mut version: i64,
        facts: Vec<SerializedEvent>,
    ) -> Result<Loaded<A>, LogError> {
        for stored in facts {
            let sequence = i64::try_from(stored.sequence).unwrap_or_default();
            let unreadable = |reason: String| LogError::Unreadable {
                position: Position::START,
                reason: format!("{stream} at {sequence}: {reason}"),
            };
            if sequence != version + 1 {
                return Err(unreadable(format!("a fact is missing after {version}")));
            }
            let (_, event) = self.open_payload(stored).await.map_err(|error| error.at(unreadable))?;
            state.apply(A::unwrap(event).ok_or_else(|| unreadable("a fact of another aggregate".to_owned()))?);
            version = sequence;
        }
        Ok(Loaded { state: Arc::new(state), version })
    }

    async fn whole_stream<A: Logged>(&self, stream: StreamId) -> Result<Vec<SerializedEvent>, LogError> {
        let repository = PostgresEventRepository::new(self.inner.pool.clone());
        let events = repository.get_events::<A>(&stream.aggregate_id()).await;
        events.map_err(|error| LogError::Database(sqlx::Error::Protocol(error.to_string())))
    }

    async fn tail(&self, stream: StreamId, after: i64) -> Result<Vec<SerializedEvent>, LogError> {
        let rows: Vec<(i64, String, String, Value)> = sqlx::query_as(
            "select sequence, event_type, event_version, payload from events \
             where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence",
        )
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(after)
        .fetch_all(&self.inner.pool)
        .await?;
        let events = rows.into_iter().map(|(sequence, event_type, event_version, payload)| SerializedEvent {
            aggregate_id: stream.aggregate_id(),
            sequence: usize::try_from(sequence).unwrap_or_default(),
            aggregate_type: stream.aggregate_type().to_owned(),
            event_type,
            event_version,
            payload,
            metadata: Value::Null,
        });
        Ok(events.collect())
    }

    async fn snapshot<A: Logged>(&self, stream: StreamId) -> Result<Option<(A, i64)>, LogError> {
        let found: Option<(i64, Value)> = sqlx::query_as(
            "select version, state from snapshots \
             where aggregate_type = $1 and aggregate_id = $2 and schema_hash = $3",
        )
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(A::schema_hash())
        .fetch_optional(&self.inner.pool)
        .await?;
        Ok(found.and_then(|(version, state)| Some((serde_json::from_value(state).ok()?, version))))
    }

    /// Saves a snapshot, unless a newer one of the same code is there.
    pub async fn save_snapshot<A: Logged>(&self, id: A::Id, loaded: &Loaded<A>) -> Result<(), LogError> {
        let stream = A::stream(id);
        let state = serde_json::to_value(&*loaded.state)
            .map_err(|error| LogError::Unreadable { position: Position::START, reason: error.to_string() })?;
        sqlx::query(
            "insert into snapshots as known (aggregate_type, aggregate_id, version, schema_hash, state) \
             values ($1, $2, $3, $4, $5) \
             on conflict (aggregate_type, aggregate_id) do update \
             set version = excluded.version, schema_hash = excluded.schema_hash, state = excluded.state \
             where known.schema_hash <> excluded.schema_hash or known.version < excluded.version",
        )
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(loaded.version)
        .bind(A::schema_hash())
        .bind(state)
        .execute(&self.inner.pool)
        .await?;
        Ok(())
    }
}
