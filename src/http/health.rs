//! Is the desk well? `/health*` for people and load balancers, `/metrics` for Prometheus, and the landing page.
//!
//! Nothing here calls out: every part tells what it knows already. What a part says in detail is for staff.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::error::ApiError;
use super::openapi::ReadErrors;
use super::views::Moment;
use super::vitals::{Cpu, Machine, Memory, Storage};
use super::{Api, vitals};
use crate::accounts::Principal;
use crate::clock;

/// How long PostgreSQL may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The part that read models are reported as.
const READ_MODELS: &str = "projector";

/// How many facts the read models may be behind before that is worth a warning.
const LAG_WARNING: i64 = 10_000;

/// How long a fact may wait for the read models before that is worth a warning.
const DELAY_WARNING: Duration = Duration::from_secs(10);

/// From which percentage on a disk is called full.
const FULL_DISK: u64 = 90;

/// A part of the service that says how it is, at once and from memory.
#[derive(Clone)]
pub struct Probe {
    /// The name of the part.
    pub name: &'static str,
    /// How it is.
    pub check: Arc<dyn Fn() -> Condition + Send + Sync>,
}

/// How a part of the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It works.
    Up,
    /// It works, but somebody should look.
    Warning(String),
    /// It does not work.
    Down(String),
}

/// The report of `/health` and `/health/advanced`.
#[derive(Debug, Serialize, ToSchema)]
struct Report {
    /// `ok`, `warning` or `error`.
    status: &'static str,
    /// The parts that work.
    #[schema(value_type = Object)]
    info: BTreeMap<&'static str, Value>,
    /// The parts that do not.
    #[schema(value_type = Object)]
    error: BTreeMap<&'static str, Value>,
    /// All of them; with words for staff.
    #[schema(value_type = Object)]
    details: BTreeMap<&'static str, Value>,
}

/// The answer of `/health/ping` and `/health/live`.
#[derive(Debug, Serialize, ToSchema)]
struct Alive {
    status: &'static str,
    timestamp: Moment,
    message: &'static str,
    #[schema(value_type = Object)]
    links: Value,
}

/// What the old system told about its process, as far as it means anything here.
#[derive(Debug, Serialize, ToSchema)]
struct Process {
    timestamp: Moment,
    /// Seconds since the start.
    uptime: u64,
    environment: String,
    memory: Memory,
    cpu: Option<Cpu>,
    os: Machine,
    #[schema(value_type = Object)]
    versions: Value,
    #[schema(value_type = Object)]
    positions: Value,
}

/// What a node serves that still waits for something: that it is alive, and for what it waits. Everything else is to be
/// asked again.
pub fn of_waiting(probes: Vec<Probe>) -> Router {
    let ready = async move || {
        let mut report = Report::new();
        for probe in &probes {
            report.add(probe.name, &(probe.check)(), false);
        }
        (StatusCode::SERVICE_UNAVAILABLE, Json(report))
    };
    Router::new()
        .route("/health", get(ready.clone()))
        .route("/health/ready", get(ready))
        .route("/health/ping", get(ping))
        .route("/health/live", get(live))
        .fallback(async || ApiError::Unavailable(None))
}

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(landing))
        .routes(routes!(health))
        .routes(routes!(ping))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(advanced))
        .routes(routes!(detailed))
        .routes(routes!(metrics))
}

/// Where am I?
#[utoipa::path(get, path = "/", tag = "health", responses((status = 200, description = "A page for people")))]
async fn landing() -> Html<&'static str> {
    Html(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Proof Concierge</title>\
         <h1>Proof Concierge</h1><p>A support desk where every step is a fact.</p>\
         <ul><li><a href=/api/docs/>API documentation</a><li><a href=/api/openapi.json>OpenAPI description</a>\
         <li><a href=/health>Health</a></ul></html>",
    )
}

/// How is the desk?
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses((status = 200, description = "JSON if asked for, else a page; also when something is wrong", body = Report))
)]
async fn health(State(api): State<Arc<Api>>, caller: Caller, headers: HeaderMap) -> Response {
    shown(&headers, &report(&api, is_staff(&caller)).await)
}

/// How is the desk, and how much is there to do?
#[utoipa::path(
    get,
    path = "/health/advanced",
    tag = "health",
    responses((status = 200, description = "JSON if asked for, else a page; also when something is wrong", body = Report))
)]
async fn advanced(State(api): State<Arc<Api>>, caller: Caller, headers: HeaderMap) -> Response {
    let is_staff = is_staff(&caller);
    let mut report = report(&api, is_staff).await;
    let (condition, count) = match projections::board::snapshot(&api.reads).await {
        Ok(board) => (Condition::Up, Some(board.total())),
        Err(_) => (Condition::Down("the read models do not answer".to_owned()), None),
    };
    report.add("donor_queries", &condition, is_staff);
    if let (Some(count), true, Some(Value::Object(details))) =
        (count, is_staff, report.details.get_mut("donor_queries"))
    {
        details.insert("queryCount".to_owned(), json!(count));
    }
    report.carrier("firebase", api.config.push.is_local());
    report.remark("frontend", json!({ "status": "unknown", "message": "not asked: a report calls nobody" }));
    shown(&headers, &report)
}

/// Is anybody there?
#[utoipa::path(get, path = "/health/ping", tag = "health", responses((status = 200, description = "Yes", body = Alive)))]
async fn ping() -> Json<Alive> {
    alive()
}

/// Does the process run? For whoever restarts it.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, description = "Yes", body = Alive)))]
async fn live() -> Json<Alive> {
    alive()
}

/// Can the desk be used? For whoever sends it traffic.
///
/// A read model that is stopped is a warning here and an error in `/health`: it is stopped on every node, reads answer what
/// they know, commands are carried out, and nobody would be helped by turning everybody away.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, description = "Yes", body = Report),
        (status = 503, description = "No; the names of what is wrong", body = Report)
    )
)]
async fn ready(State(api): State<Arc<Api>>) -> Response {
    let mut report = report(&api, false).await;
    report.excuse(READ_MODELS);
    if api.leaving.is_cancelled() {
        report.add("node", &Condition::Down("about to stop".to_owned()), false);
    }
    let status = if report.error.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

/// What runs here?
#[utoipa::path(
    get,
    path = "/health/advanced/detailed",
    tag = "health",
    responses((status = 200, description = "Versions and positions", body = Process), ReadErrors),
    security(("staff" = []))
)]
async fn detailed(State(api): State<Arc<Api>>) -> Json<Process> {
    let head = api.log.head().await.ok().map(|head| head.0);
    Json(Process {
        timestamp: Moment(clock::now()),
        uptime: api.started.elapsed().as_secs(),
        environment: api.config.environment.clone(),
        memory: Memory::read(),
        cpu: Cpu::read(),
        os: Machine::read(),
        versions: json!({ "concierge": env!("CARGO_PKG_VERSION") }),
        positions: json!({ "log": head, "readModels": api.freshness.applied().0 }),
    })
}

/// Numbers for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain"))
)]
async fn metrics(State(api): State<Arc<Api>>) -> Response {
    api.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], api.metrics.render()).into_response()
}

fn is_staff(caller: &Caller) -> bool {
    matches!(caller.0, Some(Principal::Staff(_)))
}

fn alive() -> Json<Alive> {
    Json(Alive {
        status: "ok",
        timestamp: Moment(clock::now()),
        message: "pong",
        links: json!({
            "self": "/health/ping",
            "health": "/health",
            "advanced": "/health/advanced",
            "detailed": "/health/advanced/detailed",
        }),
    })
}

async fn report(api: &Api, with_words: bool) -> Report {
    let mut report = Report::new();
    let head = tokio::time::timeout(PATIENCE, api.log.head()).await.ok().and_then(Result::ok);
    let database = head.map_or_else(|| Condition::Down("PostgreSQL does not answer".to_owned()), |_| Condition::Up);
    report.add("database", &database, with_words);
    let delay =
        tokio::time::timeout(PATIENCE, api.freshness.delay()).await.ok().and_then(Result::ok).unwrap_or_default();
    report.add(READ_MODELS, &read_models(api, head.map_or(0, |head| head.0), delay), with_words);
    for probe in &api.probes {
        report.add(probe.name, &(probe.check)(), with_words);
    }
    if let Some(storage) = Storage::read() {
        report.storage(storage, with_words);
    }
    report.measure("memory_rss", vitals::resident_bytes(), with_words);
    report.measure("memory_heap", vitals::heap_bytes(), with_words);
    report.carrier("email_service", api.config.mail.is_local());
    report
}

fn read_models(api: &Api, head: i64, delay: Duration) -> Condition {
    let stopped = api.freshness.stopped();
    let behind = head - api.freshness.applied().0;
    if !stopped.is_empty() {
        Condition::Down(format!("{} partitions of the read models are stopped", stopped.len()))
    } else if behind > LAG_WARNING {
        Condition::Warning(format!("the read models are {behind} facts behind"))
    } else if delay > DELAY_WARNING {
        Condition::Warning(format!("a fact has waited {} s for the read models", delay.as_secs()))
    } else {
        Condition::Up
    }
}

impl Report {
    fn new() -> Self {
        Self { status: "ok", info: BTreeMap::new(), error: BTreeMap::new(), details: BTreeMap::new() }
    }

    /// Adds how much of something is in use, in bytes, if it is known.
    fn measure(&mut self, name: &'static str, used: Option<u64>, with_words: bool) {
        let Some(used) = used else { return };
        self.remark(name, json!({ "status": "up" }));
        if with_words {
            let message = format!("{} MiB in use", used >> 20);
            self.details.insert(name, json!({ "status": "up", "message": message, "used": used }));
        }
    }

    /// Adds how full the disk is. The desk's own data lie with PostgreSQL, so a full one says little about the desk.
    fn storage(&mut self, storage: Storage, with_words: bool) {
        let used = storage.used_percentage();
        let status = if used < FULL_DISK { "up" } else { "warning" };
        self.remark("storage", json!({ "status": status }));
        if with_words {
            let (total, free) = (storage.total, storage.free);
            let details = json!({
                "totalSpace": total, "freeSpace": free, "usedSpace": storage.used(), "usedPercentage": used,
            });
            let message = format!("{used} % of the disk is in use");
            self.details.insert("storage", json!({ "status": status, "message": message, "details": details }));
        }
    }

    /// Adds whether what goes out to people has somebody to carry it.
    fn carrier(&mut self, name: &'static str, is_local: bool) {
        self.remark(
            name,
            if is_local {
                json!({ "status": "warning", "message": "not configured" })
            } else {
                json!({ "status": "up" })
            },
        );
    }

    /// Adds what is worth knowing but says nothing about how the desk is.
    fn remark(&mut self, name: &'static str, detail: Value) {
        self.info.insert(name, json!({ "status": detail["status"] }));
        self.details.insert(name, detail);
    }

    /// Makes a warning of what is wrong with a part.
    fn excuse(&mut self, name: &'static str) {
        if self.error.remove(name).is_some() {
            self.status = if self.error.is_empty() { "warning" } else { "error" };
            self.remark(name, json!({ "status": "warning" }));
        }
    }

    fn add(&mut self, name: &'static str, condition: &Condition, with_words: bool) {
        let (word, message) = match condition {
            Condition::Up => ("up", None),
            Condition::Warning(message) => ("warning", Some(message)),
            Condition::Down(message) => ("down", Some(message)),
        };
        let mut detail = json!({ "status": word });
        if let Some(message) = message.filter(|_| with_words) {
            detail["message"] = json!(message);
        }
        match condition {
            Condition::Warning(_) if self.status == "ok" => self.status = "warning",
            Condition::Up | Condition::Warning(_) => {}
            Condition::Down(_) => self.status = "error",
        }
        let is_down = matches!(condition, Condition::Down(_));
        let side = if is_down { &mut self.error } else { &mut self.info };
        side.insert(name, json!({ "status": word }));
        self.details.insert(name, detail);
    }
}

/// JSON for whoever asks for it, a page for everybody else.
fn shown(headers: &HeaderMap, report: &Report) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") && !accepts.contains("application/json") {
        return Html(page(report)).into_response();
    }
    Json(report).into_response()
}

/// The report as a table. Nothing in it comes from outside.
fn page(report: &Report) -> String {
    let line = |(name, detail): (&&str, &Value)| {
        let status = detail["status"].as_str().unwrap_or_default();
        format!("<tr><td>{name}<td>{status}")
    };
    let lines: String = report.details.iter().map(line).collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Health</title><h1>{}</h1><table>{lines}</table></html>",
        report.status
    )
}

#[cfg(test)]
mod tests {
    use super::{Condition, Report};
    use crate::http::vitals::Storage;

    fn report(conditions: &[(&'static str, Condition)], with_words: bool) -> Report {
        let mut report = Report::new();
        for (name, condition) in conditions {
            report.add(name, condition, with_words);
        }
        report
    }

    #[test]
    fn the_worst_part_decides() {
        let down = Condition::Down("unreachable at 10.0.0.7".to_owned());
        let conditions =
            [("relay", down), ("database", Condition::Up), ("push", Condition::Warning("slow".to_owned()))];
        let report = report(&conditions, true);
        assert_eq!(report.status, "error");
        assert_eq!(report.error.keys().collect::<Vec<_>>(), [&"relay"]);
        assert_eq!(report.details["relay"]["message"], "unreachable at 10.0.0.7");
    }

    #[test]
    fn a_full_disk_is_worth_a_remark() {
        for (free, told) in [(11, "up"), (10, "warning")] {
            let mut report = report(&[], true);
            report.storage(Storage { total: 100, free }, true);
            assert_eq!((report.status, &report.details["storage"]["status"]), ("ok", &told.into()));
            assert_eq!(report.details["storage"]["details"]["freeSpace"], free);
        }
        let mut report = report(&[], false);
        report.storage(Storage { total: 100, free: 50 }, false);
        assert_eq!(report.details["storage"].get("details"), None);
    }

    #[test]
    fn what_is_wrong_in_detail_is_for_staff() {
        let report = report(&[("relay", Condition::Down("unreachable at 10.0.0.7".to_owned()))], false);
        assert!(!serde_json::to_string(&report).expect("plain data").contains("10.0.0.7"));
    }
}
