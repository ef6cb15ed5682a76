//! The append rate alone, beside plain one-row inserts of the same rows by pgbench, equally durable.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{DonorId, MessageId, QueryId};
use aggregates::people::Actor;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, StreamId};
use aggregates::vocabulary::MessageType;
use proof_concierge::clock;
use proof_concierge::log::{Append, CommandKey, Log, StreamAppend};
use sqlx::{Executor, PgPool};

use crate::Effort;
use crate::desk::Desk;
use crate::measure::hammer;

/// How many interleaved rounds the ratio is the median of.
const ROUNDS: usize = 5;

pub(crate) async fn run(desk: &Desk, effort: &Effort) {
    println!("append (version check, idempotency key, sealing and digest) beside pgbench's plain insert");
    // A database that no service watches: what is measured is the append and nothing behind it.
    let (config, url) = desk.unwatched("append").await;
    let log = Log::open_database(&config).unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    pool.execute(
        "create table plain (like events including defaults); alter table plain drop column position; \
         alter table plain add column position bigserial primary key",
    )
    .await
    .unwrap();
    let (time, rounds) = if effort.time < Duration::from_secs(1) { (effort.time, 1) } else { (effort.time, ROUNDS) };
    for clients in [16, 64, 256] {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let plain = pgbench(&url, clients, time);
            let ours = appends(&log, clients, time).await;
            ratios.push(ours / plain);
            println!(
                "  {clients:>4} clients: append {ours:>8.0}/s   pgbench {plain:>8.0}/s   ratio {:.2}",
                ours / plain
            );
        }
        ratios.sort_by(f64::total_cmp);
        println!("  {clients:>4} clients: median ratio {:.2}", ratios[ratios.len() / 2]);
    }
    log.close().await;
    println!();
}

/// Appends one message per command, each client to a query of its own, each with an idempotency key.
async fn appends(log: &Log, clients: usize, time: Duration) -> f64 {
    static NEXT: AtomicI64 = AtomicI64::new(1_000_000_000);
    let first = NEXT.fetch_add(i64::try_from(clients).unwrap(), Ordering::Relaxed);
    let log = Arc::new(log.clone());
    let timings = hammer(clients, time, move |client, turn| {
        let log = log.clone();
        let query = first + i64::try_from(client).unwrap();
        async move { log.append(message(query, i64::try_from(turn).unwrap())).await.is_ok() }
    });
    timings.await.per_second()
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

/// pgbench inserting one row of the same shape and size per transaction. Transactions per second.
fn pgbench(url: &str, clients: usize, time: Duration) -> f64 {
    let script = std::env::temp_dir().join(format!("concierge-plain-{}.sql", std::process::id()));
    let payload = format!(r#"{{"MessagePosted":{{"content":"{}"}}}}"#, "x".repeat(420));
    let metadata = format!(r#"{{"actor_kind":"system","request_id":"{}"}}"#, "r".repeat(100));
    let insert = format!(
        "insert into plain (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
         event_id, query_id, recorded_at, digest) values ('DonorQuery', '1000000001', 1, 'MessagePosted', '1.0', \
         '{payload}', '{metadata}', gen_random_uuid(), 1, now(), decode(repeat('ab', 32), 'hex'));"
    );
    std::fs::write(&script, insert).unwrap();
    let output = Command::new(pgbench_program())
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string()])
        .args(["-T", &time.as_secs().max(5).to_string(), "-f"])
        .arg(&script)
        .arg(url)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = report.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
    rate.and_then(|rate| rate.parse().ok())
        .unwrap_or_else(|| panic!("pgbench: {report} {}", String::from_utf8_lossy(&output.stderr)))
}

/// Debian keeps pgbench beside the server.
fn pgbench_program() -> std::path::PathBuf {
    let versions = Path::new("/usr/lib/postgresql");
    let mut found: Vec<_> = std::fs::read_dir(versions)
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin/pgbench")).collect())
        .unwrap_or_default();
    found.retain(|path: &std::path::PathBuf| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| "pgbench".into())
}
