//! Questions about call requests.

use aggregates::ids::{CallRequestId, QueryId};
use sqlx::PgExecutor;

use super::row::RequestRow;
use crate::page::MAX_LIMIT;

const COLUMNS: &str =
    "request_id, query_id, admin_id, mode, status, message_id, call_id, created_at, updated_at, position";

/// The request with this id.
pub async fn find(db: impl PgExecutor<'_>, request: CallRequestId) -> Result<Option<RequestRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from requests where request_id = $1"))
        .bind(request.get())
        .fetch_optional(db)
        .await
}

/// The requests with these ids, in no particular order; absent ones are left out.
pub async fn of_ids(db: impl PgExecutor<'_>, requests: &[CallRequestId]) -> Result<Vec<RequestRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from requests where request_id = any($1)"))
        .bind(requests.iter().map(|request| request.get()).collect::<Vec<_>>())
        .fetch_all(db)
        .await
}

/// The requests about a query, newest first, at most [`MAX_LIMIT`].
pub async fn of_query(db: impl PgExecutor<'_>, query: QueryId) -> Result<Vec<RequestRow>, sqlx::Error> {
    sqlx::query_as(&format!(
        "select {COLUMNS} from requests where query_id = $1 order by created_at desc, request_id desc limit {MAX_LIMIT}"
    ))
    .bind(query.get())
    .fetch_all(db)
    .await
}

/// The request about a query that waits for an answer.
pub async fn pending_of_query(db: impl PgExecutor<'_>, query: QueryId) -> Result<Option<RequestRow>, sqlx::Error> {
    sqlx::query_as(&format!(
        "select {COLUMNS}
         from requests
         where query_id = $1
           and status = 'PENDING'
         order by created_at desc, request_id desc
         limit 1"
    ))
    .bind(query.get())
    .fetch_optional(db)
    .await
}
