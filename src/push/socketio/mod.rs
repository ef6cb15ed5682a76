//! The feed for clients of the old server: Socket.IO at both of its old paths, with its old events and new ones.
//!
//! A socket of the namespace `/notifications` is one [subscription](super::feed::Subscription), told by a task of its own
//! ([`teller`]) in the words of [`emissions`]. What a client says first is checked at the [`door`]; what it says later
//! decides which rooms it is in ([`session`]). There is no other namespace, so a connection that does not enter this one in
//! time is closed and gives its seat back.
//!
//! Every payload carries `position`. A client that comes back says in `auth` what it saw last (`after`) and which rooms it
//! was in (`queries`); it is told what it missed, then `resumed {from, to}`, or `resync {head}` if that was too much. The
//! events of one fact share a position and leave together. `position {position}` comes first and now and then, and
//! `closing {reason, resumeAfter, position}` last. The first of them, and `resumed`, also tell the `epoch` that `auth` may
//! have beside `after`: in another one, positions mean other facts, and the answer is `resync`.

mod door;
pub(super) mod emissions;
pub(super) mod rows;
mod session;
mod teller;

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use socketioxide::SocketIo;
use socketioxide::handler::ConnectHandler;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::warn;

use self::rows::Rows;
use super::Push;

/// Where clients look for it: those of the second generation, then those of the first.
const PATHS: [&str; 4] = ["/api/v1/socket.io", "/api/v1/socket.io/", "/socket.io", "/socket.io/"];

const NAMESPACE: &str = "/notifications";

/// How long a connection may take to enter the namespace.
const GREETING: Duration = Duration::from_secs(10);

/// What a client may send at once, in bytes.
const MESSAGE_BYTES: usize = 64 * 1024;

/// How much of a WebSocket is read at a time: clients say little, and each keeps a buffer of this size.
const READ_BYTES: usize = 1024;

/// How many packets wait for one socket, beside the facts that wait for its teller.
const PACKETS: usize = 128;

/// How long the goodbyes of a stopping node may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all sockets share. Cheap to clone.
#[derive(Clone)]
struct Mouth {
    push: Push,
    rows: Rows,
    tellers: TaskTracker,
}

/// The routes of Socket.IO, which end their connections when the node stops.
pub(super) fn routes(push: &Push) -> Router {
    let mouth = Mouth { push: push.clone(), rows: Rows::new(push.feed.reads.clone()), tellers: TaskTracker::new() };
    let (service, io) = SocketIo::builder()
        // The router knows the paths; behind it, every path is the right one.
        .req_path("/")
        .connect_timeout(GREETING)
        .max_payload(MESSAGE_BYTES as u64)
        .ws_max_message_size(MESSAGE_BYTES)
        .ws_max_frame_size(MESSAGE_BYTES)
        .max_buffer_size(PACKETS)
        .ws_read_buffer_size(READ_BYTES)
        .with_state(mouth.clone())
        .build_svc();
    io.ns(NAMESPACE, teller::begin.with(door::admit));
    push.tracker.spawn(end(io, mouth));
    let routes = PATHS.iter().fold(Router::new(), |routes, path| routes.route_service(path, service.clone()));
    routes.route_layer(from_fn_with_state(push.clone(), door::take_seat))
}

/// Waits for the node to stop, lets every socket say goodbye, and closes what is left: closed connections come back by
/// themselves, to another node.
async fn end(io: SocketIo, mouth: Mouth) {
    mouth.push.stop.cancelled().await;
    mouth.tellers.close();
    let ended = timeout(FAREWELL, mouth.tellers.wait()).await;
    let closed = timeout(FAREWELL, io.close()).await;
    if ended.is_err() || closed.is_err() {
        warn!("Some Socket.IO clients did not take their leave within {FAREWELL:?}");
    }
}
