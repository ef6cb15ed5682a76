//! Questions about donor queries. Deleted ones answer as if they had never been, unless a question says otherwise.
//!
//! A list is read status by status, each from an index that is already in the order of the list, and the few rows of each
//! are merged. So a page costs the same whatever the table's size, however many statuses are asked for.

use aggregates::ids::{DonorId, QueryId, UserId};
use aggregates::people::DonorSession;
use aggregates::vocabulary::QueryStatus;
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool, Postgres, QueryBuilder};

use super::page::{Cursor, Order};
use super::row::QueryRow;
use super::search::Matches;
use crate::columns::{each, push};
use crate::page::{Page, Slice, Total};
use crate::{Each, board};

pub(crate) const COLUMNS: &str = "
    query_id, donor, donor_id, donor_session, test, stage, device,
    status, assigned_to_id, pending_request_id, active_call_id, deleted,
    transferred_to, transferred_to_user_id, transferred_by_id, transfer_note, resolved_by_id, closed_by_donor,
    created_at, updated_at, version, position, message_count, last_message, last_message_at, waiting_since";

/// How far a list without a maintained counter is counted.
const COUNT_CAP: i64 = 1_000;

/// Which queries a list shows. What is absent does not narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListFilter {
    /// In one of these statuses; empty means any.
    pub statuses: Vec<QueryStatus>,
    /// By who holds it.
    pub assigned: Assigned,
    /// Last transferred to this staff member.
    pub transferred_to: Option<UserId>,
    /// Of this donor.
    pub donor_id: Option<DonorId>,
    /// Readable with donor tokens of this session.
    pub donor_session: Option<DonorSession>,
    /// Of a donor with exactly this name or address.
    pub donor_name: Option<String>,
    /// With exactly this test.
    pub test: Option<String>,
    /// With exactly this stage.
    pub stage: Option<String>,
    /// With exactly this device.
    pub device: Option<String>,
    /// With this text in the donor's name, id, test, stage or device, in any letter case.
    pub search: Option<String>,
    /// Opened then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Opened before then.
    pub created_until: Option<DateTime<Utc>>,
}

/// Who holds a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Assigned {
    /// Anybody or nobody.
    #[default]
    Any,
    /// Nobody.
    Unassigned,
    /// This staff member.
    To(UserId),
}

/// The query with this id.
pub async fn find(db: impl PgExecutor<'_>, query: QueryId) -> Result<Option<QueryRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from queries where query_id = $1 and not deleted"))
        .bind(query.get())
        .fetch_optional(db)
        .await
}

/// The queries with these ids, in no particular order; absent ones are left out.
pub async fn of_ids(db: impl PgExecutor<'_>, queries: &[QueryId]) -> Result<Vec<QueryRow>, sqlx::Error> {
    each_of_ids(db, queries).await?.into_iter().map(|(_, row)| row).collect()
}

/// The same, each on its own.
pub async fn each_of_ids(db: impl PgExecutor<'_>, queries: &[QueryId]) -> Result<Each<QueryId, QueryRow>, sqlx::Error> {
    // `not deleted` would let in the indexes of the lists, which suit a plan that was made while the table was empty.
    let rows = sqlx::query(&format!("select {COLUMNS} from queries where query_id = any($1) and deleted is false"))
        .bind(queries.iter().map(|query| query.get()).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    each(&rows, "query_id", QueryId::new)
}

/// The queries with these ids, deleted ones included: whoever concludes something from a row that is absent has to know
/// that from one whose query was deleted.
pub async fn of_ids_or_deleted(db: impl PgExecutor<'_>, queries: &[QueryId]) -> Result<Vec<QueryRow>, sqlx::Error> {
    sqlx::query_as(&format!("select {COLUMNS} from queries where query_id = any($1)"))
        .bind(queries.iter().map(|query| query.get()).collect::<Vec<_>>())
        .fetch_all(db)
        .await
}

/// Everything a donor ever asked, deleted queries included: who follows a query has to hear that it was deleted.
pub async fn ids_of_donor(
    db: impl PgExecutor<'_>,
    donor: &DonorId,
    session: Option<DonorSession>,
) -> Result<Vec<QueryId>, sqlx::Error> {
    // Two branches, because each index holds either the deleted queries or the others.
    let ids: Vec<i64> = sqlx::query_scalar(
        "select query_id
         from queries
         where donor_id = $1
         and not deleted
         and ($2::uuid is null or donor_session = $2)
         union all
         select query_id
         from queries
         where donor_id = $1
         and deleted
         and ($2::uuid is null or donor_session = $2)",
    )
    .bind(donor.as_str())
    .bind(session.map(|session| session.0))
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(QueryId::new).collect())
}

/// A page of the queries that a filter lets through, with the length of the whole list.
pub async fn list(
    db: &PgPool,
    filter: &ListFilter,
    order: Order,
    page: &Page<Cursor>,
) -> Result<Slice<QueryRow, Cursor>, sqlx::Error> {
    let found = match &filter.search {
        Some(text) => Some(Matches::of(text, db).await?),
        None => None,
    };
    let found = found.as_ref();
    // What a search found is planned for as it is: twenty queries and five thousand are read in different ways.
    let mut sql = select_page(filter, found, order, page);
    let mut rows: Vec<QueryRow> = sql.build_query_as().persistent(found.is_none()).fetch_all(db).await?;
    let more = rows.len() as u64 > page.limit().unsigned_abs();
    rows.truncate(usize::try_from(page.limit()).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|last| order.cursor(last));
    Ok(Slice { rows, next, total: total(db, filter, found).await? })
}

/// One branch per status, each read from an index in the order of the list; one row more than asked for tells whether
/// there is a next page.
fn select_page<'a>(
    filter: &'a ListFilter,
    found: Option<&'a Matches>,
    order: Order,
    page: &'a Page<Cursor>,
) -> QueryBuilder<'a, Postgres> {
    let (column, direction) = (order.column(), order.direction());
    let mut sql = QueryBuilder::new(format!("select {COLUMNS} from ("));
    for (index, status) in filter.statuses().iter().enumerate() {
        sql.push(if index == 0 { "(" } else { " union all (" });
        sql.push(format!("select {COLUMNS} from queries where not deleted and status = ")).push_bind(status.as_str());
        filter.push_conditions(found, &mut sql);
        if let Some(cursor) = page.cursor() {
            sql.push(format!(" and ({column}, query_id) {} (", order.comparison()));
            sql.push_bind(cursor.at).push(", ").push_bind(cursor.id.get()).push(")");
        }
        sql.push(format!(" order by {column} {direction}, query_id {direction}"));
        push_limit(&mut sql, page.limit() + 1, page.offset());
        sql.push(")");
    }
    sql.push(format!(") as pages order by {column} {direction}, query_id {direction} limit {}", page.limit() + 1));
    push(&mut sql, " offset ", Some(page.offset()).filter(|offset| *offset > 0));
    sql
}

/// Appends how many rows may be wanted. That is written out for first pages and those after a cursor: for a number that it
/// does not know, PostgreSQL expects a tenth of the table, finds the plan that it could keep too dear if that is large, and
/// plans every page anew. For pages by number, which have many depths, statements would be too many to keep.
fn push_limit(sql: &mut QueryBuilder<'_, Postgres>, rows: i64, offset: i64) {
    if offset == 0 {
        sql.push(format!(" limit {rows}"));
    } else {
        sql.push(" limit ").push_bind(offset + rows);
    }
}

/// The length of a list: from the board if it counts exactly this, else counted up to [`COUNT_CAP`].
async fn total(db: &PgPool, filter: &ListFilter, found: Option<&Matches>) -> Result<Total, sqlx::Error> {
    if filter.is_counted_by_board() {
        return Ok(Total { count: board::count(db, &filter.statuses(), filter.assigned).await?, exact: true });
    }
    // If more are found than can be named, those that are named are mostly enough.
    let named = found.filter(|found| found.has_more()).map(Matches::named);
    let mut count = match &named {
        Some(named) => count_up(db, filter, Some(named)).await?,
        None => 0,
    };
    if count <= COUNT_CAP {
        count = count_up(db, filter, found).await?;
    }
    Ok(Total { count: count.min(COUNT_CAP), exact: count <= COUNT_CAP })
}

/// Counts up to one more than [`COUNT_CAP`].
async fn count_up(db: &PgPool, filter: &ListFilter, found: Option<&Matches>) -> Result<i64, sqlx::Error> {
    let mut sql = QueryBuilder::new("select count(*) from (select 1 from queries where not deleted and status = any(");
    sql.push_bind(filter.statuses().into_iter().map(QueryStatus::as_str).collect::<Vec<_>>()).push(")");
    filter.push_conditions(found, &mut sql);
    sql.push(format!(" limit {}) as counted", COUNT_CAP + 1));
    sql.build_query_scalar().persistent(found.is_none()).fetch_one(db).await
}

impl ListFilter {
    /// The statuses it lets through, each once.
    fn statuses(&self) -> Vec<QueryStatus> {
        let wanted = |status: &QueryStatus| self.statuses.is_empty() || self.statuses.contains(status);
        QueryStatus::ALL.iter().copied().filter(wanted).collect()
    }

    /// Whether it narrows by nothing but status and holder.
    fn is_counted_by_board(&self) -> bool {
        *self == Self { statuses: self.statuses.clone(), assigned: self.assigned, ..Self::default() }
    }

    /// Appends everything but the status.
    fn push_conditions<'a>(&'a self, found: Option<&'a Matches>, sql: &mut QueryBuilder<'a, Postgres>) {
        match self.assigned {
            Assigned::Any => {}
            Assigned::Unassigned => _ = sql.push(" and assigned_to_id is null"),
            Assigned::To(user) => push(sql, " and assigned_to_id = ", Some(user.get())),
        }
        push(sql, " and transferred_to_user_id = ", self.transferred_to.map(UserId::get));
        push(sql, " and donor_id = ", self.donor_id.as_ref().map(DonorId::as_str));
        push(sql, " and donor_session = ", self.donor_session.map(|session| session.0));
        push(sql, " and test = ", self.test.as_deref());
        push(sql, " and stage = ", self.stage.as_deref());
        push(sql, " and device = ", self.device.as_deref());
        push(sql, " and created_at >= ", self.created_from);
        push(sql, " and created_at < ", self.created_until);
        if let Some(name) = &self.donor_name {
            sql.push(" and query_id in (select query_id from query_details where donor = ").push_bind(name).push(")");
        }
        if let Some(found) = found {
            sql.push(" and ");
            found.push(sql);
        }
    }
}
