//! How fast read models are rebuilt from the log.

use std::time::Instant;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{MessageId, UserId};
use aggregates::people::StaffRef;
use aggregates::personal::Personal;
use aggregates::recorded::Event;
use aggregates::vocabulary::MessageType;
use futures_util::StreamExt;
use projections::Projection;
use proof_concierge::clock;
use proof_concierge::log::Log;
use proof_concierge::projector::rebuild::rebuild;

use crate::Effort;
use crate::desk::Desk;
use crate::growth::opening;

/// What happens to a query on an ordinary day: opened, accepted, six messages, resolved.
const MESSAGES: i64 = 6;
pub(crate) const FACTS: i64 = MESSAGES + 3;

pub(crate) async fn run(desk: &Desk, effort: &Effort) {
    println!("rebuild of ordinary days (beside the live copy, swapped at the end)");
    let (config, _) = desk.unwatched("rebuild").await;
    let log = Log::open_database(&config).unwrap();
    let lives = futures_util::stream::iter(0..effort.queries.1 / FACTS).map(|_| live(&log));
    lives.buffer_unordered(256).collect::<()>().await;
    for &projection in Projection::ALL {
        let begin = Instant::now();
        let reached = rebuild(&log, &config.database_url, projection, |_, _| {}).await.unwrap();
        let rate = reached.0 as f64 / begin.elapsed().as_secs_f64();
        println!("  {:<12} {:>9} events {rate:>9.0}/s", projection.name(), reached.0);
    }
    log.close().await;
    println!();
}

/// Appends an ordinary day.
pub(crate) async fn live(log: &Log) {
    let id = log.next_query_id().await.unwrap();
    let mut append = opening(id);
    let (by, at) = (StaffRef { id: UserId::new(1), name: "Ada".to_owned() }, clock::now());
    let events = &mut append.streams[0].events;
    events.push(Event::DonorQuery(DonorQueryEvent::QueryAccepted { by: by.clone(), at }));
    for turn in 0..MESSAGES {
        let author = if turn % 2 == 0 { Author::Donor } else { Author::Staff(by.clone()) };
        events.push(Event::DonorQuery(DonorQueryEvent::MessagePosted {
            message: MessageId::new(id.get() * FACTS + turn),
            author,
            recipient: None,
            message_type: MessageType::Chat,
            content: Personal::known("The cuff shows an error after the second reading."),
            call: None,
            request: None,
            at,
        }));
    }
    events.push(Event::DonorQuery(DonorQueryEvent::QueryResolved { by, at }));
    log.append(append).await.unwrap();
}
