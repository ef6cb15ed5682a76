//! What waits for one listener, and the short way to them.
//!
//! A task that is woken to write one frame costs as much as the frame. So a listener that waits may leave an [`Outlet`]:
//! what comes is then told through it by whoever delivers, in its order, and nobody is woken. An outlet that cannot take
//! something at once is let go, and the listener goes on by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregates::recorded::Position;
use tokio::sync::Notify;

use super::hub::Delivery;

/// How many frames may wait for one listener.
pub const QUEUE: usize = 256;

/// Takes deliveries without waiting.
pub(super) trait Outlet: Send + Sync {
    /// Takes all of these, or none because it cannot now.
    fn offer(&self, deliveries: &[Arc<Delivery>]) -> bool;
}

/// The deliveries that wait for one listener.
#[derive(Default)]
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    news: Notify,
}

#[derive(Default)]
struct Inbox {
    waiting: VecDeque<Arc<Delivery>>,
    outlet: Option<Arc<dyn Outlet>>,
    /// Everything up to here was told: through an outlet, or before it came.
    told: Position,
    is_closed: bool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits, and the listener was woken.
    Waits,
    /// It waits for [`Mailbox::tell`].
    ForOutlet,
    /// It was told before it came, or waits already.
    Known,
    /// Too many wait.
    Full,
    /// Nobody will take it.
    Closed,
}

/// What waits for a listener.
pub(super) enum Next {
    /// This.
    Delivery(Arc<Delivery>),
    /// Nothing yet.
    Nothing,
    /// Nothing more.
    End,
}

impl Mailbox {
    /// Adds a delivery.
    pub(super) fn put(&self, delivery: &Arc<Delivery>) -> Put {
        let mut inbox = self.inbox();
        if inbox.is_closed {
            return Put::Closed;
        }
        let known = inbox.waiting.back().map_or(inbox.told, |last| last.position);
        if delivery.position <= known {
            return Put::Known;
        }
        if inbox.waiting.len() >= QUEUE {
            return Put::Full;
        }
        inbox.waiting.push_back(Arc::clone(delivery));
        if inbox.outlet.is_some() {
            return Put::ForOutlet;
        }
        drop(inbox);
        self.news.notify_one();
        Put::Waits
    }

    /// Tells what waits through the outlet. Without one, the listener knows of what waits. Whoever delivers meanwhile waits
    /// for one write that does not wait itself.
    pub(super) fn tell(&self) {
        let mut inbox = self.inbox();
        let Inbox { waiting, outlet, told, .. } = &mut *inbox;
        let Some(way) = outlet.as_ref() else { return };
        let Some(last) = waiting.back().map(|last| last.position) else { return };
        if way.offer(waiting.make_contiguous()) {
            *told = last;
            waiting.clear();
        } else {
            *outlet = None;
            drop(inbox);
            self.news.notify_one();
        }
    }

    /// Takes what waits first. The outlet is let go with it: nothing may be told before this.
    pub(super) fn take(&self) -> Next {
        let mut inbox = self.inbox();
        match inbox.waiting.pop_front() {
            Some(delivery) => {
                inbox.outlet = None;
                Next::Delivery(delivery)
            }
            None if inbox.is_closed => Next::End,
            None => Next::Nothing,
        }
    }

    /// Waits until something may have changed since the last [`Self::take`].
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// From now on tells what comes after a position through an outlet, unless something waits.
    pub(super) fn attach(&self, outlet: &Arc<dyn Outlet>, after: Position) {
        let mut inbox = self.inbox();
        inbox.told = inbox.told.max(after);
        if inbox.waiting.is_empty() && !inbox.is_closed && inbox.outlet.is_none() {
            inbox.outlet = Some(Arc::clone(outlet));
        }
    }

    /// Nothing is told through the outlet any more.
    pub(super) fn detach(&self) {
        self.inbox().outlet = None;
    }

    /// Everything up to here was told through an outlet, or before there was one.
    pub(super) fn told(&self) -> Position {
        self.inbox().told
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        let mut inbox = self.inbox();
        inbox.is_closed = true;
        inbox.outlet = None;
        drop(inbox);
        self.news.notify_one();
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Nothing under the lock can leave it half changed, so a panic elsewhere does not spoil it.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::fact::Telling;
    use crate::push::notice::Notice;

    /// Takes so many deliveries and no more.
    struct Room {
        left: Mutex<usize>,
        taken: Mutex<Vec<i64>>,
    }

    impl Outlet for Room {
        fn offer(&self, deliveries: &[Arc<Delivery>]) -> bool {
            let mut left = self.left.lock().expect("nobody panics");
            let Some(after) = left.checked_sub(deliveries.len()) else { return false };
            *left = after;
            self.taken.lock().expect("nobody panics").extend(deliveries.iter().map(|delivery| delivery.position.0));
            true
        }
    }

    fn room(left: usize) -> (Arc<Room>, Arc<dyn Outlet>) {
        let room = Arc::new(Room { left: Mutex::new(left), taken: Mutex::default() });
        let outlet: Arc<dyn Outlet> = Arc::clone(&room) as _;
        (room, outlet)
    }

    fn taken(room: &Room) -> Vec<i64> {
        room.taken.lock().expect("nobody panics").clone()
    }

    fn delivery(position: i64) -> Arc<Delivery> {
        let notice = Notice::Resync { head: Position(position) };
        Arc::new(Delivery::new(Position(position), notice.text(), Telling::Notice(notice)))
    }

    fn waiting(mailbox: &Mailbox) -> Vec<i64> {
        std::iter::from_fn(|| match mailbox.take() {
            Next::Delivery(delivery) => Some(delivery.position.0),
            Next::Nothing | Next::End => None,
        })
        .collect()
    }

    #[tokio::test]
    async fn nobody_is_woken_for_what_an_outlet_takes() {
        let (mailbox, (room, outlet)) = (Mailbox::default(), room(9));
        mailbox.attach(&outlet, Position(0));
        assert_eq!(mailbox.put(&delivery(1)), Put::ForOutlet);
        assert_eq!(mailbox.put(&delivery(2)), Put::ForOutlet);
        mailbox.tell();
        assert_eq!((taken(&room), mailbox.told(), waiting(&mailbox)), (vec![1, 2], Position(2), vec![]));
        let news = mailbox.changed();
        tokio::select! {
            biased;
            () = news => panic!("there is no news"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn what_an_outlet_cannot_take_waits_and_so_does_what_comes_after_it() {
        let (mailbox, (room, outlet)) = (Mailbox::default(), room(1));
        mailbox.attach(&outlet, Position(0));
        for position in 1..=2 {
            mailbox.put(&delivery(position));
            mailbox.tell();
        }
        mailbox.changed().await;
        *room.left.lock().expect("nobody panics") = 9;
        assert_eq!(mailbox.put(&delivery(3)), Put::Waits);
        mailbox.tell();
        mailbox.attach(&outlet, Position(0));
        mailbox.tell();
        assert_eq!((taken(&room), mailbox.told(), waiting(&mailbox)), (vec![1], Position(1), vec![2, 3]));
        mailbox.attach(&outlet, Position(0));
        assert_eq!(mailbox.put(&delivery(4)), Put::ForOutlet);
    }

    #[test]
    fn nothing_is_told_before_what_the_listener_took() {
        let (mailbox, (room, outlet)) = (Mailbox::default(), room(9));
        mailbox.attach(&outlet, Position(0));
        mailbox.put(&delivery(1));
        mailbox.put(&delivery(2));
        assert!(matches!(mailbox.take(), Next::Delivery(first) if first.position == Position(1)));
        mailbox.tell();
        assert_eq!((taken(&room), waiting(&mailbox)), (vec![], vec![2]));
    }

    #[test]
    fn nothing_is_told_that_was_told_before_it_came() {
        let (mailbox, (room, outlet)) = (Mailbox::default(), room(9));
        mailbox.attach(&outlet, Position(2));
        assert_eq!(mailbox.put(&delivery(2)), Put::Known);
        assert_eq!(mailbox.put(&delivery(3)), Put::ForOutlet);
        assert_eq!(mailbox.put(&delivery(3)), Put::Known);
        mailbox.tell();
        assert_eq!((taken(&room), mailbox.told(), waiting(&mailbox)), (vec![3], Position(3), vec![]));
    }

    #[test]
    fn a_closed_mailbox_gives_what_it_has_and_takes_nothing() {
        let (mailbox, (room, outlet)) = (Mailbox::default(), room(9));
        mailbox.attach(&outlet, Position(0));
        mailbox.put(&delivery(1));
        mailbox.close();
        mailbox.tell();
        assert_eq!(mailbox.put(&delivery(2)), Put::Closed);
        assert_eq!((taken(&room), waiting(&mailbox)), (vec![], vec![1]));
        assert!(matches!(mailbox.take(), Next::End));
    }
}
