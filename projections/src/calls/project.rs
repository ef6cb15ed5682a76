//! Facts to rows of `calls`.

use std::collections::BTreeMap;

use aggregates::ids::{CallId, CallRequestId, UserId};
use aggregates::recorded::{RecordedEvent, StreamId};
use aggregates::vocabulary::EndReason;
use sqlx::{FromRow, PgConnection};

use super::query::COLUMNS;
use super::row::CallRow;
use crate::orphan;

/// Applies a batch: one select, one upsert.
pub(crate) async fn project(conn: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
    let facts: Vec<(CallId, &RecordedEvent)> = events
        .iter()
        .filter_map(|recorded| match recorded.stream {
            StreamId::CallSession(call) => Some((call, recorded)),
            StreamId::DonorQuery(_) | StreamId::StaffChat(_) => None,
        })
        .collect();
    if facts.is_empty() {
        return Ok(());
    }
    let mut rows = load(conn, facts.iter().map(|(call, _)| call.get()).collect()).await?;
    for (call, recorded) in facts {
        let row = CallRow::after(rows.remove(&call), recorded).ok_or_else(|| orphan(recorded))?;
        rows.insert(call, row);
    }
    save(conn, &rows.values().collect::<Vec<_>>()).await
}

async fn load(conn: &mut PgConnection, calls: Vec<i64>) -> Result<BTreeMap<CallId, CallRow>, sqlx::Error> {
    let rows = sqlx::query(&format!("select {COLUMNS} from calls where call_id = any($1)"))
        .bind(calls)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| CallRow::from_row(row).map(|row| (row.call_id, row))).collect()
}

async fn save(conn: &mut PgConnection, rows: &[&CallRow]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into calls as c (
             call_id, query_id, donor_id, admin_id, request_id, room_name, room_url, provider,
             mode, status, started_at, ended_at, end_reason, expires_at, created_at, updated_at, position
         )
         select * from unnest(
             $1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::timestamptz[],
             $15::timestamptz[], $16::timestamptz[], $17::bigint[]
         )
         on conflict (call_id) do update
         set status = excluded.status,
             started_at = excluded.started_at,
             ended_at = excluded.ended_at,
             end_reason = excluded.end_reason,
             updated_at = excluded.updated_at,
             position = excluded.position
         where excluded.position > c.position",
    )
    .bind(rows.iter().map(|row| row.call_id.get()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.query_id.get()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.donor_id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.admin_id.map(UserId::get)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.request_id.map(CallRequestId::get)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.room_name.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.room_url.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.provider.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.mode.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.status.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.started_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.ended_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.end_reason.map(EndReason::as_str)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.expires_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.updated_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
