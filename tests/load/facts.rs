//! Genuine facts in bulk, appended by the service's own log: sealed, with digests, claims and data keys, as an import is.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{DonorId, MessageId, QueryId, UserId};
use aggregates::people::{Actor, DonorSession, StaffRef};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, StreamId};
use aggregates::vocabulary::MessageType;
use futures_util::StreamExt;
use proof_concierge::clock;
use proof_concierge::log::{Append, Log, StreamAppend};

/// How many messages a query has.
pub(crate) const MESSAGES: i64 = 5;
/// How many commands are on their way into the log at a time; it takes as many in one transaction.
const AT_ONCE: usize = 512;
/// One query of so many waits for its first answer, another one is being worked on, all others are resolved.
const OPEN_ONE_IN: i64 = 10;

/// The ids of queries that were appended.
#[derive(Debug, Default)]
pub(crate) struct Grown {
    /// All.
    pub(crate) ids: Vec<i64>,
    /// Those that wait for their first answer.
    pub(crate) waiting: Vec<i64>,
}

impl Grown {
    /// Appends queries until there are so many.
    pub(crate) async fn grow_to(&mut self, log: &Log, queries: usize) {
        let from = i64::try_from(self.ids.len()).unwrap();
        let lives = futures_util::stream::iter(from..i64::try_from(queries).unwrap());
        let mut lives = lives.map(async |number| (number, live(log, number).await)).buffer_unordered(AT_ONCE);
        while let Some((number, id)) = lives.next().await {
            self.ids.push(id);
            if number % OPEN_ONE_IN == 0 {
                self.waiting.push(id);
            }
        }
    }
}

/// One query's days, as one command: opened, accepted, a conversation, resolved; or as far as it got.
async fn live(log: &Log, number: i64) -> i64 {
    let id = log.next_query_id().await.unwrap();
    let (donor_id, at) = (DonorId::new(format!("grown-{id}")), clock::now());
    let by = StaffRef { id: UserId::new(1), name: "Ada".to_owned() };
    let mut events = vec![DonorQueryEvent::QueryOpened {
        donor: Personal::known(format!("Donor {id}")),
        donor_id: donor_id.clone(),
        session: DonorSession(uuid::Uuid::from_u128(u128::try_from(id.get()).unwrap())),
        test: "Blood pressure".to_owned(),
        stage: "Second reading".to_owned(),
        device: "Cuff 3".to_owned(),
        at,
    }];
    let is_waiting = number % OPEN_ONE_IN == 0;
    if !is_waiting {
        events.push(DonorQueryEvent::QueryAccepted { by: by.clone(), at });
    }
    for turn in 0..MESSAGES {
        let author = if is_waiting || turn % 2 == 0 { Author::Donor } else { Author::Staff(by.clone()) };
        events.push(DonorQueryEvent::MessagePosted {
            // Far from those that the desk gives out itself.
            message: MessageId::new((1 << 40) + id.get() * MESSAGES + turn),
            author,
            recipient: None,
            message_type: MessageType::Chat,
            content: Personal::known("The cuff shows an error after the second reading."),
            call: None,
            request: None,
            at,
        });
    }
    if number % OPEN_ONE_IN > 1 {
        events.push(DonorQueryEvent::QueryResolved { by, at });
    }
    log.append(append(id, donor_id, events)).await.unwrap();
    id.get()
}

fn append(id: QueryId, subject: DonorId, events: Vec<DonorQueryEvent>) -> Append {
    Append {
        streams: vec![StreamAppend {
            stream: StreamId::DonorQuery(id),
            query: id,
            expected: 0,
            events: events.into_iter().map(Event::DonorQuery).collect(),
        }],
        subject,
        // Nobody outside the desk is told of what was imported.
        metadata: Metadata::of(&Actor::System, format!("grow-{id}")).imported_from("the load generator"),
        key: None,
    }
}
