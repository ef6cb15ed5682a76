//! What growth costs: the ten-thousandth message beside the tenth, a page of a list with many queries beside few.

use std::time::{Duration, Instant};

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, QueryId};
use aggregates::people::{Actor, DonorSession};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, StreamId};
use futures_util::StreamExt;
use proof_concierge::clock;
use proof_concierge::log::{Append, Log, StreamAppend};

use crate::Effort;
use crate::desk::Desk;
use crate::measure::{Timings, hammer};

pub(crate) async fn messages(desk: &Desk, effort: &Effort) {
    println!("growth of one conversation (one client)");
    let client = desk.client();
    let opened = client.open().await.expect("a query opens");
    let window = usize::try_from(effort.messages / 20).unwrap().clamp(10, 200);
    let mut taken = Vec::new();
    for turn in 0..effort.messages {
        let start = Instant::now();
        assert!(client.say(opened.id, &opened.donor_token, &format!("Message {turn}")).await);
        taken.push(start.elapsed());
    }
    let median = |part: &[Duration]| Timings::new(part.to_vec(), Duration::from_secs(1), 0).median().as_secs_f64();
    // The first few meet cold caches; from the tenth on it is the same work.
    let (early, late) = (median(&taken[10..10 + window]), median(&taken[taken.len() - window..]));
    println!(
        "  message 10: {:.2} ms   message {}: {:.2} ms   ratio {:.2}   (medians of {window})\n",
        early * 1_000.0,
        effort.messages,
        late * 1_000.0,
        late / early
    );
}

pub(crate) async fn lists(desk: &Desk, effort: &Effort) {
    println!("growth of the desk (a page of ten, newest first, one client)");
    let log = Log::open_database(&desk.config).unwrap();
    let (few, many) = effort.queries;
    let mut medians = Vec::new();
    for target in [few, many] {
        grow_to(desk, &log, target).await;
        desk.settle().await;
        for path in ["/api/v1/donor-queries/in-progress?limit=10", "/api/v1/donor-queries/general?limit=10"] {
            let (client, token) = (desk.client(), desk.staff_token().to_owned());
            let timings = hammer(1, effort.time, move |_, _| {
                let (client, token) = (client.clone(), token.clone());
                async move { client.get(path, &token).await }
            });
            let timings = timings.await;
            timings.print(&path["/api/v1/donor-queries".len()..], usize::try_from(target).unwrap());
            medians.push(timings.median().as_secs_f64());
        }
    }
    println!("  ratio of {many} to {few} queries: {:.2} and {:.2}\n", medians[2] / medians[0], medians[3] / medians[1]);
    log.close().await;
}

/// Opens queries until the log has at least that many facts, and waits for the read models.
async fn grow_to(desk: &Desk, log: &Log, facts: i64) {
    let missing = facts - log.head().await.unwrap().0;
    open_queries(log, missing.max(0)).await;
    caught_up(desk, log).await;
}

/// Appends as many opened queries, hundreds at a time, as an importer would.
async fn open_queries(log: &Log, count: i64) {
    let appends = futures_util::stream::iter(0..count).map(|_| async {
        let id = log.next_query_id().await.unwrap();
        log.append(opening(id)).await.unwrap();
    });
    appends.buffer_unordered(512).collect::<()>().await;
}

/// A donor nobody met asks for help.
pub(crate) fn opening(id: QueryId) -> Append {
    let donor_id = DonorId::new(format!("grown-{id}"));
    let event = DonorQueryEvent::QueryOpened {
        donor: Personal::known(format!("Donor {id}")),
        donor_id: donor_id.clone(),
        session: DonorSession(uuid::Uuid::from_u128(u128::try_from(id.get()).unwrap())),
        test: "Blood pressure".to_owned(),
        stage: "Second reading".to_owned(),
        device: "Cuff 3".to_owned(),
        at: clock::now(),
    };
    Append {
        streams: vec![StreamAppend {
            stream: StreamId::DonorQuery(id),
            query: id,
            expected: 0,
            events: vec![Event::DonorQuery(event)],
        }],
        subject: donor_id,
        metadata: Metadata::of(&Actor::System, format!("grow-{id}")),
        key: None,
    }
}

/// Waits until the service's read models show everything in the log.
async fn caught_up(desk: &Desk, log: &Log) {
    let head = log.head().await.unwrap();
    let client = desk.client();
    let path = format!("/api/v1/donor-queries/in-progress?limit=1&min_position={head}");
    let begin = Instant::now();
    while !client.get(&path, desk.staff_token()).await {
        assert!(begin.elapsed() < Duration::from_mins(10), "the read models did not catch up");
    }
}
