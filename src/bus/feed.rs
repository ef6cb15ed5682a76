//! The facts as they are published, for every reader of a node: they hear one [`Subscription`] together, so that each fact
//! is received, checked and read once, however many want it.
//!
//! Nobody waits for a reader that falls behind: it is told that it missed something, and finds out by position what. The
//! feeds end with the subscription, and whoever opens the next one opens it for all.

use std::sync::{Arc, Weak};

use aggregates::recorded::{PARTITIONS, Partition, Position, StoredEvent};
use async_nats::Message;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Mutex, broadcast};
use tokio_util::task::AbortOnDropHandle;

use super::publish::{POSITION, PREVIOUS};
use super::subscription::{Subscription, header};
use super::{Bus, BusError, Scope};

/// How many facts may wait for a reader of all of them.
const ALL_WAITING: usize = 4_096;

/// How many facts may wait for a reader of one partition.
const ONE_WAITING: usize = 512;

/// What came from the stream.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A fact.
    Fact {
        /// Its place in the log.
        position: Position,
        /// The place of the fact before it in the same partition; [`Position::START`] if there is none.
        previous: Position,
        /// The fact; `None` if it has to be read from the log.
        event: Option<Arc<StoredEvent>>,
    },
    /// A message that does not bear the seal: it tells nothing but that somebody published.
    Forged,
    /// The reader was too slow, and some facts are gone.
    Missed,
}

/// Facts as they are published, until something goes wrong.
pub struct Feed {
    heard: broadcast::Receiver<Delivery>,
    /// Ends with the last feed.
    _source: Arc<Source>,
}

/// Where the feeds of a node come from; nowhere while there is none.
pub(super) type Sharing = Arc<Mutex<Weak<Source>>>;

/// A subscription that is being listened to.
pub(super) struct Source {
    /// Gone when the subscription is.
    rings: Weak<Rings>,
    _listening: AbortOnDropHandle<()>,
}

/// What waits for readers.
struct Rings {
    all: broadcast::Sender<Delivery>,
    partitions: Vec<broadcast::Sender<Delivery>>,
}

impl Bus {
    /// Opens a feed of the facts that are published from now on.
    ///
    /// # Errors
    /// [`BusError::Mismatch`] if the server understood the request differently.
    #[allow(clippy::disallowed_methods, reason = "the task ends with the last feed, which somebody holds")]
    pub async fn open_feed(&self, scope: Scope) -> Result<Feed, BusError> {
        // Whoever comes while somebody subscribes waits and gets the same.
        let mut sharing = self.sharing.lock().await;
        if let Some(feed) = sharing.upgrade().and_then(|source| source.feed(scope)) {
            return Ok(feed);
        }
        let subscription = self.subscribe_to_facts().await?;
        let rings = Arc::new(Rings::new());
        let heard = rings.of(scope).subscribe();
        let source = Source {
            rings: Arc::downgrade(&rings),
            _listening: AbortOnDropHandle::new(tokio::spawn(listen(self.clone(), subscription, rings))),
        };
        let source = Arc::new(source);
        *sharing = Arc::downgrade(&source);
        Ok(Feed { heard, _source: source })
    }

    /// Believes a message that bears the seal.
    fn read(&self, message: &Message) -> Delivery {
        let number = |name| header(message.headers.as_ref(), name)?.parse().ok().map(Position);
        match (number(POSITION), number(PREVIOUS)) {
            (Some(position), Some(previous)) if self.is_sealed(message.headers.as_ref(), &message.payload) => {
                let event = serde_json::from_slice(&message.payload).ok().map(Arc::new);
                Delivery::Fact { position, previous, event }
            }
            (Some(_) | None, _) => Delivery::Forged,
        }
    }
}

/// Hands on what comes until nothing comes any more.
async fn listen(bus: Bus, mut subscription: Subscription, rings: Arc<Rings>) {
    while let Some(first) = subscription.next().await {
        let mut next = Some(first);
        while let Some(message) = next {
            let partition = bus.partition_of(&message.subject);
            rings.tell(partition, || bus.read(&message));
            next = subscription.next_now();
        }
    }
}

impl Source {
    /// One more feed, unless the subscription is over.
    fn feed(self: Arc<Self>, scope: Scope) -> Option<Feed> {
        let heard = self.rings.upgrade()?.of(scope).subscribe();
        Some(Feed { heard, _source: self })
    }
}

impl Rings {
    fn new() -> Self {
        let sender = |waiting| broadcast::Sender::new(waiting);
        Self { all: sender(ALL_WAITING), partitions: (0..PARTITIONS).map(|_| sender(ONE_WAITING)).collect() }
    }

    fn of(&self, scope: Scope) -> &broadcast::Sender<Delivery> {
        match scope {
            Scope::All => &self.all,
            Scope::One(Partition(number)) => &self.partitions[usize::from(number)],
        }
    }

    /// Hands what was published under the subject of a partition to those who want it. It is read if there are any.
    fn tell(&self, partition: Option<Partition>, read: impl FnOnce() -> Delivery) {
        let of_partition = partition.and_then(|partition| self.partitions.get(usize::from(partition.0)));
        let wanted = || [Some(&self.all), of_partition].into_iter().flatten().filter(|ring| ring.receiver_count() > 0);
        if wanted().next().is_none() {
            return;
        }
        let delivery = read();
        for ring in wanted() {
            // Whoever left meanwhile needs nothing.
            let _ = ring.send(delivery.clone());
        }
    }
}

impl Feed {
    /// The next fact; `None` when the feed is over. Can be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Option<Delivery> {
        match self.heard.recv().await {
            Ok(delivery) => Some(delivery),
            Err(RecvError::Lagged(_)) => Some(Delivery::Missed),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next fact if it has arrived already.
    pub fn next_now(&mut self) -> Option<Delivery> {
        match self.heard.try_recv() {
            Ok(delivery) => Some(delivery),
            Err(TryRecvError::Lagged(_)) => Some(Delivery::Missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
