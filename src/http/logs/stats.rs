//! `GET logs/stats/overview`: how much happened in the last 30 days.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::formatted;
use crate::clock;
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::openapi::ReadErrors;

/// The overview in its envelope.
#[derive(Serialize, ToSchema)]
pub(super) struct LogStats {
    stats: LogOverview,
}

/// How much happened in the last 30 days.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogOverview {
    total_logs: i64,
    error_count: i64,
    user_activities: i64,
    /// Since midnight UTC.
    today_errors: i64,
    /// What the noted requests take on disk, for people.
    space_usage: String,
}

/// How much happened?
#[utoipa::path(
    get,
    path = "/logs/stats/overview",
    tag = "logs",
    responses((status = 200, description = "Numbers of the last 30 days", body = LogStats), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn overview(State(api): State<Arc<Api>>) -> Result<Json<LogStats>, ApiError> {
    let overview = api.activity.overview(clock::now()).await?;
    Ok(Json(LogStats {
        stats: LogOverview {
            total_logs: overview.total,
            error_count: overview.errors,
            user_activities: overview.user_activities,
            today_errors: overview.errors_today,
            space_usage: formatted(overview.bytes),
        },
    }))
}
