//! The log in ranges, as `deploy/partitions.md` says: the blocks of that page are the script of these tests.

use std::path::Path;
use std::process::Command;

use aggregates::donor_query::{DonorQuery, DonorQueryEvent};
use aggregates::ids::QueryId;
use aggregates::people::Actor;
use aggregates::recorded::{Metadata, Position, StreamId};
use aggregates::testing::{accepted_by, ada, marked_in_progress, opened, resolved_by, staff};
use proof_concierge::log::{Append, AppendError, Log};
use sqlx::Executor;

use crate::log::facts;
use crate::support::database::{TestDatabase, database};
use crate::support::node;
use crate::support::page::block_of;
use crate::support::servers::scratch;
use crate::support::service::{PROGRAM, configure};

const PAGE: &str = include_str!("../../deploy/partitions.md");

/// A log whose first range holds six facts: of query 1, which was closed in it, and of 2 and 3, which go on.
struct Desk {
    database: TestDatabase,
    log: Log,
}

impl Desk {
    async fn cut() -> Self {
        let database = database().await;
        let desk = Self { log: node::log(&database), database };
        desk.append(1, 0, [opened(), accepted_by(&ada()), resolved_by(&ada())]).await;
        desk.append(2, 0, [opened()]).await;
        // The node has asked before, and goes on asking on the same connections.
        assert_eq!(desk.positions().await, [1, 2, 3, 4]);
        desk.run("cut", &[("BOUNDARY", "7")]).unwrap();
        desk.append(3, 0, [opened(), accepted_by(&ada())]).await;
        desk.append(3, 2, [resolved_by(&ada())]).await;
        desk.append(4, 0, [opened()]).await;
        desk
    }

    async fn append<const N: usize>(&self, query: i64, expected: i64, events: [DonorQueryEvent; N]) {
        let metadata = Metadata::of(&Actor::Staff(ada().as_ref()), "request-1");
        self.log.append(Append { metadata, ..facts(query, expected, events) }).await.unwrap();
    }

    /// Runs a block of the page.
    ///
    /// # Errors
    /// What it complained about.
    fn run(&self, block: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        self.shell(&block_of(PAGE, block), variables)
    }

    fn audit(&self) -> Result<String, String> {
        self.shell("concierge audit verify", &[])
    }

    fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let mut shell = Command::new("bash");
        configure(&mut shell, &node::config(&self.database));
        let programs = Path::new(PROGRAM).parent().unwrap().display();
        shell.env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin")).envs(variables.iter().copied());
        let output = shell.args(["-euc", script]).env("ARCHIVED", scratch("archived")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    fn archive(&self) {
        self.run("archive", &[("PART", "events_1"), ("BOUNDARY", "7")]).unwrap();
    }

    async fn positions(&self) -> Vec<i64> {
        let facts = self.log.read_after(Position::START, 100).await.unwrap();
        facts.iter().map(|fact| fact.position.0).collect()
    }

    /// The positions that `GET /api/v1/logs` shows.
    async fn shown(&self) -> Vec<i64> {
        let shown = "select number from activity where source = 'fact' order by number";
        sqlx::query_scalar(shown).fetch_all(&self.database.pool).await.unwrap()
    }

    /// How a question is answered.
    async fn plan(&self, question: &str) -> String {
        let mut owner = self.database.pool.begin().await.unwrap();
        owner.execute("set local enable_seqscan = off; set local enable_bitmapscan = off").await.unwrap();
        let explain = format!("explain (analyze, costs off, timing off, summary off) {question}");
        let lines: Vec<String> = sqlx::query_scalar(&explain).fetch_all(&mut *owner).await.unwrap();
        lines.join("\n")
    }
}

#[tokio::test]
async fn a_log_in_ranges_is_the_log_it_was() {
    let desk = Desk::cut().await;
    assert_eq!(desk.positions().await, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(desk.shown().await, [1, 2, 3, 4, 5, 6, 7, 8]);
    let ranges = "select array[(select count(*) from events_1), (select count(*) from events_2)]";
    let ranges: Vec<i64> = sqlx::query_scalar(ranges).fetch_one(&desk.database.pool).await.unwrap();
    assert_eq!(ranges, [6, 2]);
    assert!(desk.audit().unwrap().contains("8 events, no hole"));

    // A version that a stream has in one range is refused in the next.
    let refused = desk.log.append(facts(2, 0, [opened()])).await;
    assert!(matches!(refused, Err(AppendError::Conflict(StreamId::DonorQuery(id))) if id == QueryId::new(2)));
    for deed in ["update events set position = 0", "delete from events_2", "truncate events", "truncate events_1"] {
        let error = desk.database.pool.execute(deed).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{deed}: {error}");
    }
    let mut begin = vec![("LAST", "events_2"), ("NEXT", "events_3"), ("FIRST", "7"), ("BOUNDARY", "10")];
    desk.run("begin", &begin).unwrap();
    desk.append(5, 0, [opened(), accepted_by(&ada())]).await;
    desk.append(2, 1, [accepted_by(&ada())]).await;
    assert_eq!(desk.positions().await, (1..=11).collect::<Vec<_>>());
    let last: i64 = sqlx::query_scalar("select count(*) from events_3").fetch_one(&desk.database.pool).await.unwrap();
    assert_eq!(last, 2);
    begin[3].1 = "9";
    assert!(desk.run("begin", &begin).unwrap_err().contains("violated"), "a boundary behind the head is refused");
}

#[tokio::test]
async fn only_the_ranges_that_are_needed_are_looked_at() {
    let desk = Desk::cut().await;
    let head = desk.plan("select position from events order by position desc limit 1").await;
    let first = head.lines().find(|line| line.contains("on events_1")).unwrap_or_else(|| panic!("{head}"));
    assert!(first.contains("never executed"), "{head}");
    let tail = desk.plan("select * from events where position > 7 order by position limit 100").await;
    assert!(!tail.contains("events_1"), "{tail}");
    let version = desk
        .plan(
            "select sequence from events where aggregate_type = 'DonorQuery' and aggregate_id = '3'
             order by sequence desc limit 1",
        )
        .await;
    // One descent of an index in each range, and neither a sort nor a look at all rows.
    assert_eq!(version.matches("Index Scan").count() + version.matches("Index Only Scan").count(), 2, "{version}");
    assert!(!version.contains("Seq Scan") && !version.contains("Sort Method"), "{version}");
}

#[tokio::test]
async fn an_archived_range_leaves_what_goes_on() {
    let desk = Desk::cut().await;
    desk.archive();
    assert_eq!(desk.positions().await, [4, 5, 6, 7, 8]);
    let said = desk.audit().unwrap();
    assert!(said.contains("positions 1 to 6 are archived; 3 of their facts are still here"), "{said}");
    // Nodes know what they know; a new one reads what is left.
    let log = node::log(&desk.database);
    let version = log.load_from_facts::<DonorQuery>(QueryId::new(3)).await.unwrap().version;
    assert_eq!(version, 3);
    desk.append(2, 1, [accepted_by(&ada()), marked_in_progress(staff(&ada()))]).await;
    assert_eq!(desk.positions().await, [4, 5, 6, 7, 8, 9, 10]);
    desk.shell("concierge projections rebuild queries", &[]).unwrap();
    let shown: Vec<i64> = sqlx::query_scalar("select query_id from read.queries order by query_id")
        .fetch_all(&desk.database.pool)
        .await
        .unwrap();
    assert_eq!(shown, [2, 3, 4]);
    desk.database.pool.execute("drop table events_1").await.unwrap();
    assert_eq!(desk.shown().await, [4, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn an_archive_is_no_excuse_for_a_loss() {
    let desk = Desk::cut().await;
    desk.archive();
    lose(&desk, "events_2", 7).await;
    assert!(desk.audit().unwrap_err().contains("the fact at position 7 is missing"));
    let desk = Desk::cut().await;
    desk.archive();
    lose(&desk, "events_1_kept", 5).await;
    let said = desk.audit().unwrap_err();
    assert!(said.contains("3 facts were kept and 2 are here"), "{said}");
}

/// What an owner of the database does behind the service's back.
async fn lose(desk: &Desk, range: &str, position: i64) {
    let deed = format!("alter table {range} disable trigger user; delete from {range} where position = {position}");
    desk.database.pool.execute(deed.as_str()).await.unwrap();
}

#[tokio::test]
async fn an_archive_comes_back() {
    let desk = Desk::cut().await;
    desk.archive();
    desk.run("return", &[("PART", "events_1"), ("BOUNDARY", "7")]).unwrap();
    assert_eq!(desk.positions().await, [1, 2, 3, 4, 5, 6, 7, 8]);
    let said = desk.audit().unwrap();
    assert!(said.contains("8 events, no hole") && !said.contains("archived"), "{said}");
}
