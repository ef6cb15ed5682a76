//! The only code that names NATS: one connection, the stream of facts, and signals that may get lost.
//!
//! JetStream distributes facts and keeps none: whatever it loses, doubles or delivers late is noticed by position and read
//! from PostgreSQL instead. So nothing here blocks a start or a command; while NATS is away every call fails at once.
//!
//! Works with nats-server 2.9 and later. Older servers ignore fields they do not know, so the `server_2_1x` features of
//! the client stay off and every configuration is read back ([`BusError::Mismatch`]).

mod feed;
mod publish;
mod seal;
mod signal;
mod stream;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use aggregates::recorded::Partition;
use async_nats::jetstream;
use async_nats::{ConnectOptions, Event, ServerAddr};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use self::feed::Sharing;
use crate::config::Secret;

pub use feed::{Delivery, Feed};
pub use publish::{MAX_WINDOW, Outgoing, Published, Stop};
pub use seal::Seal;
pub use signal::{Signal, Signals};
pub use stream::{LastMessage, StreamState};

/// How long one request to NATS may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The connection to NATS. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    client: async_nats::Client,
    context: jetstream::Context,
    prefix: Arc<str>,
    replicas: u8,
    seal: Seal,
    link: watch::Receiver<Link>,
    sharing: Sharing,
}

/// Whether NATS can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Connected now. If not, the client keeps trying in the background.
    pub up: bool,
    /// How often a connection was made. After another one, what was known about the server's state may be wrong.
    pub connects: u64,
}

/// Which facts a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them, in the order of the log.
    All,
    /// Those of one partition, in the order of the log.
    One(Partition),
}

/// Why NATS could not be used.
#[derive(Debug, Error)]
pub enum BusError {
    /// The configured address makes no sense. It may hold credentials, so it is not repeated.
    #[error("the address of NATS is not a list of nats:// addresses")]
    Address,
    /// The prefix cannot be part of a subject and of a stream's name.
    #[error("the NATS prefix {0:?} may only have letters, digits, - and _")]
    Prefix(String),
    /// There is no connection at the moment.
    #[error("NATS is not connected")]
    Disconnected,
    /// The server is from before what this service needs.
    #[error("nats-server {0} is older than 2.9")]
    ServerTooOld(String),
    /// The server has a stream or consumer of this name that is configured differently.
    #[error("{name} has {field} = {found}, not {wanted}")]
    Mismatch {
        /// The stream or consumer.
        name: String,
        /// What differs.
        field: &'static str,
        /// What this service needs.
        wanted: String,
        /// What the server says.
        found: String,
    },
    /// A request failed or was not answered in time.
    #[error("NATS could not {action}")]
    Failed {
        /// What was asked.
        action: &'static str,
        /// What the client library says.
        #[source]
        source: async_nats::Error,
    },
}

impl BusError {
    fn failed(action: &'static str) -> impl Fn(async_nats::Error) -> Self {
        move |source| Self::Failed { action, source }
    }
}

impl Bus {
    /// Connects in the background: returns at once, whether or not NATS is there, and reconnects for ever.
    ///
    /// `url` is one `nats://` address or several with commas, with the credentials in any of them; `prefix` begins every
    /// subject and name; `seal` marks what this node says, and what does not bear it is not believed.
    ///
    /// # Errors
    /// Only if the address or the prefix cannot be used.
    pub async fn connect(url: &Secret, prefix: &str, seal: Seal) -> Result<Self, BusError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if prefix.is_empty() || !prefix.chars().all(fits) {
            return Err(BusError::Prefix(prefix.to_owned()));
        }
        let addresses: Vec<ServerAddr> = url
            .expose()
            .split(',')
            .map(|part| part.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|_| BusError::Address)?;
        let (sender, link) = watch::channel(Link::default());
        let client = log_in(ConnectOptions::new(), &addresses)
            .name(prefix)
            .retry_on_initial_connect()
            .connection_timeout(REQUEST_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .ping_interval(Duration::from_secs(10))
            .subscription_capacity(8 * 1024)
            .reconnect_delay_callback(|attempt| Duration::from_millis((attempt as u64 * 50).min(1_000)))
            .event_callback(move |event| {
                notice(&sender, &event);
                std::future::ready(())
            })
            .connect(addresses)
            .await
            .map_err(|error| BusError::failed("connect")(error.into()))?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(2 * MAX_WINDOW)
            .build(client.clone());
        Ok(Self { client, context, prefix: prefix.into(), replicas: 1, seal, link, sharing: Sharing::default() })
    }

    /// The same connection; a stream that it makes is kept by this many servers of a cluster. One that exists keeps the
    /// copies it has.
    #[must_use]
    pub fn replicated(self, replicas: u8) -> Self {
        Self { replicas, ..self }
    }

    /// Whether NATS can be reached; changes with every disconnect and reconnect.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Whether NATS can be reached now.
    pub fn is_up(&self) -> bool {
        self.link.borrow().up
    }

    /// The server's version; `None` while there is no connection.
    pub fn server_version(&self) -> Option<String> {
        self.is_up().then(|| self.client.server_info().version)
    }

    fn require_up(&self) -> Result<(), BusError> {
        if !self.is_up() {
            return Err(BusError::Disconnected);
        }
        if !self.client.is_server_compatible(2, 9, 0) {
            return Err(BusError::ServerTooOld(self.client.server_info().version));
        }
        Ok(())
    }
}

/// The client reads credentials out of its options only and ignores those in an address (async-nats 0.51).
fn log_in(options: ConnectOptions, addresses: &[ServerAddr]) -> ConnectOptions {
    let found = addresses.iter().find_map(|address| address.username().zip(address.password()));
    match found {
        Some((user, password)) => options.user_and_password(user.to_owned(), password.to_owned()),
        None => options,
    }
}

/// Keeps [`Bus::link`] in step with the client. Addresses stay out of the log.
fn notice(link: &watch::Sender<Link>, event: &Event) {
    match event {
        Event::Connected => {
            link.send_modify(|link| *link = Link { up: true, connects: link.connects + 1 });
            info!("Connected to NATS");
        }
        Event::Disconnected | Event::Closed => {
            if link.send_if_modified(|link| std::mem::take(&mut link.up)) {
                warn!("Lost the connection to NATS");
            }
        }
        Event::SlowConsumer(_) => metrics::counter!("bus_slow_reader_total").increment(1),
        Event::LameDuckMode | Event::Draining => info!("The NATS server is shutting down"),
        Event::ServerError(error) => warn!(%error, "The NATS server reported an error"),
        Event::ClientError(error) => debug!(%error, "The NATS client reported an error"),
    }
}

/// Refuses what the server understood differently.
fn require_same(name: &str, field: &'static str, wanted: String, found: String) -> Result<(), BusError> {
    if wanted == found { Ok(()) } else { Err(BusError::Mismatch { name: name.to_owned(), field, wanted, found }) }
}
