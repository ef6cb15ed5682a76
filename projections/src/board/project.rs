//! Facts to counters: what a batch moves is the difference between where its queries stood before and stand after.

use std::collections::BTreeMap;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{CallId, CallRequestId, QueryId, UserId};
use aggregates::recorded::{Position, RecordedEvent};
use sqlx::{FromRow, PgConnection, Row};

use super::NOBODY;
use super::row::Board;
use crate::columns::id;
use crate::standing::Standing;
use crate::{facts_of_queries, orphan};

/// A query as the board remembers it.
type Known = (Standing, Position);

/// Applies a batch: one select, and one statement for the queries and the counters that moved.
pub(crate) async fn project(conn: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
    let mut facts = facts_of_queries(events);
    facts.retain(|(_, event)| !Standing::ignores(event));
    if facts.is_empty() {
        return Ok(());
    }
    let mut rows = load(conn, facts.iter().map(|(recorded, _)| recorded.query.get()).collect()).await?;
    let mut moved = Board::default();
    for (standing, _) in rows.values() {
        moved.add(standing, -1);
    }
    for (recorded, event) in facts {
        let row = after(rows.remove(&recorded.query), recorded, event).ok_or_else(|| orphan(recorded))?;
        rows.insert(recorded.query, row);
    }
    for (standing, _) in rows.values() {
        moved.add(standing, 1);
    }
    moved.0.retain(|_, value| *value != 0);
    save(conn, &rows, &moved).await
}

fn after(before: Option<Known>, recorded: &RecordedEvent, event: &DonorQueryEvent) -> Option<Known> {
    let mut standing = match before {
        Some(known) if known.1 >= recorded.position => return Some(known),
        Some((standing, _)) => standing,
        None if matches!(event, DonorQueryEvent::QueryOpened { .. }) => Standing::OPENED,
        None => return None,
    };
    standing.apply(event);
    Some((standing, recorded.position))
}

async fn load(conn: &mut PgConnection, queries: Vec<i64>) -> Result<BTreeMap<QueryId, Known>, sqlx::Error> {
    let rows = sqlx::query(
        "select query_id, status, assigned_to_id, pending_request_id, active_call_id, deleted, position
         from board_queries
         where query_id = any($1)",
    )
    .bind(queries)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let known = (Standing::from_row(row)?, Position(row.try_get("position")?));
            Ok((id(row, "query_id", QueryId::new)?, known))
        })
        .collect()
}

/// Writes the queries, and adds to the counters in the order of their keys, so that two projectors wait for each other
/// instead of deadlocking.
async fn save(conn: &mut PgConnection, rows: &BTreeMap<QueryId, Known>, moved: &Board) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with standings as (
             insert into board_queries as q (
                 query_id, status, assigned_to_id, pending_request_id, active_call_id, deleted, position
             )
             select * from unnest(
                 $1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::bigint[]
             )
             on conflict (query_id) do update
             set status = excluded.status,
                 assigned_to_id = excluded.assigned_to_id,
                 pending_request_id = excluded.pending_request_id,
                 active_call_id = excluded.active_call_id,
                 deleted = excluded.deleted,
                 position = excluded.position
             where excluded.position > q.position
         )
         insert into board as b (counter, holder, value)
         select * from unnest($8::text[], $9::bigint[], $10::bigint[])
         on conflict (counter, holder) do update
         set value = b.value + excluded.value",
    )
    .bind(rows.keys().map(|query| query.get()).collect::<Vec<_>>())
    .bind(rows.values().map(|(standing, _)| standing.status.as_str()).collect::<Vec<_>>())
    .bind(rows.values().map(|(standing, _)| standing.assigned_to_id.map(UserId::get)).collect::<Vec<_>>())
    .bind(rows.values().map(|(standing, _)| standing.pending_request_id.map(CallRequestId::get)).collect::<Vec<_>>())
    .bind(rows.values().map(|(standing, _)| standing.active_call_id.map(CallId::get)).collect::<Vec<_>>())
    .bind(rows.values().map(|(standing, _)| standing.deleted).collect::<Vec<_>>())
    .bind(rows.values().map(|(_, position)| position.0).collect::<Vec<_>>())
    .bind(moved.0.keys().map(|(counter, _)| counter.as_str()).collect::<Vec<_>>())
    .bind(moved.0.keys().map(|(_, holder)| holder.map_or(NOBODY, UserId::get)).collect::<Vec<_>>())
    .bind(moved.0.values().copied().collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
