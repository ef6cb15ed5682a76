//! Questions that the counters answer.

use aggregates::ids::UserId;
use aggregates::vocabulary::QueryStatus;
use sqlx::{PgExecutor, Row};

use super::NOBODY;
use super::row::{Board, Counter};
use crate::columns::word;
use crate::queries::Assigned;

/// Every counter.
pub async fn snapshot(db: impl PgExecutor<'_>) -> Result<Board, sqlx::Error> {
    let rows = sqlx::query("select counter, holder, value from board").fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let holder: i64 = row.try_get("holder")?;
            let holder = (holder != NOBODY).then_some(UserId::new(holder));
            Ok(((word(row, "counter", Counter::parse)?, holder), row.try_get("value")?))
        })
        .collect::<Result<_, sqlx::Error>>()
        .map(Board)
}

/// How many queries stand in one of some statuses with one kind of holder.
pub async fn count(db: impl PgExecutor<'_>, statuses: &[QueryStatus], held: Assigned) -> Result<i64, sqlx::Error> {
    let holder = match held {
        Assigned::Any => None,
        Assigned::Unassigned => Some(NOBODY),
        Assigned::To(user) => Some(user.get()),
    };
    sqlx::query_scalar(
        "select coalesce(sum(value), 0)::bigint
         from board
         where counter = any($1)
           and ($2::bigint is null or holder = $2)",
    )
    .bind(statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>())
    .bind(holder)
    .fetch_one(db)
    .await
}
