//! What every list of queries has in common: filters of both generations, pages, and bounded conversations.

use aggregates::ids::UserId;
use aggregates::vocabulary::QueryStatus;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use futures_util::future::join_all;
use garde::Validate;
use projections::messages;
use projections::page::{MAX_LIMIT, Page};
use projections::queries::{self, Assigned, Cursor, ListFilter, Order, QueryRow};
use projections::{ReadError, ReadPool};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::accounts::Accounts;
use crate::grouped::{Answers, GroupError};
use crate::http::answer::ListEnvelope;
use crate::http::error::{ApiError, Violation};
use crate::http::{Api, joining, lenient, rules, views};

/// How many messages a list shows of each query.
pub(super) const NEWEST_IN_LIST: i64 = 10;

/// How many rows a numbered page has, if its client does not say.
const PAGE: i64 = 10;

/// The filters of both generations of clients. An empty value is no filter; unknown ones (`queryMode`) are dropped.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Exactly this test.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    test: Option<String>,
    /// Exactly this stage.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    stage: Option<String>,
    /// Exactly this device.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    device: Option<String>,
    /// Opened on this day.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(iso_date))]
    #[param(format = Date)]
    date: Option<String>,
    /// Opened then or later: a day or a time.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(iso_date))]
    start_date: Option<String>,
    /// Opened before the end of this day, or before this time.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(iso_date))]
    end_date: Option<String>,
    /// This text in the donor's name, id, test, stage or device.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    search: Option<String>,
    /// Held by this staff member.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    assigned_to_id: Option<i64>,
    /// One of these statuses, among those of the list.
    #[serde(deserialize_with = "lenient::words")]
    #[garde(custom(rules::statuses))]
    #[param(value_type = Vec<String>)]
    status: Vec<String>,
    /// The same, for `filtered/statuses`.
    #[serde(deserialize_with = "lenient::words")]
    #[garde(custom(rules::statuses))]
    #[param(value_type = Vec<String>)]
    statuses: Vec<String>,
    /// A page by its number, from 1; pages have 10 rows unless `limit` says otherwise. Less than 1 is the first.
    #[serde(deserialize_with = "lenient::optional_count")]
    #[garde(skip)]
    page: Option<i64>,
    /// The most rows, up to 200. Without `page` and `limit`: 200. Less than 1 counts as absent.
    #[serde(deserialize_with = "lenient::optional_count")]
    #[garde(skip)]
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    cursor: Option<String>,
    /// Wait until the list shows the fact at this position; refused if there is none.
    #[serde(rename = "min_position", deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    #[param(rename = "min_position")]
    #[allow(dead_code, reason = "described here, read by the freshness layer")]
    min_position: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the signature that garde calls")]
fn iso_date(value: &Option<String>, _: &()) -> garde::Result {
    let is_good = value.as_deref().is_none_or(|text| moment(text, Edge::Start).is_some());
    if is_good { Ok(()) } else { Err(garde::Error::new("isDateString: must be a valid ISO 8601 date string")) }
}

#[derive(Clone, Copy, PartialEq)]
enum Edge {
    Start,
    End,
}

/// A day's first or last moment in UTC, or a time as it is. Years have four digits: PostgreSQL does not know all that
/// can be written.
fn moment(text: &str, edge: Edge) -> Option<DateTime<Utc>> {
    let has_four_digits = |time: &DateTime<Utc>| (1..=9999).contains(&time.year());
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc()).filter(has_four_digits);
    }
    if let Ok(time) = text.parse::<NaiveDateTime>() {
        return Some(time.and_utc()).filter(has_four_digits);
    }
    let day = text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc();
    let day = Some(day).filter(has_four_digits)?;
    if edge == Edge::End { day.checked_add_days(Days::new(1)) } else { Some(day) }
}

impl Filters {
    /// The statuses that `filtered/statuses` asks for.
    pub(super) fn wanted(&self) -> Vec<QueryStatus> {
        self.statuses.iter().filter_map(|word| QueryStatus::parse(word)).collect()
    }

    /// Narrows a list; `None` if nothing can be left of it.
    fn narrow(&self, mut list: ListFilter) -> Option<ListFilter> {
        let asked: Vec<_> = self.status.iter().filter_map(|word| QueryStatus::parse(word)).collect();
        if !asked.is_empty() {
            let base = if list.statuses.is_empty() { QueryStatus::ALL.to_vec() } else { list.statuses };
            list.statuses = base.into_iter().filter(|status| asked.contains(status)).collect();
            if list.statuses.is_empty() {
                return None;
            }
        }
        if let (Assigned::Any, Some(user)) = (list.assigned, self.assigned_to_id) {
            list.assigned = Assigned::To(UserId::new(user));
        }
        let day = |edge| self.date.as_deref().and_then(|text| moment(text, edge));
        let from = self.start_date.as_deref().and_then(|text| moment(text, Edge::Start));
        let until = self.end_date.as_deref().and_then(|text| moment(text, Edge::End));
        list.test.clone_from(&self.test);
        list.stage.clone_from(&self.stage);
        list.device.clone_from(&self.device);
        list.search.clone_from(&self.search);
        list.created_from = from.max(day(Edge::Start));
        list.created_until = [until, day(Edge::End)].into_iter().flatten().min();
        Some(list)
    }

    /// The page that is asked for: after a cursor, by its number, or the beginning.
    fn slice(&self, order: Order) -> Result<Page<Cursor>, ApiError> {
        let invalid = |name: &str, rule: &str, text: String| ApiError::Invalid(vec![Violation::new(name, rule, text)]);
        let default = if self.page.is_some() { PAGE } else { MAX_LIMIT };
        let limit = self.limit.filter(|limit| *limit >= 1).unwrap_or(default);
        if let Some(text) = &self.cursor {
            let cursor =
                Cursor::parse(text, order).map_err(|error| invalid("cursor", "isCursor", error.to_string()))?;
            return Ok(Page::after(cursor, limit));
        }
        Page::numbered(self.page.unwrap_or(1), limit).map_err(|error| invalid("page", "max", error.to_string()))
    }
}

/// A page of a list, as everybody asks for it who sees the same: lists show nothing that depends on their reader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) struct ListKey {
    /// Nothing if nothing can be in it.
    filter: Option<ListFilter>,
    order: Order,
    page: Page<Cursor>,
    /// The page's number, if it was asked for by number.
    number: Option<i64>,
}

impl ListKey {
    /// Whether it looks for words of somebody's choice, of which no index knows beforehand how rare they are.
    pub(in crate::http) fn is_search(&self) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.search.is_some() || filter.donor_name.is_some())
    }
}

/// A page of a list, with the end of each conversation.
pub(super) async fn answer(api: &Api, filters: &Filters, list: ListFilter, order: Order) -> Result<Response, ApiError> {
    let page = filters.slice(order)?;
    let number = filters.page.map(|page| page.max(1));
    let body = api.lookups.page(ListKey { filter: filters.narrow(list), order, page, number }).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

/// Pages of lists, written as JSON. Each can fail alone: pages that were asked for at once are not one statement.
pub(in crate::http) async fn pages(reads: ReadPool, accounts: Accounts, keys: Vec<ListKey>) -> Answers<ListKey, Bytes> {
    let pages = keys.into_iter().map(async |key| {
        let page = written(&reads, &accounts, &key).await;
        (key, page.map_err(GroupError::from))
    });
    join_all(pages).await.into_iter().collect()
}

/// A page of a list, written as JSON.
pub(in crate::http) async fn written(reads: &ReadPool, accounts: &Accounts, key: &ListKey) -> Result<Bytes, ReadError> {
    let envelope = page(reads, accounts, key).await?;
    let body = serde_json::to_vec(&envelope).map_err(|error| ReadError::Encode(error.into()))?;
    Ok(Bytes::from(body))
}

async fn page(
    reads: &ReadPool,
    accounts: &Accounts,
    key: &ListKey,
) -> Result<ListEnvelope<views::StaffQueryWithMessages>, ReadError> {
    let mut envelope = ListEnvelope {
        status: 200,
        data: Vec::new(),
        total: 0,
        total_exact: true,
        limit: key.page.limit(),
        page: key.number,
        next_cursor: None,
    };
    if let Some(filter) = &key.filter {
        let slice = queries::list(reads, filter, key.order, &key.page).await?;
        envelope.data = with_messages(reads, accounts, &slice.rows).await?;
        envelope.total = slice.total.count;
        envelope.total_exact = slice.total.exact;
        envelope.next_cursor = slice.next.map(|cursor| cursor.to_string());
    }
    Ok(envelope)
}

async fn with_messages(
    reads: &ReadPool,
    accounts: &Accounts,
    rows: &[QueryRow],
) -> Result<Vec<views::StaffQueryWithMessages>, ReadError> {
    let talked: Vec<_> = rows.iter().filter(|row| row.message_count > 0).map(|row| row.query_id).collect();
    let mut said = Vec::new();
    if !talked.is_empty() {
        said = messages::latest_of_queries(reads, &talked, NEWEST_IN_LIST).await?;
    }
    let calls = joining::calls_told(reads, &said).await?;
    let people = accounts.list();
    Ok(rows.iter().map(|row| views::StaffQueryWithMessages::new(row, &said, &calls, &people)).collect())
}

#[cfg(test)]
mod tests {
    use aggregates::vocabulary::QueryStatus;
    use chrono::{DateTime, Utc};
    use projections::page::Page;
    use projections::queries::{ListFilter, Order};

    use super::{Edge, Filters, iso_date, moment};

    fn at(text: &str) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
    }

    #[test]
    fn a_day_reaches_from_midnight_to_midnight() {
        assert_eq!(moment("2025-03-25", Edge::Start), at("2025-03-25T00:00:00Z"));
        assert_eq!(moment("2025-03-25", Edge::End), at("2025-03-26T00:00:00Z"));
        assert_eq!(moment("2025-03-25T10:00:00+02:00", Edge::End), at("2025-03-25T08:00:00Z"));
        assert_eq!(moment("9999-12-31", Edge::End).map(|time| time.timestamp()), Some(253_402_300_800));
        for wrong in ["yesterday", "0000-01-01", "-4800-01-01", "+262000-01-01", "0000-06-01T00:00:00Z"] {
            assert!(iso_date(&Some(wrong.to_owned()), &()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_page_and_limit_a_dashboard_gets_all_that_fits() {
        let page = |filters: Filters| filters.slice(Order::CreatedDesc).map(|page: Page<_>| page.limit()).ok();
        assert_eq!(page(Filters::default()), Some(200));
        assert_eq!(page(Filters { page: Some(2), ..Filters::default() }), Some(10));
        assert_eq!(page(Filters { limit: Some(5_000), ..Filters::default() }), Some(200));
        assert_eq!(page(Filters { page: Some(0), limit: Some(-1), ..Filters::default() }), Some(10));
        assert_eq!(page(Filters { cursor: Some("elsewhere".to_owned()), ..Filters::default() }), None);
    }

    #[test]
    fn a_status_narrows_the_list_and_never_widens_it() {
        let open = || ListFilter {
            statuses: vec![QueryStatus::InProgress, QueryStatus::PendingReply],
            ..ListFilter::default()
        };
        let asking = |word: &str| Filters { status: vec![word.to_owned()], ..Filters::default() };
        let narrowed = asking("PENDING_REPLY").narrow(open()).map(|list| list.statuses);
        assert_eq!(narrowed, Some(vec![QueryStatus::PendingReply]));
        assert_eq!(asking("RESOLVED").narrow(open()), None);
    }
}
