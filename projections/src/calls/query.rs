//! Questions about call sessions.

use aggregates::ids::{CallId, QueryId, RoomName};
use sqlx::PgExecutor;

use super::row::CallRow;
use crate::page::MAX_LIMIT;

pub(crate) const COLUMNS: &str = "
    call_id, query_id, donor_id, admin_id, request_id, room_name, room_url, provider,
    mode, status, started_at, ended_at, end_reason, expires_at, created_at, updated_at, position";

/// The call with this id.
pub async fn find(db: impl PgExecutor<'_>, call: CallId) -> Result<Option<CallRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from calls where call_id = $1")).bind(call.get()).fetch_optional(db).await
}

/// The calls with these ids, in no particular order; absent ones are left out.
pub async fn of_ids(db: impl PgExecutor<'_>, calls: &[CallId]) -> Result<Vec<CallRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from calls where call_id = any($1)"))
        .bind(calls.iter().map(|call| call.get()).collect::<Vec<_>>())
        .fetch_all(db)
        .await
}

/// The call that is or was held in a room; the latest, should a name ever come back.
pub async fn by_room(db: impl PgExecutor<'_>, room: &RoomName) -> Result<Option<CallRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from calls where room_name = $1 order by created_at desc limit 1"))
        .bind(room.as_str())
        .fetch_optional(db)
        .await
}

/// The calls about a query, newest first, at most [`MAX_LIMIT`].
pub async fn of_query(db: impl PgExecutor<'_>, query: QueryId) -> Result<Vec<CallRow>, sqlx::Error> {
    sqlx::query_as(&format!(
        "select {COLUMNS} from calls where query_id = $1 order by created_at desc, call_id desc limit {MAX_LIMIT}"
    ))
    .bind(query.get())
    .fetch_all(db)
    .await
}

/// The call about a query that has not ended.
pub async fn active_of_query(db: impl PgExecutor<'_>, query: QueryId) -> Result<Option<CallRow>, sqlx::Error> {
    sqlx::query_as(&format!(
        "select {COLUMNS}
         from calls
         where query_id = $1
           and status <> 'ENDED'
         order by created_at desc, call_id desc
         limit 1"
    ))
    .bind(query.get())
    .fetch_optional(db)
    .await
}
