//! The server: accepts connections, as many as are good for the desk, and ends those that have nothing to say.
//!
//! A connection costs memory and a file descriptor whether or not it asks for anything. So the head of a request has to
//! come in time, the first one as well as the next one on a connection that is kept alive; and an address, and all of
//! them together, may only have so many connections. Answers may take as long as they like: streams and long polls are
//! bounded where they are served, a WebSocket by the feed, to which it belongs from its upgrade on.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::{ConnectInfo, IntoMakeServiceWithConnectInfo};
use axum::middleware::AddExtension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, warn};

use crate::config::Config;
use crate::network;

/// How long the head of a request may take, and how long a connection may be silent before it.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait after a connection could not be accepted, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(250);

/// How long after the stop those who are connected may still ask.
const LAST_CALL: Duration = Duration::from_millis(100);

/// A router that tells its handlers who is asking.
type Routes = AddExtension<Router, ConnectInfo<SocketAddr>>;

/// How much clients may hold open.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long the head of a request may take, counted from the connection or from the answer before it.
    pub head_patience: Duration,
    /// How long after the stop those who are connected may still ask: what they sent was under way, and a connection that is
    /// closed upon a request cannot say that nothing came of it.
    pub last_call: Duration,
    /// Connections; 0 for any number.
    pub connections: usize,
    /// Connections of one address, of one /64 in IPv6; 0 for any number.
    pub connections_per_address: usize,
}

impl Bounds {
    /// As configured. Behind proxies of ours every connection comes from them, and addresses are not counted.
    pub fn new(config: &Config) -> Self {
        let limits = config.limits;
        let connections_per_address = if config.trusted_proxies == 0 { limits.connections_per_address } else { 0 };
        Self {
            head_patience: HEAD_PATIENCE,
            last_call: LAST_CALL,
            connections: limits.connections,
            connections_per_address,
        }
    }
}

/// Serves until the stop, then lets requests in flight end. Nobody is let in any more once the last listener is dropped;
/// so that nobody tries, the router should have asked clients to leave for a while before.
pub async fn run(listener: Arc<TcpListener>, router: Router, bounds: Bounds, stop: CancellationToken) {
    let (connections, places) = (TaskTracker::new(), Places::new(bounds));
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(bounds.head_patience);
    let mut clients = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut is_failing = false;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, peer)) => {
                is_failing = false;
                let Some(place) = places.take(peer.ip()) else { continue };
                let routes = routes_for(&mut clients, peer).await;
                let stop = last_call(stop.clone(), bounds.last_call);
                connections.spawn(converse(protocol.clone(), socket, routes, place, stop));
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if !is_failing {
                    warn!(error = %error, "Connections cannot be accepted at the moment");
                }
                is_failing = true;
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn routes_for(clients: &mut IntoMakeServiceWithConnectInfo<Router, SocketAddr>, peer: SocketAddr) -> Routes {
    let Ok(routes) = clients.call(peer).await;
    routes
}

/// Waits until those who are connected had their time after the stop.
async fn last_call(stop: CancellationToken, patience: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(patience).await;
}

/// Answers one client until one side has enough. Small frames leave at once (no Nagle delay).
async fn converse(
    protocol: http1::Builder,
    socket: TcpStream,
    routes: Routes,
    _place: Place,
    stop: impl Future<Output = ()>,
) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(error = %error, "A connection keeps Nagle's delay");
    }
    let connection = protocol.serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes));
    let mut connection = pin!(connection.with_upgrades());
    let ended = tokio::select! {
        // A request that is there already goes before the end.
        biased;
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error = %error, "A connection ended");
    }
}

/// Whether the client gave up between its call and our answer: nothing is wrong here.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Counts open connections.
struct Places {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    /// Has no zeros: whoever left is forgotten.
    by_address: HashMap<IpAddr, usize>,
}

/// The right to keep one connection open; given back when dropped.
struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, taken: Mutex::default() })
    }

    fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let address = network::household(peer.to_canonical());
        let mut taken = self.taken();
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        let is_full = |count, bound| bound != 0 && count >= bound;
        let bound = if is_full(of_address, self.bounds.connections_per_address) {
            Some("address")
        } else {
            is_full(taken.total, self.bounds.connections).then_some("node")
        };
        if let Some(bound) = bound {
            counter!("http_connections_refused_total", "bound" => bound).increment(1);
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, of_address + 1);
        Some(Place { places: Arc::clone(self), address })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total -= 1;
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::{Bounds, Places};

    fn places(connections: usize, connections_per_address: usize) -> std::sync::Arc<Places> {
        Places::new(Bounds {
            head_patience: Duration::MAX,
            last_call: Duration::ZERO,
            connections,
            connections_per_address,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let places = places(0, 2);
        let (first, second) = (places.take(address("10.0.0.1")), places.take(address("::ffff:10.0.0.1")));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(address("10.0.0.1")).is_none());
        assert!(places.take(address("10.0.0.2")).is_some());
        drop(first);
        assert!(places.take(address("10.0.0.1")).is_some());
        drop(second);
        assert!(places.taken().by_address.is_empty());
    }

    #[test]
    fn all_together_have_no_more_than_the_node() {
        let places = places(2, 0);
        let taken = ["10.0.0.1", "10.0.0.1"].map(|text| places.take(address(text)));
        assert!(taken.iter().all(Option::is_some));
        assert!(places.take(address("10.0.0.2")).is_none());
        drop(taken);
        assert!(places.take(address("10.0.0.2")).is_some());
    }
}
