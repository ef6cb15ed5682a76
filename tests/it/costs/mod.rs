//! What each command and read costs, in counts that are the same on every machine: a change that makes one dearer fails
//! here, whatever the clock says.
//!
//! A node runs behind proxies that count. Everything is done several times, one after the other, each time until the node
//! has nothing more to do, background work included. What happens by the clock only ever adds to that, so the least counts.
//! These are the costs of a command alone; under load, log, relay, read models and planner share theirs among many.

mod nats;
mod postgres;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use proof_concierge::config::Secret;
use serde_json::json;

use self::nats::{Nats, Published};
use self::postgres::{Postgres, Work};
use crate::support::app::Client;
use crate::support::desk::{Desk, desk_with};
use crate::support::eventually::eventually;
use crate::support::servers::servers;

/// How often everything is done.
const TIMES: usize = 10;
/// How often in a row nothing new is seen before a node has nothing more to do.
const QUIET: u32 = 5;
/// How many statements an idle node executes while its looks are learned.
const LOOKS: u64 = 60;
const LIMIT: Duration = Duration::from_mins(1);

/// What one of something costs, in this order:
///
/// - waits for PostgreSQL, by all connections of the node together;
/// - transactions that wrote: of the log (durable), the read models, the planner, the workers of deliveries;
/// - rows written outside of functions: read models, checkpoints, deliveries;
/// - messages to NATS that are facts: as many as there are facts;
/// - messages to NATS that are not: the hint that there are facts and the mark that they were applied.
type Counts = [u64; 5];
const COUNTS: [&str; 5] = ["round trips", "commits", "rows", "facts published", "other messages"];

/// What may be added to [`LIMITS`]. Relay, read models and planner read the log when they are told and when it is time, and
/// which comes first is a race; who reads facts of a new donor in the log asks for the key as well.
const RACES: Counts = [4, 0, 0, 0, 0];

/// The least that each was seen to cost. Whoever lowers a cost lowers it here; whoever raises one has to say why.
const LIMITS: [(&str, Counts); 6] = [
    // A new stream, a new donor, a first message: opened, posted, waiting for a reply; staff and holder are to be told.
    ("open", [18, 3, 9, 3, 2]),
    // What every command does: append (the query is in memory), relay, apply, plan, deliver, answer with the row.
    ("message", [14, 3, 7, 1, 2]),
    // A fact and the message that tells of it; the board counts.
    ("accept", [16, 3, 9, 2, 2]),
    ("resolve", [18, 3, 9, 2, 2]),
    // The query and its messages.
    ("get", [2, 0, 0, 0, 0]),
    // The page, its messages, and the total.
    ("list", [3, 0, 0, 0, 0]),
];

/// A desk behind proxies.
struct Counted {
    desk: Desk,
    staff: Client,
    postgres: Postgres,
    nats: Nats,
}

impl Counted {
    async fn start() -> Self {
        let (postgres, to_postgres) = Postgres::before(&servers().database_url("postgres")).await;
        let (nats, to_nats) = Nats::before(&servers().nats_url()).await;
        let desk = desk_with(|config| {
            config.database_url = Secret::new(through(to_postgres, config.database_url.expose()));
            config.nats_url = Secret::new(through(to_nats, config.nats_url.expose()));
        });
        let desk = desk.await;
        let staff = desk.staff("ada").await;
        let counted = Self { desk, staff, postgres, nats };
        counted.postgres.learn();
        eventually(LIMIT, async || counted.postgres.executed(), |executed| *executed >= LOOKS).await;
        counted.postgres.take();
        counted
    }

    /// Waits until nothing happens any more that does not happen by the clock.
    async fn settle(&self) {
        let (mut before, mut quiet) = (0, 0);
        let look = async || {
            let now = self.postgres.executed();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            quiet
        };
        eventually(LIMIT, look, |quiet| *quiet >= QUIET).await;
    }

    /// The least but one of each count, and what was done the last time. The very least may be of a time whose end was taken
    /// for one too early; the next one paid for it.
    async fn cost(&self, prepare: impl AsyncFn(usize) -> String, act: impl AsyncFn(String)) -> (Counts, Work) {
        let (mut counts, mut last) = (Vec::new(), Work::default());
        for turn in 0..TIMES {
            let prepared = prepare(turn).await;
            self.settle().await;
            self.postgres.take();
            self.nats.take();
            act(prepared).await;
            self.settle().await;
            last = self.postgres.take();
            let Published { facts, others } = self.nats.take();
            counts.push([last.round_trips, last.commits, last.rows, facts, others]);
        }
        let least = |of: usize| {
            let mut of_all: Vec<u64> = counts.iter().map(|counts: &Counts| counts[of]).collect();
            of_all.sort_unstable();
            of_all[1]
        };
        (std::array::from_fn(least), last)
    }
}

/// The same URL with another server.
fn through(server: SocketAddr, url: &str) -> String {
    let (credentials, rest) = url.split_once('@').unwrap();
    let database = rest.split_once('/').map(|(_, database)| format!("/{database}")).unwrap_or_default();
    format!("{credentials}@{server}{database}")
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "what became cheaper is no failure, but worth knowing")]
async fn nothing_costs_more_than_it_did() {
    let counted = Counted::start().await;
    let Counted { desk, staff, .. } = &counted;
    let nothing = async |_| String::new();
    let opened = async |turn| desk.donor(&format!("asks-{turn}-{}", uuid::Uuid::new_v4())).await.1.to_string();
    let accepts = async |query| {
        staff.patch(&format!("/api/v1/donor-queries/{query}/accept"), &json!({})).await.expect(200);
    };
    let accepted = async |turn| {
        let query = opened(turn).await;
        accepts(query.clone()).await;
        query
    };
    let resolves = async |query| {
        staff.patch(&format!("/api/v1/donor-queries/{query}/resolve"), &json!({})).await.expect(200);
    };
    let opens = async |donor: String| drop(desk.donor(&donor).await);
    let (donor, query) = desk.donor("somebody").await;
    let says = async |_| {
        let message = json!({ "content": "And now?", "messageType": "CHAT" });
        donor.post(&format!("/api/v1/messages/donor/{query}"), &message).await.expect(201);
    };
    let reads = async |path: String| drop(staff.get(&path).await.expect(200));
    let costs = HashMap::from([
        ("open", counted.cost(async |turn| format!("new-{turn}"), opens).await),
        ("message", counted.cost(nothing, says).await),
        ("accept", counted.cost(opened, accepts).await),
        ("resolve", counted.cost(accepted, resolves).await),
        ("get", counted.cost(async |_| format!("/api/v1/donor-queries/{query}"), reads).await),
        ("list", counted.cost(async |_| "/api/v1/donor-queries/general?limit=10".to_owned(), reads).await),
    ]);
    let mut findings = String::new();
    for (what, limits) in LIMITS {
        let (counts, last) = &costs[what];
        let named: Vec<_> = (0..COUNTS.len()).map(|of| (COUNTS[of], counts[of], limits[of], RACES[of])).collect();
        for (name, count, limit, _) in named.iter().filter(|(_, count, limit, _)| count < limit) {
            println!("{what} has {count} {name} instead of {limit}: the limit may be lowered");
        }
        let dearer = named.iter().filter(|(_, count, limit, races)| *count > limit + races);
        let dearer: Vec<_> = dearer.map(|(name, count, limit, _)| format!("{count} {name}, {limit} before")).collect();
        if !dearer.is_empty() {
            writeln!(findings, "{what}: {}. The last time it asked:\n{}", dearer.join("; "), told(last)).unwrap();
        }
    }
    assert!(findings.is_empty(), "something became dearer:\n{findings}");
}

/// The statements, each on a line.
fn told(work: &Work) -> String {
    let mut lines = String::new();
    for (statement, times) in &work.statements {
        let words: Vec<_> = statement.split_whitespace().collect();
        writeln!(lines, "  {times} x {:.120}", words.join(" ")).unwrap();
    }
    lines
}
