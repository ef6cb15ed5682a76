//! `GET logs/search/:type`: what happened, by text, time and person.

use std::sync::Arc;

use aggregates::ids::UserId;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::line::Line;
use super::named;
use crate::activity::{Journal, KEPT_DAYS, Search};
use crate::clock;
use crate::http::body::{Name, Params};
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::ReadErrors;
use crate::http::{Api, lenient, rules};

/// What is looked for.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// A text that a line shows, in any letter case; not its time, nor how long it took.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    query: Option<String>,
    /// A day or a time; without it, 30 days before the end.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    from: Option<String>,
    /// A day, which counts as a whole, or a time; without it, now.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    to: Option<String>,
    /// How many, from 1 to 1000; without it, 100.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(custom(rules::optional_page_size))]
    #[param(value_type = Option<i64>)]
    limit: Option<i64>,
    /// The number of the page, from 1 to 10 000; without it, 1.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(custom(rules::optional_page_number))]
    #[param(value_type = Option<i64>)]
    page: Option<i64>,
    /// Only what this staff member did.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    #[param(value_type = Option<i64>)]
    user_id: Option<i64>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    /// As asked for.
    search_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    /// How many lines there are here.
    count: usize,
    limit: i64,
    page: i64,
    /// The newest first. A text is looked for in the newest 50 000 lines of the time in question.
    logs: Vec<Line>,
}

/// What happened, and who did it?
#[utoipa::path(
    get,
    path = "/logs/search/{type}",
    tag = "logs",
    params(("type" = String, Path, description = "`application`, `errors` or `user-activity`; any other word, such as `all`, is all of them"), Wanted),
    responses((status = 200, description = "The lines", body = Found), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    Name(search_type): Name,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Found>, ApiError> {
    let journal = Journal::parse(&search_type).unwrap_or(Journal::Application);
    let to = match &wanted.to {
        Some(text) => moment("to", text, 1)?,
        None => clock::now(),
    };
    let from = match &wanted.from {
        Some(text) => moment("from", text, 0)?,
        None => to.checked_sub_days(Days::new(u64::from(KEPT_DAYS))).unwrap_or(to),
    };
    let people = api.accounts.list();
    let (staff, text) = (wanted.user_id.map(UserId::new), wanted.query.clone());
    let search = Search { journal, from, to, staff, named: named(&people, text.as_deref()), text };
    let (limit, page) = (wanted.limit.unwrap_or(100), wanted.page.unwrap_or(1));
    let entries = api.activity.search(&search, (page - 1) * limit, limit).await?;
    let logs: Vec<_> = entries.into_iter().map(|entry| Line::new(entry, &people)).collect();
    Ok(Json(Found {
        search_type,
        search_pattern: wanted.query,
        from_date: wanted.from,
        to_date: wanted.to,
        user_id: wanted.user_id,
        count: logs.len(),
        limit,
        page,
        logs,
    }))
}

/// A time, or the beginning of the day that comes so many days after a date.
fn moment(property: &str, text: &str, days: u64) -> Result<DateTime<Utc>, ApiError> {
    let of_day = |day: NaiveDate| Some(day.checked_add_days(Days::new(days))?.and_time(NaiveTime::MIN).and_utc());
    let day = text.parse::<NaiveDate>().ok().and_then(of_day);
    let time = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let is_storable = |time: &DateTime<Utc>| (0..253_402_300_800).contains(&time.timestamp());
    day.or_else(time).filter(is_storable).ok_or_else(|| {
        let text = format!("{property} must be a valid ISO 8601 date string");
        ApiError::Invalid(vec![Violation::new(property, "isDateString", text)])
    })
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_day_counts_as_a_whole() {
        let read = |text, days| moment("to", text, days).ok().map(|time| time.to_rfc3339());
        assert_eq!(read("2025-04-04", 1).as_deref(), Some("2025-04-05T00:00:00+00:00"));
        assert_eq!(read("2025-04-04", 0).as_deref(), Some("2025-04-04T00:00:00+00:00"));
        assert_eq!(read("2025-04-04T12:00:00.000Z", 1).as_deref(), Some("2025-04-04T12:00:00+00:00"));
        for odd in ["", "yesterday", "2025-02-30", "-4000-01-01", "+200000-01-01", "2025-04-04; id"] {
            assert_eq!(read(odd, 0), None, "{odd}");
        }
    }
}
