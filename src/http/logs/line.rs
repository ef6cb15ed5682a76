//! One line of what happened.

use serde::Serialize;
use utoipa::ToSchema;

use crate::activity::Entry;
use crate::http::views::{Moment, People};

/// One line. Keys without a value are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    timestamp: Moment,
    /// `info`, `warn` or `error`.
    level: String,
    /// What happened, for people.
    message: String,
    /// `staff_action`, `log_in`, `account`, `refused` or `error`.
    #[serde(rename = "type")]
    kind: String,
    /// The request, as error bodies name it.
    request_id: String,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    /// The name of whoever did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// The query that a fact is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<i64>,
    /// The place of a fact in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<i64>,
    /// What the path named, or the account that was tried at a log-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Without values.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<i16>,
    /// The code of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i32>,
}

impl Line {
    pub(super) fn new(entry: Entry, people: &People) -> Self {
        let named = || Some(people.get(&entry.staff?)?.name.clone());
        let user_name = entry.staff_name.clone().or_else(named);
        Self {
            timestamp: Moment(entry.at),
            message: message(&entry),
            level: entry.level,
            kind: entry.kind,
            request_id: entry.request_id,
            user_id: entry.staff.map(aggregates::ids::UserId::get),
            user_name,
            query_id: entry.query.map(aggregates::ids::QueryId::get),
            position: entry.position,
            target_id: entry.subject,
            method: entry.method,
            path: entry.route,
            status_code: entry.status,
            code: entry.code,
            ip: entry.address,
            user_agent: entry.user_agent,
            duration_ms: entry.took_ms,
        }
    }

    /// The line as a file would have it.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a line is plain data")
    }
}

fn message(entry: &Entry) -> String {
    match (&entry.fact, entry.query, &entry.method, entry.status) {
        (Some(fact), Some(query), ..) => format!("{fact} on query {query}"),
        (Some(fact), None, ..) => fact.clone(),
        (_, _, Some(method), Some(status)) => {
            format!("{method} {} answered {status}", entry.route.as_deref().unwrap_or("(unknown path)"))
        }
        _ => entry.kind.clone(),
    }
}
