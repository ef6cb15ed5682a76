//! Who listens on this node, and the one place that hands them what happened.
//!
//! A frame is written as JSON once and shared by everybody who hears it; one that nobody hears is not written. Handing over
//! never waits: each listener has a bounded queue, and one whose queue is full is let go with a reason, so that it resumes
//! instead of missing something.
//!
//! The registry's lock also guards the position that was passed last: whoever joins learns exactly which facts will come
//! to the queue and which have to be read from the log. No fact is in both gaps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, QueryId, UserId};
use aggregates::recorded::{Event, Position, RecordedEvent};
use axum::body::Bytes;
use metrics::{counter, gauge};
use tokio::sync::SetOnce;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as WsFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use uuid::Uuid;

use super::fact::{Fact, Telling};
use super::frames::{Room, frames};
use super::mailbox::{Mailbox, Next, Outlet, Put};
use super::notice::{Notice, text_of};
use crate::accounts::DonorPrincipal;

pub use super::mailbox::QUEUE;

/// How many outlets are told one after the other. More are shared out, so that all cores write.
const SHARE: usize = 64;

/// A frame, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Where its fact stands in the log.
    pub position: Position,
    /// The JSON.
    pub text: Utf8Bytes,
    /// The JSON as a frame of a WebSocket.
    pub frame: Bytes,
    /// What the JSON tells, for mouths with words of their own.
    pub telling: Telling,
}

/// Everybody who listens on this node. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    registry: Arc<Mutex<Registry>>,
    /// The log's epoch, once listeners are let in.
    begun: Arc<SetOnce<Uuid>>,
}

/// One place at the hub; given up when dropped.
pub struct Listener {
    id: ListenerId,
    hub: Hub,
    mailbox: Arc<Mailbox>,
}

/// What a listener is sure of at the moment it joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Facts after this position come to the mailbox; facts up to it do not, or may be ignored there.
    pub passed: Position,
    /// The queries whose rooms the listener is in; empty for staff, who hear of all queries.
    pub rooms: Vec<QueryId>,
}

/// Why nothing more comes to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    /// Its mailbox was full.
    Slow,
    /// The node is stopping.
    Stopping,
}

type ListenerId = u64;

#[derive(Default)]
struct Registry {
    passed: Position,
    stopping: bool,
    next_id: ListenerId,
    listeners: HashMap<ListenerId, Entry>,
    staff: BTreeMap<ListenerId, UserId>,
    rooms: HashMap<QueryId, BTreeSet<ListenerId>>,
    donors: HashMap<DonorId, BTreeMap<ListenerId, DonorPrincipal>>,
}

/// What became of deliveries.
#[derive(Default)]
struct Handed {
    /// How many frames somebody has.
    count: u64,
    /// Those whose outlets are to be told.
    outlets: Vec<Arc<Mailbox>>,
    /// Those who did not keep up.
    slow: Vec<ListenerId>,
}

struct Entry {
    mailbox: Arc<Mailbox>,
    donor: Option<DonorId>,
    rooms: BTreeSet<QueryId>,
}

impl Delivery {
    /// A frame for everybody who may hear it.
    pub(super) fn new(position: Position, text: Utf8Bytes, telling: Telling) -> Self {
        let frame = WsFrame::message(text.clone(), OpCode::Data(Data::Text), true);
        let mut bytes = Vec::with_capacity(frame.len());
        frame.format(&mut bytes).expect("a vector takes whatever is written to it");
        Self { position, text, frame: bytes.into(), telling }
    }
}

impl Hub {
    /// A hub at which nothing has been said yet.
    #[allow(clippy::new_without_default, reason = "a hub is made once and on purpose")]
    pub fn new() -> Self {
        Self { registry: Arc::default(), begun: Arc::default() }
    }

    /// Lets listeners in: what happened up to a position has been said, what happens after it will be, of the log in an
    /// [epoch](crate::log::Log::epoch).
    pub fn begin(&self, epoch: Uuid, passed: Position) {
        self.lock().passed = passed;
        // A second beginning changes nothing for those who wait for the first.
        let _ = self.begun.set(epoch);
    }

    /// Waits for [`Self::begin`]. Answers the epoch.
    pub async fn begun(&self) -> Uuid {
        *self.begun.wait().await
    }

    /// Everything up to here has been handed to those who listen.
    pub fn passed(&self) -> Position {
        self.lock().passed
    }

    /// Whether the node is stopping.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Lets a staff member hear everything from now on, but for what others say to each other.
    pub fn join_staff(&self, member: UserId) -> (Listener, Joined) {
        let mut registry = self.lock();
        let (id, mailbox) = registry.enter(None);
        registry.staff.insert(id, member);
        let joined = Joined { passed: registry.passed, rooms: Vec::new() };
        (Listener { id, hub: self.clone(), mailbox }, joined)
    }

    /// Lets a donor hear the queries they open from now on; [`Listener::follow`] adds those they have.
    pub fn join_donor(&self, donor: DonorPrincipal) -> Listener {
        let mut registry = self.lock();
        let (id, mailbox) = registry.enter(Some(donor.donor_id.clone()));
        registry.donors.entry(donor.donor_id.clone()).or_default().insert(id, donor);
        Listener { id, hub: self.clone(), mailbox }
    }

    /// Hands a fact to everybody who may know it, and passes its position.
    pub fn deliver(&self, fact: &RecordedEvent) {
        let mut registry = self.lock();
        if let Event::DonorQuery(DonorQueryEvent::QueryOpened { donor_id, session, .. }) = &fact.event {
            registry.follow_opened(fact.query, |donor| donor.owns(donor_id, *session), donor_id);
        }
        let deliveries = registry.written(fact);
        let outlets = registry.pass(fact.position, deliveries);
        drop(registry);
        tell(outlets);
    }

    /// Tells everybody who might have heard a fact that it cannot be read, and passes its position.
    pub fn skip(&self, position: Position, query: QueryId) {
        let notice = Notice::Resync { head: position };
        let delivery = Arc::new(Delivery::new(position, notice.text(), Telling::Notice(notice)));
        let deliveries = vec![(Room::Staff, delivery.clone()), (Room::Query(query), delivery)];
        let outlets = self.lock().pass(position, deliveries);
        tell(outlets);
    }

    /// Lets everybody go because the node is stopping.
    pub fn stop(&self) {
        let mut registry = self.lock();
        registry.stopping = true;
        for (_, entry) in registry.listeners.drain() {
            entry.mailbox.close();
        }
        registry.staff.clear();
        registry.rooms.clear();
        registry.donors.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // Nothing under the lock can leave the registry half changed, so a panic elsewhere does not spoil it.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Adds the rooms of queries and says what is certain from now on.
    pub fn follow(&self, queries: &[QueryId]) -> Joined {
        let mut registry = self.hub.lock();
        for query in queries {
            registry.enter_room(self.id, *query);
        }
        let rooms = registry.listeners.get(&self.id).map(|entry| entry.rooms.iter().copied().collect());
        Joined { passed: registry.passed, rooms: rooms.unwrap_or_default() }
    }

    /// Waits for the next frame; says why if none will come. Loses nothing when cancelled.
    pub async fn next(&mut self) -> Result<Arc<Delivery>, Parted> {
        loop {
            match self.mailbox.take() {
                Next::Delivery(delivery) => return Ok(delivery),
                Next::End if self.hub.is_stopping() => return Err(Parted::Stopping),
                Next::End => return Err(Parted::Slow),
                Next::Nothing => self.mailbox.changed().await,
            }
        }
    }

    /// A frame that is waiting already.
    pub fn waiting(&mut self) -> Option<Arc<Delivery>> {
        match self.mailbox.take() {
            Next::Delivery(delivery) => Some(delivery),
            Next::Nothing | Next::End => None,
        }
    }

    /// Has what comes after a position told through an outlet, as long as that takes everything at once, unless something
    /// waits already. Whatever the listener took before was told.
    pub(super) fn attach(&self, outlet: &Arc<dyn Outlet>, after: Position) {
        self.mailbox.attach(outlet, after);
    }

    /// What comes waits again.
    pub(super) fn detach(&self) {
        self.mailbox.detach();
    }

    /// Everything up to here was told through an outlet, or before there was one.
    pub(super) fn told(&self) -> Position {
        self.mailbox.told()
    }
}

/// Tells through outlets what waits for them. Nobody waits for it; what comes meanwhile waits for the next turn, or goes
/// with this one.
fn tell(outlets: Vec<Arc<Mailbox>>) {
    let tell_all = |outlets: Vec<Arc<Mailbox>>| {
        for mailbox in outlets {
            mailbox.tell();
        }
    };
    if outlets.len() <= SHARE {
        return tell_all(outlets);
    }
    for share in outlets.chunks(SHARE).map(<[_]>::to_vec) {
        #[allow(clippy::disallowed_methods, reason = "it lasts for a few writes that do not wait")]
        tokio::spawn(async move { tell_all(share) });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.mailbox.close();
        self.hub.lock().leave(self.id);
    }
}

impl Registry {
    fn enter(&mut self, donor: Option<DonorId>) -> (ListenerId, Arc<Mailbox>) {
        let mailbox = Arc::<Mailbox>::default();
        let id = self.next_id;
        self.next_id += 1;
        if self.stopping {
            mailbox.close();
        } else {
            self.listeners.insert(id, Entry { mailbox: Arc::clone(&mailbox), donor, rooms: BTreeSet::new() });
        }
        (id, mailbox)
    }

    fn enter_room(&mut self, id: ListenerId, query: QueryId) {
        if let Some(entry) = self.listeners.get_mut(&id) {
            entry.rooms.insert(query);
            self.rooms.entry(query).or_default().insert(id);
        }
    }

    fn follow_opened(&mut self, query: QueryId, owns: impl Fn(&DonorPrincipal) -> bool, donor: &DonorId) {
        let Some(connected) = self.donors.get(donor) else { return };
        let owners: Vec<_> = connected.iter().filter(|(_, donor)| owns(donor)).map(|(id, _)| *id).collect();
        for id in owners {
            self.enter_room(id, query);
        }
    }

    /// What a fact says, for every room that somebody is in.
    fn written(&self, fact: &RecordedEvent) -> Vec<(Room, Arc<Delivery>)> {
        if self.listeners.is_empty() {
            return Vec::new();
        }
        let telling = Telling::Fact(Arc::new(Fact::new(fact.clone())));
        let delivery = |frame| Delivery::new(fact.position, text_of(&frame), telling.clone());
        let is_heard = |room: &Room| match room {
            Room::Staff | Room::Member(_) => !self.staff.is_empty(),
            Room::Query(query) => self.rooms.contains_key(query),
        };
        let heard = frames(fact).into_iter().filter(|(room, _)| is_heard(room));
        heard.map(|(room, frame)| (room, Arc::new(delivery(frame)))).collect()
    }

    /// Puts deliveries where they belong. Answers whose outlets are to be told, once nobody holds the registry.
    fn pass(&mut self, position: Position, deliveries: Vec<(Room, Arc<Delivery>)>) -> Vec<Arc<Mailbox>> {
        let mut handed = Handed::default();
        for (room, delivery) in deliveries {
            match room {
                Room::Staff => self.hand(self.staff.keys(), &delivery, &mut handed),
                Room::Member(meant) => {
                    // Few listen, and fewer chat: no index is worth its upkeep.
                    let own = self.staff.iter().filter(|(_, member)| **member == meant).map(|(id, _)| id);
                    self.hand(own, &delivery, &mut handed);
                }
                Room::Query(query) => self.hand(self.rooms.get(&query).into_iter().flatten(), &delivery, &mut handed),
            }
        }
        counter!("feed_frames_total").increment(handed.count);
        counter!("feed_slow_consumers_total", "at" => "hub").increment(handed.slow.len() as u64);
        for id in handed.slow {
            self.leave(id);
        }
        self.passed = self.passed.max(position);
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float; positions stay far below 2^53")]
        gauge!("feed_position").set(self.passed.0 as f64);
        handed.outlets
    }

    fn hand<'a>(&self, hearers: impl Iterator<Item = &'a ListenerId>, delivery: &Arc<Delivery>, handed: &mut Handed) {
        for id in hearers {
            let Some(entry) = self.listeners.get(id) else { continue };
            match entry.mailbox.put(delivery) {
                Put::Waits => handed.count += 1,
                Put::ForOutlet => {
                    handed.count += 1;
                    handed.outlets.push(Arc::clone(&entry.mailbox));
                }
                Put::Full => handed.slow.push(*id),
                // What is closed belongs to a listener that is being dropped and leaves by itself.
                Put::Known | Put::Closed => {}
            }
        }
    }

    fn leave(&mut self, id: ListenerId) {
        let Some(entry) = self.listeners.remove(&id) else { return };
        entry.mailbox.close();
        self.staff.remove(&id);
        for query in entry.rooms {
            if let Some(hearers) = self.rooms.get_mut(&query) {
                hearers.remove(&id);
                if hearers.is_empty() {
                    self.rooms.remove(&query);
                }
            }
        }
        if let Some(donor) = entry.donor
            && let Some(connected) = self.donors.get_mut(&donor)
        {
            connected.remove(&id);
            if connected.is_empty() {
                self.donors.remove(&donor);
            }
        }
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
