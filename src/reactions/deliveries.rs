//! What staff see of deliveries, and the one thing they can do: have a failed one tried again.

use aggregates::ids::QueryId;
use aggregates::recorded::Position;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder, Row};
use tokio::sync::watch;

use super::plan::Payload;
use super::target::Channel;

/// The most rows of a page.
pub const MAX_PAGE: i64 = 200;

/// Reads deliveries and has failed ones tried again. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries {
    pool: PgPool,
    planned: watch::Sender<()>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be tried, now or later.
    Pending,
    /// A provider took it.
    Sent,
    /// There was no reason for it any more.
    Skipped,
    /// It failed for good.
    Dead,
}

/// A delivery as staff see it. Neither what it says nor an address is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    /// The delivery.
    pub id: i64,
    /// The fact it follows from.
    pub position: Position,
    /// The query it is about; the [place](aggregates::ids::ChatId::place) of a chat.
    pub query_id: QueryId,
    /// By which way.
    pub channel: Channel,
    /// What it is about, as `query_opened` or `close_room`; empty if a newer version wrote it.
    pub kind: String,
    /// An audience, a person's mailbox, a device or a room, by number.
    pub target: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next, if it is pending.
    pub due_at: DateTime<Utc>,
    /// When it is too late.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why it failed last, or was skipped.
    pub reason: Option<String>,
    /// The provider's name for it.
    pub provider_id: Option<String>,
    /// When it was planned.
    pub created_at: DateTime<Utc>,
    /// When it was sent, skipped or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which deliveries to list; what is absent does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Where they stand.
    pub state: Option<DeliveryState>,
    /// By which way they go.
    pub channel: Option<Channel>,
    /// What they are about.
    pub query_id: Option<QueryId>,
}

/// What came of asking to try again.
#[derive(Clone, Debug, PartialEq)]
pub enum Redelivery {
    /// It is tried again, from the first attempt on.
    Begun(Box<DeliveryRow>),
    /// It did not fail.
    NotDead(DeliveryState),
    /// It failed, but by now it would come too late.
    TooLate,
    /// There is no such delivery, or not any more.
    Unknown,
}

const COLUMNS: &str = "id, position, query_id, channel, target, payload, state, attempts, due_at, expires_at, reason, \
                       provider_id, created_at, finished_at";

impl Deliveries {
    /// The deliveries of a database. `planned` is touched when there is one to try.
    pub const fn new(pool: PgPool, planned: watch::Sender<()>) -> Self {
        Self { pool, planned }
    }

    /// Deliveries, newest first, at most [`MAX_PAGE`]; those before an id if one is given.
    pub async fn list(
        &self,
        filter: DeliveryFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let mut sql = QueryBuilder::<Postgres>::new(format!("select {COLUMNS} from deliveries where true"));
        if let Some(state) = filter.state {
            sql.push(" and state = ").push_bind(state.as_str());
        }
        if let Some(channel) = filter.channel {
            sql.push(" and channel = ").push_bind(channel.as_str());
        }
        if let Some(query) = filter.query_id {
            sql.push(" and query_id = ").push_bind(query.get());
        }
        if let Some(before) = before {
            sql.push(" and id < ").push_bind(before);
        }
        sql.push(" order by id desc limit ").push_bind(limit.clamp(1, MAX_PAGE));
        sql.build_query_as().fetch_all(&self.pool).await
    }

    /// Has a delivery that failed for good tried again.
    pub async fn redeliver(&self, id: i64) -> Result<Redelivery, sqlx::Error> {
        let again = format!(
            "update deliveries
             set state = 'pending', attempts = 0, due_at = now(), finished_at = null
             where id = $1
               and state = 'dead'
               and (expires_at is null or expires_at > now())
             returning {COLUMNS}"
        );
        if let Some(row) = sqlx::query_as(&again).bind(id).fetch_optional(&self.pool).await? {
            self.planned.send_replace(());
            return Ok(Redelivery::Begun(Box::new(row)));
        }
        let find = format!("select {COLUMNS} from deliveries where id = $1");
        let found: Option<DeliveryRow> = sqlx::query_as(&find).bind(id).fetch_optional(&self.pool).await?;
        Ok(found.map_or(Redelivery::Unknown, |row| match row.state {
            DeliveryState::Dead => Redelivery::TooLate,
            state => Redelivery::NotDead(state),
        }))
    }
}

impl DeliveryState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Pending, Self::Sent, Self::Skipped, Self::Dead];

    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Skipped => "skipped",
            Self::Dead => "dead",
        }
    }

    /// Reads the word, in any letter case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str().eq_ignore_ascii_case(word))
    }
}

impl FromRow<'_, PgRow> for DeliveryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let unknown = |column: &str| sqlx::Error::ColumnDecode {
            index: column.to_owned(),
            source: "not a word of this version".into(),
        };
        Ok(Self {
            id: row.try_get("id")?,
            position: Position(row.try_get("position")?),
            query_id: QueryId::new(row.try_get("query_id")?),
            channel: Channel::parse(row.try_get("channel")?).ok_or_else(|| unknown("channel"))?,
            kind: serde_json::from_value(row.try_get("payload")?)
                .map_or_else(|_| String::new(), |it: Payload| it.kind()),
            target: row.try_get("target")?,
            state: DeliveryState::parse(row.try_get("state")?).ok_or_else(|| unknown("state"))?,
            attempts: row.try_get("attempts")?,
            due_at: row.try_get("due_at")?,
            expires_at: row.try_get("expires_at")?,
            reason: row.try_get("reason")?,
            provider_id: row.try_get("provider_id")?,
            created_at: row.try_get("created_at")?,
            finished_at: row.try_get("finished_at")?,
        })
    }
}
