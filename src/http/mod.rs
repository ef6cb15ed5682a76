//! The REST API of the wire contract: one endpoint per file; the route table says who may call what.
//!
//! To add an endpoint: a handler with its `#[utoipa::path]` beside its likes, its line in [`routes`], and its name in the
//! `routes` function of its folder. The tests tell if one of the three is missing.

mod answer;
pub mod auth;
mod body;
mod communication;
mod deliveries;
mod donor_queries;
mod errand;
pub mod error;
mod freshness;
pub mod health;
mod idempotency;
mod joining;
mod layers;
mod lenient;
pub mod limits;
mod login;
mod logs;
mod lookups;
mod messages;
mod openapi;
mod outbox;
pub mod routes;
mod rules;
mod stand_in;
mod trail;
mod users;
mod views;
mod vitals;
mod webhooks;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_request};
use metrics_exporter_prometheus::PrometheusHandle;
use projections::ReadPool;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::warn;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::health::Probe;
use self::limits::Limits;
use crate::accounts::Accounts;
use crate::accounts::devices::Devices;
use crate::activity::{Activity, Recorder};
use crate::config::{Config, DonorAccess};
use crate::dispatch::Dispatcher;
use crate::integrations::Outbox;
use crate::integrations::calls::CallRooms;
use crate::log::Log;
use crate::projector::Freshness;
use crate::reactions::Deliveries;

pub use self::layers::{ClientAddress, RequestId};
pub use self::lookups::Lookups;

/// The most bytes of a body, as in the old system.
const BODY_LIMIT: usize = 100 * 1024;

/// Everything the endpoints work with.
pub struct Api {
    /// Carries out commands.
    pub dispatcher: Dispatcher,
    /// Hands out ids and keeps answers.
    pub log: Log,
    /// How far the read models are.
    pub freshness: Freshness,
    /// Staff accounts and tokens.
    pub accounts: Accounts,
    /// Where pushes go.
    pub devices: Devices,
    /// What happened at the desk, to be read.
    pub activity: Activity,
    /// What happens at the desk, to be noted.
    pub recorder: Recorder,
    /// Rooms for calls.
    pub rooms: CallRooms,
    /// What was told outside the desk.
    pub deliveries: Deliveries,
    /// What would have been sent if there were keys for it.
    pub outbox: Outbox,
    /// Connections whose `search_path` begins with the read models' schema.
    pub reads: ReadPool,
    /// What nearly every answer shows, for all requests at once.
    pub lookups: Lookups,
    /// The settings.
    pub config: Arc<Config>,
    /// How much one caller may ask for.
    pub limits: Limits,
    /// What the health report asks about, beside the log and the read models.
    pub probes: Vec<Probe>,
    /// What `/metrics` tells.
    pub metrics: PrometheusHandle,
    /// When this node started.
    pub started: Instant,
    /// Cancelled when this node is about to stop: it is not ready any more, and asks clients to connect elsewhere.
    pub leaving: CancellationToken,
}

/// The whole HTTP service. `feed` holds the routes of the live feed: they share the outer layers, but not the table of
/// routes (they check their own tokens) nor the time limit. `described` is their part of the API's description.
pub fn router(api: Arc<Api>, feed: Router, described: OpenApi) -> Router {
    if api.config.donor_access == DonorAccess::Open {
        warn!("Donors need no token: whoever knows a donor's id can read and close that donor's queries");
    }
    let roles = api.config.roles;
    // A node that serves no API still says how it is.
    let (routes, feed) = if roles.api { (rest(), feed) } else { (health::routes(), Router::new()) };
    let rest = Router::from(routes)
        .route_layer(from_fn_with_state(Arc::clone(&api), layers::attend))
        .with_state(Arc::clone(&api));
    let served = rest
        .merge(openapi::pages(openapi(described)))
        .merge(feed)
        .fallback(layers::no_such_route)
        .method_not_allowed_fallback(layers::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(layers::panicked));
    // A router of its own, because a path has to be spelled before it is routed.
    Router::new()
        .fallback_service(served)
        .layer(map_request(layers::spell))
        .layer(layers::cors(&api.config))
        .layer(from_fn_with_state(api, layers::identify))
}

/// The API's description, without a running service. `feed` describes the routes of the live feed.
pub fn openapi(feed: OpenApi) -> OpenApi {
    let mut document = rest().into_openapi();
    document.merge(feed);
    openapi::complete(&mut document);
    document
}

fn rest() -> OpenApiRouter<Arc<Api>> {
    let versioned = OpenApiRouter::new()
        .merge(login::routes())
        .merge(users::routes())
        .merge(logs::routes())
        .merge(donor_queries::routes())
        .merge(messages::routes())
        .merge(communication::routes())
        .merge(deliveries::routes())
        .merge(webhooks::routes())
        .merge(outbox::routes());
    OpenApiRouter::new().merge(health::routes()).merge(stand_in::routes()).nest("/api/v1", versioned)
}
