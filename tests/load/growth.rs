//! What growth costs: every command and read with few and with many queries, and the last message of a long conversation.
//!
//! Everything in the grown desk is real: its facts went through the service's own log and were applied by the service's
//! own projector. The one thing that is not as in life is that nobody outside is told of them, as after an import.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proof_concierge::log::Log;

use crate::Effort;
use crate::client::Client;
use crate::desk::{Desk, Servers};
use crate::facts::{Grown, MESSAGES};
use crate::measure::{Timings, hammer, on_all_threads, on_one_thread};
use crate::report::Report;
use crate::requests::LIST;

/// How many queries the desk has that the grown one is compared with.
const SMALL: usize = 1_000;
/// How many queries the grown desk has at each look, up to what was asked for.
const STEPS: [usize; 2] = [100_000, 1_000_000];
/// How many of the waiting queries are accepted per look; the small desk has a hundred.
const ACCEPTED: usize = 10;
const GENERAL: &str = "/api/v1/donor-queries/general?limit=10";
/// The first messages of a conversation meet cold caches; from here on it is the same work.
const EARLY: usize = 10;

/// Posts messages to one query, one after the other.
pub(crate) fn conversation(desk: &Desk, effort: &Effort, report: &mut Report) {
    let query = desk.open_queries(1).remove(0);
    let taken = on_one_thread(async {
        let mut client = desk.client();
        let mut taken = Vec::with_capacity(effort.messages);
        for turn in 0..effort.messages {
            let start = Instant::now();
            assert!(client.say(query.id, &query.donor_token, format_args!("Message {turn}")).await);
            taken.push(start.elapsed());
        }
        taken
    });
    let window = (effort.messages / 20).clamp(EARLY, 200);
    let median = |part: &[Duration]| Timings::new(part.to_vec(), Duration::from_secs(1), 0).milliseconds(0.5);
    let (early, late) = (median(&taken[EARLY..EARLY + window]), median(&taken[taken.len() - window..]));
    report.note("growth", "last message / early message", effort.messages, "ratio", late / early);
}

/// Grows a desk step by step and looks at it at every step, in turns with one that stays small: both are met by the same
/// minutes of the machine.
pub(crate) fn desks(servers: &Servers, effort: &Effort, report: &mut Report) {
    let mut small = GrownDesk::start(servers, "small");
    small.grow_to(SMALL, report);
    let mut grown = GrownDesk::start(servers, "grown");
    for queries in STEPS.into_iter().filter(|step| *step < effort.queries).chain([effort.queries]) {
        grown.grow_to(queries, report);
        for _ in 0..effort.runs {
            for look in Look::ALL {
                let before = small.look(look, effort.time);
                let now = grown.look(look, effort.time);
                report.timings("growth", look.name(), SMALL, &before);
                report.timings("growth", look.name(), queries, &now);
                let ratio = now.milliseconds(0.5) / before.milliseconds(0.5);
                report.note("growth", &look.beside(), queries, "ratio", ratio);
            }
        }
        let ratio = |look: Look| report.median(("growth", &look.beside(), "ratio"), queries);
        let worst = Look::ALL.into_iter().filter_map(ratio).fold(0.0, f64::max);
        report.note("growth", &format!("worst beside {SMALL} queries"), queries, "ratio", worst);
    }
}

/// What is done at every look, each by one client.
#[derive(Clone, Copy)]
enum Look {
    Open,
    Message,
    /// A query that the service has never held in memory.
    AcceptOld,
    GetAny,
    MessagesOfAny,
    ListInProgress,
    ListGeneral,
}

impl Look {
    const ALL: [Self; 7] = [
        Self::Open,
        Self::Message,
        Self::AcceptOld,
        Self::GetAny,
        Self::MessagesOfAny,
        Self::ListInProgress,
        Self::ListGeneral,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Message => "message",
            Self::AcceptOld => "accept an old one",
            Self::GetAny => "get any",
            Self::MessagesOfAny => "messages of any",
            Self::ListInProgress => "list in-progress",
            Self::ListGeneral => "list general",
        }
    }

    /// The name of its ratio.
    fn beside(self) -> String {
        format!("{} beside {SMALL} queries", self.name())
    }
}

struct GrownDesk {
    desk: Desk,
    queries: Grown,
}

impl GrownDesk {
    fn start(servers: &Servers, name: &str) -> Self {
        Self { desk: servers.desk(name), queries: Grown::default() }
    }

    fn grow_to(&mut self, queries: usize, report: &mut Report) {
        // The service is away meanwhile, as it may be during an import, and catches up from the log.
        self.desk.kill();
        let (begin, missing) = (Instant::now(), queries - self.queries.ids.len());
        on_all_threads(async {
            let log = Log::open_database(&self.desk.config).unwrap();
            self.queries.grow_to(&log, queries).await;
            log.close().await;
        });
        let appended = begin.elapsed();
        self.desk.start();
        self.desk.catch_up();
        let applied = begin.elapsed().saturating_sub(appended);
        self.desk.settle();
        println!(
            "growth    {queries} queries, {MESSAGES} messages each; appended in {appended:.0?}, applied in {applied:.0?}"
        );
        report.rate("growth", "appended", queries, missing as f64 / appended.as_secs_f64());
        report.rate("growth", "applied", queries, missing as f64 / applied.as_secs_f64());
    }

    fn look(&mut self, look: Look, time: Duration) -> Timings {
        let Self { desk, queries: Grown { ids, waiting } } = self;
        let (address, staff) = (desk.address(), desk.staff_token());
        match look {
            Look::Open => hammer(address, 1, time, async |client, _, _| client.opens().await),
            Look::Message => {
                let query = desk.open_queries(1).remove(0);
                let says = async |client: &mut Client, _, turn| {
                    client.say(query.id, &query.donor_token, format_args!("Message {turn}")).await
                };
                hammer(address, 1, time, says)
            }
            Look::AcceptOld => accept_all(desk, &waiting.split_off(waiting.len().saturating_sub(ACCEPTED))),
            Look::GetAny => {
                let gets = async |client: &mut Client, _, _| {
                    client.get(format_args!("/api/v1/donor-queries/{}", any_of(ids)), staff).await
                };
                hammer(address, 1, time, gets)
            }
            Look::MessagesOfAny => {
                let reads = async |client: &mut Client, _, _| {
                    client.get(format_args!("/api/v1/messages/query/{}", any_of(ids)), staff).await
                };
                hammer(address, 1, time, reads)
            }
            Look::ListInProgress => hammer(address, 1, time, async |client, _, _| client.get(LIST, staff).await),
            Look::ListGeneral => hammer(address, 1, time, async |client, _, _| client.get(GENERAL, staff).await),
        }
    }
}

/// Accepts queries that the service has never held in memory.
fn accept_all(desk: &Desk, ids: &[i64]) -> Timings {
    on_one_thread(async {
        let (mut client, begin, mut taken) = (desk.client(), Instant::now(), Vec::new());
        client.connect().await.unwrap();
        for id in ids {
            let start = Instant::now();
            assert!(client.accept(*id, desk.staff_token()).await, "query {id} was not accepted");
            taken.push(start.elapsed());
        }
        Timings::new(taken, begin.elapsed(), 0)
    })
}

/// One of many, spread evenly and not in order. A multiplier without a common factor with their number visits all of them.
fn any_of(ids: &[i64]) -> i64 {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    ids[NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7_919) % ids.len()]
}
