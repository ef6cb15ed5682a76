//! Facts to rows of `queries`, and to `query_details` and `query_terms`, by which they are searched.
//!
//! The details have a table of their own because a search's index is dear to update, and every message changes its query's
//! row. What queries have in common, tests, stages and devices, is there once, whichever queries have it or had it.

use std::collections::{BTreeMap, BTreeSet};

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{CallId, CallRequestId, QueryId, UserId};
use aggregates::recorded::{Position, RecordedEvent};
use sqlx::{FromRow, PgConnection};

use super::query::COLUMNS;
use super::row::QueryRow;
use crate::{facts_of_queries, orphan};

/// Applies a batch: one select, and one statement for the rows, the details that were described in it, and their terms.
pub(crate) async fn project(conn: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
    let facts = facts_of_queries(events);
    if facts.is_empty() {
        return Ok(());
    }
    let mut rows = load(conn, facts.iter().map(|(recorded, _)| recorded.query).collect()).await?;
    let (mut described, mut terms) = (BTreeMap::new(), BTreeSet::new());
    for (recorded, event) in facts {
        let row = QueryRow::after(rows.remove(&recorded.query), recorded).ok_or_else(|| orphan(recorded))?;
        if matches!(event, DonorQueryEvent::QueryOpened { .. } | DonorQueryEvent::QueryEdited { .. }) {
            described.insert(recorded.query, recorded.position);
            terms.extend([row.test.clone(), row.stage.clone(), row.device.clone()]);
        }
        rows.insert(recorded.query, row);
    }
    save(conn, &rows, &described, &terms).await
}

async fn load(conn: &mut PgConnection, touched: BTreeSet<QueryId>) -> Result<BTreeMap<QueryId, QueryRow>, sqlx::Error> {
    let rows = sqlx::query(&format!("select {COLUMNS} from queries where query_id = any($1)"))
        .bind(touched.into_iter().map(QueryId::get).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| QueryRow::from_row(row).map(|row| (row.query_id, row))).collect()
}

async fn save(
    conn: &mut PgConnection,
    rows: &BTreeMap<QueryId, QueryRow>,
    described: &BTreeMap<QueryId, Position>,
    terms: &BTreeSet<String>,
) -> Result<(), sqlx::Error> {
    let all: Vec<&QueryRow> = rows.values().collect();
    let told: Vec<&QueryRow> = described.keys().map(|query| &rows[query]).collect();
    sqlx::query(UPSERT)
        .bind(column(&all, |row| row.query_id.get()))
        .bind(column(&all, |row| row.donor.as_str()))
        .bind(column(&all, |row| row.donor_id.as_str()))
        .bind(column(&all, |row| row.donor_session.0))
        .bind(column(&all, |row| row.test.as_str()))
        .bind(column(&all, |row| row.stage.as_str()))
        .bind(column(&all, |row| row.device.as_str()))
        .bind(column(&all, |row| row.standing.status.as_str()))
        .bind(column(&all, |row| row.standing.assigned_to_id.map(UserId::get)))
        .bind(column(&all, |row| row.standing.pending_request_id.map(CallRequestId::get)))
        .bind(column(&all, |row| row.standing.active_call_id.map(CallId::get)))
        .bind(column(&all, |row| row.standing.deleted))
        .bind(column(&all, |row| row.transferred_to.as_deref()))
        .bind(column(&all, |row| row.transferred_to_user_id.map(UserId::get)))
        .bind(column(&all, |row| row.transferred_by_id.map(UserId::get)))
        .bind(column(&all, |row| row.transfer_note.as_deref()))
        .bind(column(&all, |row| row.resolved_by_id.map(UserId::get)))
        .bind(column(&all, |row| row.closed_by_donor))
        .bind(column(&all, |row| row.created_at))
        .bind(column(&all, |row| row.updated_at))
        .bind(column(&all, |row| row.version))
        .bind(column(&all, |row| row.position.0))
        .bind(column(&all, |row| row.message_count))
        .bind(column(&all, |row| row.last_message.as_deref()))
        .bind(column(&all, |row| row.last_message_at))
        .bind(column(&all, |row| row.waiting_since))
        .bind(column(&told, |row| row.query_id.get()))
        .bind(column(&told, |row| row.donor.as_str()))
        .bind(column(&told, search))
        .bind(described.values().map(|position| position.0).collect::<Vec<_>>())
        // In one order, so that two projectors that find the same ones new wait for each other one way only.
        .bind(terms.iter().map(String::as_str).collect::<Vec<_>>())
        .bind(terms.iter().map(|term| term.to_lowercase()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// What only this query is searched by, in lower case, one per line so that no match spans two.
fn search(row: &QueryRow) -> String {
    [row.donor.as_str(), row.donor_id.as_str()].join("\n").to_lowercase()
}

fn column<'a, T>(rows: &[&'a QueryRow], value: impl Fn(&'a QueryRow) -> T) -> Vec<T> {
    rows.iter().map(|row| value(row)).collect()
}

const UPSERT: &str = "
    with described as (
        insert into query_details as d (query_id, donor, search, position)
        select * from unnest($27::bigint[], $28::text[], $29::text[], $30::bigint[])
        on conflict (query_id) do update
        set donor = excluded.donor,
            search = excluded.search,
            position = excluded.position
        where excluded.position > d.position
    ),
    named as (
        insert into query_terms (term, search)
        select * from unnest($31::text[], $32::text[])
        on conflict (term) do nothing
    )
    insert into queries as t (
        query_id, donor, donor_id, donor_session, test, stage, device,
        status, assigned_to_id, pending_request_id, active_call_id, deleted,
        transferred_to, transferred_to_user_id, transferred_by_id, transfer_note, resolved_by_id, closed_by_donor,
        created_at, updated_at, version, position, message_count, last_message, last_message_at, waiting_since
    )
    select * from unnest(
        $1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[],
        $13::text[], $14::bigint[], $15::bigint[], $16::text[], $17::bigint[], $18::boolean[],
        $19::timestamptz[], $20::timestamptz[], $21::bigint[], $22::bigint[], $23::bigint[], $24::text[],
        $25::timestamptz[], $26::timestamptz[]
    )
    on conflict (query_id) do update
    set donor = excluded.donor,
        test = excluded.test,
        stage = excluded.stage,
        device = excluded.device,
        status = excluded.status,
        assigned_to_id = excluded.assigned_to_id,
        pending_request_id = excluded.pending_request_id,
        active_call_id = excluded.active_call_id,
        deleted = excluded.deleted,
        transferred_to = excluded.transferred_to,
        transferred_to_user_id = excluded.transferred_to_user_id,
        transferred_by_id = excluded.transferred_by_id,
        transfer_note = excluded.transfer_note,
        resolved_by_id = excluded.resolved_by_id,
        closed_by_donor = excluded.closed_by_donor,
        updated_at = excluded.updated_at,
        version = excluded.version,
        position = excluded.position,
        message_count = excluded.message_count,
        last_message = excluded.last_message,
        last_message_at = excluded.last_message_at,
        waiting_since = excluded.waiting_since
    where excluded.position > t.position";
