//! The live feed: every fact, numbered, to those who may know it, as soon as a read would show it.
//!
//! One walker per node follows the log and hands frames to the [`hub`]; four mouths (WebSocket, server-sent events, pages, Socket.IO)
//! tell them to clients through one kind of [subscription](feed::Subscription). Sockets lose messages, a numbered feed does
//! not: a client that lost its connection, or did not keep up, comes back with the position it saw last.

mod caller;
mod error;
pub mod fact;
pub mod feed;
pub mod frames;
mod handshake;
pub mod hub;
mod mailbox;
pub mod notice;
mod page;
mod seats;
mod socketio;
mod sse;
mod ticket;
mod walker;
mod wire;
mod ws;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::OpenApi;

use self::caller::Caller;
use self::feed::Feed;
use self::hub::Hub;
use self::seats::Seats;
use self::walker::Walker;
use crate::accounts::Accounts;
use crate::bus::Bus;
use crate::config::DonorAccess;
use crate::log::Log;
use crate::projector::Freshness;

pub use self::seats::SeatLimits;

/// How many replays read at a time.
const REPLAYS_AT_ONCE: usize = 4;

/// The feed of this node. Cheap to clone.
#[derive(Clone)]
pub struct Push {
    feed: Feed,
    seats: Seats,
    trusted_proxies: usize,
    donor_access: DonorAccess,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// What the feed tells about.
pub struct Sources {
    /// The facts.
    pub log: Log,
    /// The news of them.
    pub bus: Bus,
    /// How far the read models are.
    pub freshness: Freshness,
    /// Who may hear what.
    pub accounts: Accounts,
    /// The read models.
    pub reads: PgPool,
}

/// What the feed allows.
#[derive(Clone, Copy, Debug)]
pub struct PushSettings {
    /// How many facts a client may have missed before it is told to resync.
    pub replay_limit: i64,
    /// How many last entries of `X-Forwarded-For` come from proxies that are ours.
    pub trusted_proxies: usize,
    /// Whether a donor may hear a query by naming who asked it.
    pub donor_access: DonorAccess,
    /// How many feeds may be open at a time.
    pub seats: SeatLimits,
}

#[derive(OpenApi)]
#[openapi(
    paths(ws::ws, sse::stream, ticket::ticket, page::page),
    components(schemas(frames::Frame, notice::Notice, error::ErrorBody)),
    tags((name = "feed", description = "Every fact, numbered, as it happens"))
)]
struct Document;

impl Push {
    /// Starts to walk along the log. Clients are let in as soon as the read models have caught up; when `stop` fires they
    /// are told to come back later, and `tracker` knows when the last has gone.
    pub fn start(sources: Sources, settings: PushSettings, tracker: &TaskTracker, stop: &CancellationToken) -> Self {
        let Sources { log, bus, freshness, accounts, reads } = sources;
        let hub = Hub::new();
        let walker = Walker { log: log.clone(), bus, freshness, hub: hub.clone() };
        tracker.spawn(walker.run(stop.clone()));
        let replays = Arc::new(Semaphore::new(REPLAYS_AT_ONCE));
        Self {
            feed: Feed { log, hub, accounts, reads, replay_limit: settings.replay_limit, replays },
            seats: Seats::new(settings.seats),
            trusted_proxies: settings.trusted_proxies,
            donor_access: settings.donor_access,
            tracker: tracker.clone(),
            stop: stop.clone(),
        }
    }

    /// The hub of this node, for other mouths and for tests.
    pub fn hub(&self) -> &Hub {
        &self.feed.hub
    }
}

/// The routes of the feed. Time-outs and compression must not wrap them. To be called where tasks can be spawned.
pub fn router(push: Push) -> Router {
    let socketio = socketio::routes(&push);
    Router::new()
        .route("/api/v1/ws", get(ws::ws))
        .route("/api/v1/events", get(page::page))
        .route("/api/v1/events/stream", get(sse::stream))
        .route("/api/v1/events/ticket", post(ticket::ticket))
        .with_state(push)
        .merge(socketio)
}

/// The routes of the feed, described; they name the security schemes `staff` and `donor`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
