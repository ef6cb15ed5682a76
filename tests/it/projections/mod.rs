//! Given events, then rows: every read model, every fact, and any way of cutting a history into batches.

mod batches;
mod calling;
mod conversations;
mod counters;
mod lists;
mod one_query;

use std::collections::HashMap;
use std::str::FromStr;

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{CallId, DonorId, MessageId, QueryId, RoomName, UserId};
use aggregates::people::{DonorSession, Staff};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Partition, Position, RecordedEvent, StreamId};
use aggregates::testing::*;
use aggregates::vocabulary::{CallMode, CallRequestStatus, CallStatus, EndReason, MessageType, QueryStatus};
use projections::messages::SenderType;
use projections::page::{MAX_DEPTH, Page, TooDeep};
use projections::queries::{Assigned, Cursor, InvalidCursor, ListFilter, Order, QueryRow};
use projections::standing::Standing;
use projections::{Projection, board, calls, checkpoint, messages, queries, requests};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::database::{TestDatabase, database};

/// Read models of one test.
struct Desk {
    pool: PgPool,
    _database: TestDatabase,
}

impl Desk {
    async fn open() -> Self {
        let database = database().await;
        let options = PgConnectOptions::from_str(&database.url).unwrap().options([("search_path", "read,public")]);
        Self { pool: PgPoolOptions::new().max_connections(4).connect_lazy_with(options), _database: database }
    }

    /// Forgets everything and starts again with some facts about [`QUERY`] and [`CALL`].
    async fn given(&self, facts: impl IntoIterator<Item = Event>) {
        self.clear().await;
        let mut log = Log::default();
        for fact in facts {
            log.add(QUERY, fact);
        }
        self.project(&log.0).await.unwrap();
    }

    /// The row of [`QUERY`] after these facts about it and no others.
    async fn row_after<const N: usize>(&self, facts: [DonorQueryEvent; N]) -> QueryRow {
        self.given(facts.map(Event::DonorQuery)).await;
        queries::find(&self.pool, QUERY).await.unwrap().expect("the query is there")
    }

    async fn clear(&self) {
        let tables: Vec<&str> = Projection::ALL.iter().flat_map(|projection| projection.tables()).copied().collect();
        sqlx::query(&format!("truncate {}", tables.join(", "))).execute(&self.pool).await.unwrap();
    }

    /// Applies a batch to every read model in one transaction.
    async fn project(&self, events: &[RecordedEvent]) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for projection in Projection::ALL {
            projection.project(&mut transaction, events).await?;
        }
        transaction.commit().await
    }

    /// Every row of every table, counters that came back to zero left out.
    async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in Projection::ALL.iter().flat_map(|projection| projection.tables()) {
            let all = format!("select '{table}' || row_to_json(t)::text from {table} as t order by 1");
            rows.extend(sqlx::query_scalar::<_, String>(&all).fetch_all(&self.pool).await.unwrap());
        }
        rows.retain(|row| !row.ends_with("\"value\":0}"));
        rows
    }
}

/// A log that is written by hand.
#[derive(Default)]
struct Log(Vec<RecordedEvent>, HashMap<StreamId, i64>);

impl Log {
    fn add(&mut self, query: QueryId, event: Event) {
        self.add_to(query, CALL, event);
    }

    fn add_to(&mut self, query: QueryId, call: CallId, event: Event) {
        let stream = match event {
            Event::DonorQuery(_) => StreamId::DonorQuery(query),
            Event::CallSession(_) => StreamId::CallSession(call),
            Event::StaffChat(_) => StreamId::StaffChat(CHAT),
        };
        let sequence = self.1.entry(stream).or_default();
        *sequence += 1;
        let position = Position(i64::try_from(self.0.len()).unwrap() + 1);
        self.0.push(RecordedEvent { position, stream, query, sequence: *sequence, ..recorded(event) });
    }

    /// Several random histories at once, with the call sessions that go with them.
    fn random(seed: u64, queries: u64, facts: usize) -> Self {
        let mut log = Self::default();
        let seeds = seed * queries..(seed + 1) * queries;
        let mut histories: Vec<_> = seeds.map(|seed| (seed, random_history(seed, facts).into_iter())).collect();
        while !histories.is_empty() {
            histories.retain_mut(|(seed, history)| {
                let Some(fact) = history.next() else { return false };
                let query = QueryId::new(seed.cast_signed() + 1);
                let session = session_fact(query, &fact);
                log.add(query, Event::DonorQuery(fact));
                if let Some((call, session)) = session {
                    log.add_to(query, call, Event::CallSession(session));
                }
                true
            });
        }
        log
    }
}

/// What a call session says when its query says this.
fn session_fact(query: QueryId, fact: &DonorQueryEvent) -> Option<(CallId, CallSessionEvent)> {
    match fact {
        DonorQueryEvent::CallAttached { call, room, mode, by, at, .. } => {
            let created = CallSessionEvent::CallCreated {
                query,
                donor_id: donor_id(),
                request: None,
                room: room.clone(),
                room_url: ROOM_URL.to_owned(),
                provider: "builtin".to_owned(),
                mode: *mode,
                by: by.clone(),
                expires_at: noon_plus(3600),
                at: *at,
            };
            Some((*call, created))
        }
        DonorQueryEvent::CallDetached { call, reason, .. } => Some((*call, call_ended(*reason))),
        _ => None,
    }
}
