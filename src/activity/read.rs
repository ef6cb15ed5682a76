//! Reads what happened. Every question has a range of time, an index for it, and a bound.

use std::cmp::Reverse;

use aggregates::ids::{QueryId, UserId};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};

use super::{Day, Entry, Journal, KEPT_DAYS, Overview};

const COLUMNS: &str = "at, source, number, level, kind, staff_id, staff_name, subject_id, query_id, fact, request_id, \
                       method, route, status, code, address, user_agent, took_ms";

/// What a search looks at, as one text: all that `http/logs/line.rs` shows, in its words, but for times, and for names that
/// only the accounts know.
const WORDS: &str = "concat_ws(' ', level, kind, staff_name, concat(fact, ' on query ' || query_id), \
                     method || ' ' || coalesce(route, '(unknown path)') || ' answered ' || status, request_id, code, \
                     address, user_agent, staff_id, query_id, subject_id, case source when 'fact' then number end)";

/// How many entries a search looks at, the newest first.
const LOOKED_AT: i64 = 50_000;

const ERRORS: &str = "level <> 'info'";
const USER_ACTIVITY: &str = "kind in ('staff_action', 'log_in', 'account')";

/// What happened at the desk. Cheap to clone.
#[derive(Clone)]
pub struct Activity {
    pool: PgPool,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    /// In which journal.
    pub journal: Journal,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until before when.
    pub to: DateTime<Utc>,
    /// By whom.
    pub staff: Option<UserId>,
    /// A text that an entry has somewhere, in any letter case.
    pub text: Option<String>,
    /// Those whose name has the text, as their accounts tell it: requests do not.
    pub named: Vec<UserId>,
}

impl Activity {
    /// What happened at the desk of a database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// What was looked for among the newest 50 000 entries in question, the newest first.
    pub async fn search(&self, search: &Search, offset: i64, limit: i64) -> sqlx::Result<Vec<Entry>> {
        let sql = format!(
            "select {COLUMNS}
             from (
                 select {COLUMNS}
                 from activity
                 where at >= $1 and at < $2 and ($3::bigint is null or staff_id = $3) and {}
                 order by at desc, number desc
                 limit {LOOKED_AT}
             ) looked_at
             where $4::text is null
                or position(lower($4) in lower({WORDS})) > 0
                or (staff_name is null and staff_id = any($7))
             order by at desc, number desc
             offset $5
             limit $6",
            condition(search.journal)
        );
        sqlx::query_as(&sql)
            .bind(search.from)
            .bind(search.to)
            .bind(search.staff.map(UserId::get))
            .bind(&search.text)
            .bind(offset)
            .bind(limit)
            .bind(search.named.iter().map(|user| user.get()).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await
    }

    /// Part of a journal in the order in which it happened.
    pub async fn page(
        &self,
        journal: Journal,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        offset: i64,
        limit: i64,
    ) -> sqlx::Result<Vec<Entry>> {
        let sql = format!(
            "select {COLUMNS}
             from activity
             where at >= $1 and at < $2 and {}
             order by at, number
             offset $3
             limit $4",
            condition(journal)
        );
        sqlx::query_as(&sql).bind(from).bind(to).bind(offset).bind(limit).fetch_all(&self.pool).await
    }

    /// How many entries a journal has.
    pub async fn count(&self, journal: Journal, from: DateTime<Utc>, to: DateTime<Utc>) -> sqlx::Result<i64> {
        let sql = format!("select count(*) from activity where at >= $1 and at < $2 and {}", condition(journal));
        sqlx::query_scalar(&sql).bind(from).bind(to).fetch_one(&self.pool).await
    }

    /// The days on which something happened, of those that are kept before a time.
    pub async fn days(&self, before: DateTime<Utc>) -> sqlx::Result<Vec<Day>> {
        let mut days = Vec::new();
        for journal in Journal::ALL {
            let sql = format!(
                "select (at at time zone 'UTC')::date as day, sum(octet_length({WORDS}))::bigint as bytes,
                        min(at) as first, max(at) as last
                 from activity
                 where at >= $1 and at < $2 and {}
                 group by 1",
                condition(journal)
            );
            let rows = sqlx::query(&sql).bind(oldest(before)).bind(before).fetch_all(&self.pool).await?;
            for row in rows {
                let day: NaiveDate = row.try_get("day")?;
                let (first, last) = (row.try_get("first")?, row.try_get("last")?);
                days.push(Day { day, journal, bytes: row.try_get("bytes")?, first, last });
            }
        }
        days.sort_by_key(|day| Reverse(day.last));
        Ok(days)
    }

    /// How much happened, in the days that are kept before a time.
    pub async fn overview(&self, before: DateTime<Utc>) -> sqlx::Result<Overview> {
        let sql = format!(
            "select count(*) as total, count(*) filter (where {ERRORS}) as errors,
                    count(*) filter (where {USER_ACTIVITY}) as user_activities,
                    count(*) filter (where {ERRORS} and at >= date_trunc('day', $2, 'UTC')) as errors_today,
                    pg_total_relation_size('request_audit') as bytes
             from activity
             where at >= $1 and at < $2"
        );
        let row = sqlx::query(&sql).bind(oldest(before)).bind(before).fetch_one(&self.pool).await?;
        Ok(Overview {
            total: row.try_get("total")?,
            errors: row.try_get("errors")?,
            user_activities: row.try_get("user_activities")?,
            errors_today: row.try_get("errors_today")?,
            bytes: row.try_get("bytes")?,
        })
    }
}

fn oldest(before: DateTime<Utc>) -> DateTime<Utc> {
    before - chrono::Duration::days(i64::from(KEPT_DAYS))
}

const fn condition(journal: Journal) -> &'static str {
    match journal {
        Journal::Application => "true",
        Journal::Errors => ERRORS,
        Journal::UserActivity => USER_ACTIVITY,
    }
}

impl FromRow<'_, PgRow> for Entry {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let source: String = row.try_get("source")?;
        let number: i64 = row.try_get("number")?;
        Ok(Self {
            at: row.try_get("at")?,
            level: row.try_get("level")?,
            kind: row.try_get("kind")?,
            staff: row.try_get::<Option<i64>, _>("staff_id")?.map(UserId::new),
            staff_name: row.try_get("staff_name")?,
            subject: row.try_get("subject_id")?,
            query: row.try_get::<Option<i64>, _>("query_id")?.map(QueryId::new),
            fact: row.try_get("fact")?,
            position: (source == "fact").then_some(number),
            request_id: row.try_get("request_id")?,
            method: row.try_get("method")?,
            route: row.try_get("route")?,
            status: row.try_get("status")?,
            code: row.try_get("code")?,
            address: row.try_get("address")?,
            user_agent: row.try_get("user_agent")?,
            took_ms: row.try_get("took_ms")?,
        })
    }
}
