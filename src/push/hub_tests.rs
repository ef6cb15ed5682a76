//! The hub hands every fact to those who may know it, exactly once, and lets go of those who do not keep up.

use aggregates::people::DonorSession;
use aggregates::recorded::{Event, StreamId};
use aggregates::testing::{accepted_by, ada, ben, chat_said, cleo, donor_id, opened, recorded, reminded};
use uuid::Uuid;

use super::*;

const FIRST: QueryId = QueryId::new(1);
const SECOND: QueryId = QueryId::new(2);

fn hub() -> Hub {
    let hub = Hub::new();
    hub.begin(Uuid::nil(), Position(10));
    hub
}

fn fact(position: i64, query: QueryId, event: DonorQueryEvent) -> RecordedEvent {
    let recorded = recorded(Event::DonorQuery(event));
    RecordedEvent { position: Position(position), query, stream: StreamId::DonorQuery(query), ..recorded }
}

fn session_of(event: &DonorQueryEvent) -> DonorSession {
    match event {
        DonorQueryEvent::QueryOpened { session, .. } => *session,
        other => panic!("{} opens nothing", other.name()),
    }
}

fn heard(listener: &mut Listener) -> Vec<i64> {
    std::iter::from_fn(|| listener.waiting()).map(|delivery| delivery.position.0).collect()
}

#[test]
fn staff_hear_everything_once_and_in_order() {
    let hub = hub();
    let (mut listener, joined) = hub.join_staff(ada().id);
    hub.deliver(&fact(11, FIRST, opened()));
    hub.deliver(&fact(12, SECOND, accepted_by(&ada())));
    assert_eq!(joined.passed, Position(10));
    assert_eq!(heard(&mut listener), [11, 12]);
    assert_eq!(hub.passed(), Position(12));
}

#[test]
fn what_two_say_to_each_other_is_heard_by_them_on_every_device_and_by_nobody_else() {
    let hub = hub();
    let mut own = [ada(), ben(), ben()].map(|member| hub.join_staff(member.id).0);
    let (mut other, _) = hub.join_staff(cleo().id);
    let mut donor = hub.join_donor(DonorPrincipal { donor_id: donor_id(), session: None });
    let chat = recorded(Event::StaffChat(chat_said(&ada(), &ben(), "words")));
    donor.follow(&[chat.query]);
    hub.deliver(&RecordedEvent { position: Position(11), ..chat });
    assert!(own.iter_mut().all(|listener| heard(listener) == [11]));
    assert!(heard(&mut other).is_empty() && heard(&mut donor).is_empty());
    assert_eq!(hub.passed(), Position(11), "nobody waits for what is not for them");
}

#[test]
fn a_donor_hears_own_queries_and_no_reminders() {
    let hub = hub();
    let mut listener = hub.join_donor(DonorPrincipal { donor_id: donor_id(), session: None });
    hub.deliver(&fact(11, FIRST, accepted_by(&ada())));
    let joined = listener.follow(&[FIRST]);
    hub.deliver(&fact(12, FIRST, accepted_by(&ada())));
    hub.deliver(&fact(13, SECOND, accepted_by(&ada())));
    hub.deliver(&fact(14, FIRST, reminded(&ada(), &ada())));
    assert_eq!(joined, Joined { passed: Position(11), rooms: vec![FIRST] });
    assert_eq!(heard(&mut listener), [12]);
}

#[test]
fn a_query_opened_while_the_donor_listens_is_followed() {
    let hub = hub();
    let session = Some(session_of(&opened()));
    let mut listener = hub.join_donor(DonorPrincipal { donor_id: donor_id(), session });
    hub.deliver(&fact(11, SECOND, opened()));
    hub.deliver(&fact(12, SECOND, accepted_by(&ada())));
    assert_eq!(heard(&mut listener), [11, 12]);
    assert_eq!(listener.follow(&[FIRST]).rooms, [FIRST, SECOND]);
}

#[test]
fn a_query_of_another_session_or_donor_is_not_followed() {
    let hub = hub();
    let session = Some(session_of(&opened()));
    let other_session = Some(DonorSession(Uuid::from_u128(99)));
    let mut other = hub.join_donor(DonorPrincipal { donor_id: donor_id(), session: other_session });
    let mut stranger = hub.join_donor(DonorPrincipal { donor_id: DonorId::new("stranger"), session });
    hub.deliver(&fact(11, SECOND, opened()));
    assert!(heard(&mut other).is_empty());
    assert!(heard(&mut stranger).is_empty());
}

#[tokio::test]
async fn who_does_not_keep_up_hears_what_waits_and_is_let_go() {
    let hub = hub();
    let (mut slow, _) = hub.join_staff(ada().id);
    let (mut quick, _) = hub.join_staff(ada().id);
    let last = 10 + i64::try_from(QUEUE).expect("a queue is short") + 1;
    for position in 11..=last {
        hub.deliver(&fact(position, FIRST, opened()));
        assert_eq!(heard(&mut quick), [position]);
    }
    for position in 11..last {
        assert_eq!(slow.next().await.map(|delivery| delivery.position), Ok(Position(position)));
    }
    assert_eq!(slow.next().await, Err(Parted::Slow));
    hub.deliver(&fact(last + 1, FIRST, opened()));
    assert_eq!(heard(&mut quick), [last + 1]);
}

/// Notes what it is told, as some listener.
struct Noted(usize, tokio::sync::mpsc::UnboundedSender<(usize, i64)>);

impl Outlet for Noted {
    fn offer(&self, deliveries: &[Arc<Delivery>]) -> bool {
        deliveries.iter().all(|delivery| self.1.send((self.0, delivery.position.0)).is_ok())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_told_at_once_and_each_in_order() {
    let hub = hub();
    let (noted, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let listeners: Vec<_> = (0..3 * SHARE).map(|_| hub.join_staff(ada().id)).collect();
    for (number, (listener, joined)) in listeners.iter().enumerate() {
        let outlet: Arc<dyn Outlet> = Arc::new(Noted(number, noted.clone()));
        listener.attach(&outlet, joined.passed);
    }
    for position in 11..=20 {
        hub.deliver(&fact(position, FIRST, opened()));
    }
    let mut told = vec![Vec::new(); listeners.len()];
    for _ in 0..10 * listeners.len() {
        let (listener, position) = notes.recv().await.expect("everybody is told everything");
        told[listener].push(position);
    }
    let all: Vec<i64> = (11..=20).collect();
    assert!(told.iter().all(|positions| *positions == all));
    assert!(listeners.iter().all(|(listener, _)| listener.told() == Position(20)));
}

#[tokio::test]
async fn a_stopping_node_lets_everybody_go_and_nobody_in() {
    let hub = hub();
    let (mut before, _) = hub.join_staff(ada().id);
    hub.stop();
    let (mut after, _) = hub.join_staff(ada().id);
    assert_eq!(before.next().await, Err(Parted::Stopping));
    assert_eq!(after.next().await, Err(Parted::Stopping));
}

#[test]
fn a_fact_that_nobody_can_read_is_told_as_a_resync() {
    let hub = hub();
    let (mut listener, _) = hub.join_staff(ada().id);
    hub.skip(Position(11), FIRST);
    let delivery = listener.waiting().expect("staff hear of it");
    assert_eq!(delivery.text.as_str(), r#"{"type":"resync","head":11}"#);
    assert_eq!(hub.passed(), Position(11));
}

#[test]
fn nobody_who_left_leaves_a_trace() {
    let hub = hub();
    let (staff, _) = hub.join_staff(ada().id);
    let donor = hub.join_donor(DonorPrincipal { donor_id: donor_id(), session: None });
    donor.follow(&[FIRST, SECOND]);
    drop((staff, donor));
    let registry = hub.lock();
    assert!(registry.listeners.is_empty() && registry.staff.is_empty());
    assert!(registry.rooms.is_empty() && registry.donors.is_empty());
}

/// Whatever is delivered while listeners join, each position is either passed at joining or in the queue, never both.
#[test]
fn joining_splits_the_facts_without_gap_or_repeat() {
    let hub = hub();
    let walker = std::thread::spawn({
        let hub = hub.clone();
        move || (11..=5_000).for_each(|position| hub.deliver(&fact(position, FIRST, opened())))
    });
    while !walker.is_finished() {
        let (mut listener, joined) = hub.join_staff(ada().id);
        let heard = heard(&mut listener);
        let expected: Vec<i64> = (joined.passed.0 + 1..).take(heard.len()).collect();
        assert_eq!(heard, expected);
    }
    walker.join().expect("delivering does not panic");
}
