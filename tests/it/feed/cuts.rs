//! A client whose connection is cut again and again, while the desk is busy.

use std::collections::BTreeMap;

use aggregates::ids::QueryId;
use proof_concierge::log::Log;
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, append, message, opened_by};

pub(super) const QUERIES: i64 = 8;
const CUTS: usize = 200;

/// Opens a query and talks until it is stopped.
async fn talk(log: Log, query: i64, stop: CancellationToken) {
    let id = QueryId::new(query);
    append(&log, id, 0, vec![opened_by(1)]).await;
    let mut version = 1;
    while !stop.is_cancelled() {
        let number = query * 1_000_000 + version;
        append(&log, id, version, vec![message(number, "busy")]).await;
        version += 1;
    }
}

pub(super) fn keep_talking(desk: &Desk) -> (CancellationToken, tokio::task::JoinSet<()>) {
    let stop = CancellationToken::new();
    let writers = (1..=QUERIES).map(|query| talk(desk.log(), query, stop.clone())).collect();
    (stop, writers)
}

/// Folds every frame into the version of its query; a frame that is not the next one fails the test.
#[derive(Default)]
struct Folded {
    cursor: i64,
    versions: BTreeMap<i64, i64>,
}

impl Folded {
    fn take(&mut self, fact: &serde_json::Value) {
        let position = fact["position"].as_i64().unwrap();
        assert_eq!(position, self.cursor + 1, "a gap, a repeat or a jump: {fact}");
        self.cursor = position;
        let version = self.versions.entry(fact["queryId"].as_i64().unwrap()).or_default();
        *version += 1;
        assert_eq!(fact["version"], *version, "{fact}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_cuts_under_load_lose_and_repeat_nothing() {
    let desk = Desk::open().await;
    let token = desk.staff_token().await;
    let (stop, writers) = keep_talking(&desk);
    let mut folded = Folded::default();
    for _ in 0..CUTS {
        let mut socket = desk.listen(&token, Some(folded.cursor)).await;
        for _ in 0..rand::rng().random_range(0..40) {
            folded.take(&socket.fact().await);
        }
    }
    stop.cancel();
    writers.join_all().await;

    let head = desk.log().head().await.unwrap().0;
    let mut socket = desk.listen(&token, Some(folded.cursor)).await;
    while folded.cursor < head {
        folded.take(&socket.fact().await);
    }
    for (query, version) in folded.versions {
        assert_eq!(desk.read(QueryId::new(query)).await.unwrap().version, version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_never_precedes_the_read_it_invites() {
    let desk = Desk::open().await;
    let mut staff = desk.listen(&desk.staff_token().await, Some(0)).await;
    let mut donor = desk.listen(&desk.donor_token(1), Some(0)).await;
    let (stop, writers) = keep_talking(&desk);
    for _ in 0..500 {
        for socket in [&mut staff, &mut donor] {
            let fact = socket.fact().await;
            let read = desk.read(QueryId::new(fact["queryId"].as_i64().unwrap())).await;
            let shown = read.expect("a query in a frame can be read").version;
            assert!(shown >= fact["version"].as_i64().unwrap(), "the read shows {shown}, the frame says {fact}");
        }
    }
    stop.cancel();
    writers.join_all().await;
}
