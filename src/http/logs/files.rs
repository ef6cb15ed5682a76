//! `GET logs` and `GET logs/:filename`: a journal's part of one day, as if it were a file.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::line::Line;
use super::{formatted, named};
use crate::activity::{Journal, Search};
use crate::clock;
use crate::http::body::{Name, Params};
use crate::http::error::ApiError;
use crate::http::openapi::ReadErrors;
use crate::http::views::Moment;
use crate::http::{Api, lenient, rules};

/// Every "file" of the last 30 days.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogFiles {
    /// The newest first.
    log_files: Vec<LogFile>,
}

/// A journal's part of one day.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogFile {
    /// `application-2025-04-04.log`, and `errors-` and `user-activity-` likewise.
    name: String,
    /// Roughly, in bytes.
    size: i64,
    size_formatted: String,
    /// When its first line happened.
    created: Moment,
    /// When its last line happened.
    modified: Moment,
}

/// Which lines.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Excerpt {
    /// How many lines, from 1 to 1000; without it, 100.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(custom(rules::optional_page_size))]
    #[param(value_type = Option<i64>)]
    lines: Option<i64>,
    /// The number of the page, from 1 to 10 000; without it, 1.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(custom(rules::optional_page_number))]
    #[param(value_type = Option<i64>)]
    page: Option<i64>,
    /// Only lines with this text, in any letter case.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    search: Option<String>,
}

/// Lines of a file: the keys of a page, or those of a search.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogLines {
    filename: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_term: Option<String>,
    /// How many lines were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
    page: i64,
    lines_per_page: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_lines: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_pages: Option<i64>,
    /// Each line is a JSON object, in the order in which it happened.
    content: Vec<String>,
}

/// Which days have something to tell?
#[utoipa::path(
    get,
    path = "/logs",
    tag = "logs",
    responses((status = 200, description = "A file per day and journal", body = LogFiles), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Json<LogFiles>, ApiError> {
    let days = api.activity.days(clock::now()).await?;
    let files = days.into_iter().map(|day| LogFile {
        name: format!("{}-{}.log", day.journal.word(), day.day),
        size: day.bytes,
        size_formatted: formatted(day.bytes),
        created: Moment(day.first),
        modified: Moment(day.last),
    });
    Ok(Json(LogFiles { log_files: files.collect() }))
}

/// What happened on a day?
#[utoipa::path(
    get,
    path = "/logs/{filename}",
    tag = "logs",
    params(("filename" = String, Path, description = "Such as `errors-2025-04-04.log`"), Excerpt),
    responses((status = 200, description = "Lines of the file", body = LogLines), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Name(filename): Name,
    Params(excerpt): Params<Excerpt>,
) -> Result<Json<LogLines>, ApiError> {
    let (journal, day) = parse(&filename).ok_or(ApiError::NotFound("Log file not found".into()))?;
    let (from, to) = bounds(day);
    let (limit, page) = (excerpt.lines.unwrap_or(100), excerpt.page.unwrap_or(1));
    let offset = (page - 1) * limit;
    let mut found = LogLines {
        filename,
        search_term: excerpt.search,
        lines: None,
        page,
        lines_per_page: limit,
        total_lines: None,
        total_pages: None,
        content: Vec::new(),
    };
    let people = api.accounts.list();
    let entries = if let Some(text) = found.search_term.clone() {
        let named = named(&people, Some(&text));
        let search = Search { journal, from, to, staff: None, text: Some(text), named };
        let mut entries = api.activity.search(&search, offset, limit).await?;
        entries.reverse();
        found.lines = Some(entries.len());
        entries
    } else {
        let total = api.activity.count(journal, from, to).await?;
        found.total_lines = Some(total);
        found.total_pages = Some((total + limit - 1) / limit);
        api.activity.page(journal, from, to, offset, limit).await?
    };
    found.content = entries.into_iter().map(|entry| Line::new(entry, &people).text()).collect();
    Ok(Json(found))
}

/// Journal and day of a file's name. No path is ever made of it.
fn parse(filename: &str) -> Option<(Journal, NaiveDate)> {
    let stem = filename.strip_suffix(".log")?;
    let (journal, day) = stem.split_at_checked(stem.len().checked_sub(10)?)?;
    let journal = Journal::parse(journal.strip_suffix('-')?)?;
    let date: NaiveDate = day.parse().ok()?;
    (date.to_string() == day).then_some((journal, date))
}

/// The beginning of a day and of the next one.
fn bounds(day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
    let from = day.and_time(NaiveTime::MIN).and_utc();
    (from, from.checked_add_days(Days::new(1)).unwrap_or(from))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::parse;
    use crate::activity::Journal;

    #[test]
    fn a_file_is_a_journal_and_a_day() {
        let day = NaiveDate::from_ymd_opt(2025, 4, 4);
        assert_eq!(parse("errors-2025-04-04.log"), Some(Journal::Errors).zip(day));
        assert_eq!(parse("user-activity-2025-04-04.log"), Some(Journal::UserActivity).zip(day));
        for odd in [
            "",
            ".log",
            "errors.log",
            "errors-2025-04-04",
            "errors-2025-4-4.log",
            "errors-2025-02-30.log",
            "other-2025-04-04.log",
            "../errors-2025-04-04.log",
            "errors-2025-04-04.log; id",
            "errorsé2025-04-04.log",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
