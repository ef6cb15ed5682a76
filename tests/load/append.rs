//! The append rate alone, beside plain one-row inserts of the same rows by pgbench, equally durable.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, MessageId, QueryId};
use aggregates::people::Actor;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, StreamId};
use aggregates::vocabulary::MessageType;
use proof_concierge::clock;
use proof_concierge::config::Config;
use proof_concierge::log::{Append, CommandKey, Log, StreamAppend};

use crate::Effort;
use crate::desk::Servers;
use crate::limits::{make_plain_table, pgbench};
use crate::measure::{Timings, on_all_threads, on_one_thread, repeat};
use crate::report::Report;

/// A database that no service watches: what is measured is the append and nothing behind it.
pub(crate) struct Appending {
    config: Config,
    url: String,
}

impl Appending {
    pub(crate) fn prepare(servers: &Servers) -> Self {
        let (config, url) = servers.unwatched("append");
        on_one_thread(make_plain_table(&url));
        Self { config, url }
    }

    pub(crate) fn run(&self, effort: &Effort, report: &mut Report) {
        for clients in [16, 64, 256] {
            let plain = pgbench(&self.url, clients, effort.time);
            report.rate("append", "plain insert", clients, plain);
            let timings = on_all_threads(appends(&self.config, clients, effort.time));
            report.timings("append", "append", clients, &timings);
        }
    }
}

/// Appends one message per command, each client to a query of its own, each with an idempotency key.
async fn appends(config: &Config, clients: usize, time: Duration) -> Timings {
    static NEXT: AtomicI64 = AtomicI64::new(1_000_000_000);
    let first = NEXT.fetch_add(i64::try_from(clients).unwrap(), Ordering::Relaxed);
    let log = Log::open_database(config).unwrap();
    let append = async |log: &mut Log, client: usize, turn: usize| {
        let query = first + i64::try_from(client).unwrap();
        log.append(message(query, i64::try_from(turn).unwrap())).await.is_ok()
    };
    let timings = repeat(vec![log.clone(); clients], time, append).await;
    log.close().await;
    timings
}

fn message(query: i64, version: i64) -> Append {
    let id = QueryId::new(query);
    let event = DonorQueryEvent::MessagePosted {
        message: MessageId::new(query * 1_000_000 + version),
        author: aggregates::donor_query::event::Author::Donor,
        recipient: None,
        message_type: MessageType::Chat,
        content: Personal::known("The cuff shows an error after the second reading."),
        call: None,
        request: None,
        at: clock::now(),
    };
    Append {
        streams: vec![StreamAppend {
            stream: StreamId::DonorQuery(id),
            query: id,
            expected: version,
            events: vec![Event::DonorQuery(event)],
        }],
        subject: DonorId::new(format!("append-{query}")),
        metadata: Metadata::of(&Actor::System, format!("load-{query}-{version}")),
        key: Some(CommandKey { scope: "load".to_owned(), key: format!("{query}-{version}"), request_hash: [7; 32] }),
    }
}
