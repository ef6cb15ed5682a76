//! Whether every promise was kept: waits until the world is quiet, then looks at everything that it wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aggregates::policy::{Effect, effects};
use aggregates::recorded::Position;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};
use uuid::Uuid;

use super::listen::{Folded, Known, Listeners};
use super::load::{Author, Load, Notes, Opened, STEPS, Story};
use super::node::Node;
use super::{LIMIT, World, replay, stream};

/// How often the judge looks whether the world is quiet.
const LOOK: Duration = Duration::from_millis(100);

/// What was looked at, for people.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    /// Facts in the log.
    pub(crate) facts: i64,
    /// Commands that were acknowledged.
    pub(crate) acknowledged: usize,
    /// Commands that were sent again.
    pub(crate) repeated: usize,
    /// Effects that were carried out, or skipped for a reason.
    pub(crate) deliveries: usize,
    /// Connections that listeners made.
    pub(crate) connections: usize,
}

/// Ends load and listening and checks that
///
/// - every acknowledged command is in the log once, where it was said to be, and every other one whole or not at all;
/// - positions have no gap, every digest verifies, and the stream in NATS is the log;
/// - the read models are what the log makes of them;
/// - what every listener folded, staff and donors, is what the desk shows them, with no fact missed or heard twice;
/// - every effect of every fact was planned once and is recorded as done, and none was skipped for an untrue reason.
///
/// # Errors
/// Everything that is not so, with the last lines of the nodes' logs.
pub(crate) async fn judge(world: &World, load: Load, listeners: Listeners) -> Result<Verdict, String> {
    let mut findings = Vec::new();
    let notes = load.finish().await;
    let head = settle(world, &mut findings).await;
    let pattern = Pattern::learn(world, &mut findings).await;
    let head = head.max(settle(world, &mut findings).await);
    findings.extend(notes.violations.iter().cloned());
    check_log(world, head, &mut findings).await;
    check_stories(world, &pattern, &notes, &mut findings).await;
    check_stream(world, &mut findings).await;
    let different = replay::tables_unlike_replay(&world.open_log(), &world.pool).await;
    findings.extend(different.into_iter().map(|table| format!("{table} is not what the log makes of it")));
    let heard = listeners.finish(head, LIMIT).await;
    check_listeners(world, head, &heard, &mut findings).await;
    let deliveries = check_effects(world, &mut findings).await;
    let (verifies, said) = world.concierge(&["audit", "verify"]);
    if !verifies {
        findings.push(format!("audit verify: {said}"));
    }
    if findings.is_empty() {
        return Ok(Verdict {
            facts: head,
            acknowledged: notes.stories.iter().map(|story| story.told.len()).sum(),
            repeated: notes.repeated,
            deliveries,
            connections: heard.iter().map(|folded| folded.connections).sum(),
        });
    }
    findings.truncate(40);
    let logs = world.nodes.iter().map(Node::last_words).collect::<Vec<_>>().join("\n---\n");
    Err(format!("{}\n\nThe nodes said last:\n{logs}", findings.join("\n")))
}

/// Waits until everybody has got to the end of the log and nothing waits to be delivered; the last position.
///
/// What waits for its next attempt, or for the patience with a node that died to end, is made due: that only takes time.
async fn settle(world: &World, findings: &mut Vec<String>) -> i64 {
    let deadline = Instant::now() + LIMIT;
    let mut hurried_at = Instant::now();
    loop {
        let left: Vec<(String, i64)> = sqlx::query_as(
            "with head as (select coalesce(max(position), 0) as position from events)
             select 'planned', (select position from head) - (select position from reaction_checkpoint)
             union all
             select 'delivered', count(*) from deliveries where state = 'pending'
             union all
             select 'projected', count(*)
             from projection_checkpoints c
             join lateral (
                 select coalesce(max(position), 0) as position from events where query_id % 16 = c.partition
             ) as last on last.position > c.position",
        )
        .fetch_all(&world.pool)
        .await
        .unwrap();
        let waiting: Vec<_> = left.iter().filter(|(_, count)| *count > 0).collect();
        if waiting.is_empty() || Instant::now() > deadline {
            findings.extend(waiting.iter().map(|(what, count)| format!("not {what} within {LIMIT:?}: {count}")));
            return world.open_log().head().await.unwrap().0;
        }
        if hurried_at.elapsed() > Duration::from_secs(2) {
            hurried_at = Instant::now();
            let hurry = "update deliveries
                         set due_at = now()
                         where state = 'pending'
                           and due_at > now() + interval '3 seconds'";
            sqlx::query(hurry).execute(&world.pool).await.unwrap();
        }
        sleep(LOOK).await;
    }
}

/// The facts of every step of a story.
struct Pattern(Vec<Vec<String>>);

impl Pattern {
    /// Plays a story in a quiet world, and sees which facts each step makes.
    async fn learn(world: &World, findings: &mut Vec<String>) -> Self {
        let story = Author::alone(world, STEPS.len()).await;
        let facts = facts_of(world).await;
        let facts = story.query.and_then(|query| facts.get(&query)).cloned().unwrap_or_default();
        let mut steps = vec![Vec::new()];
        for (position, kind) in facts {
            let step = steps.len() - 1;
            steps[step].push(kind);
            if story.told.get(step).is_some_and(|told| told.position == Some(position)) {
                steps.push(Vec::new());
            }
        }
        let rest = steps.pop().unwrap_or_default();
        if steps.len() != STEPS.len() || !rest.is_empty() {
            findings
                .push(format!("in a quiet world a story was told as {story:?} and written as {steps:?} + {rest:?}"));
        }
        Self(steps)
    }

    fn first(&self, steps: usize) -> Vec<&str> {
        self.0.iter().take(steps).flatten().map(String::as_str).collect()
    }
}

/// The facts about every query, of both its streams, in order: position and kind.
async fn facts_of(world: &World) -> HashMap<i64, Vec<(i64, String)>> {
    let facts: Vec<(i64, i64, String)> =
        sqlx::query_as("select query_id, position, event_type from events order by position")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let mut of_queries: HashMap<i64, Vec<_>> = HashMap::new();
    for (query, position, kind) in facts {
        of_queries.entry(query).or_default().push((position, kind));
    }
    of_queries
}

async fn check_log(world: &World, head: i64, findings: &mut Vec<String>) {
    let (count, first, last): (i64, i64, i64) =
        sqlx::query_as("select count(*), coalesce(min(position), 0), coalesce(max(position), 0) from events")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    if (count, last) != (head, head) || first != i64::from(head > 0) {
        findings.push(format!("{count} facts stand at positions {first} to {last}, and the head is {head}"));
    }
}

async fn check_stories(world: &World, pattern: &Pattern, notes: &Notes, findings: &mut Vec<String>) {
    let facts = facts_of(world).await;
    let queries: Vec<(String, i64)> =
        sqlx::query_as("select donor_id, query_id from read.queries").fetch_all(&world.pool).await.unwrap();
    let mut of_donors: HashMap<String, Vec<i64>> = HashMap::new();
    for (donor, query) in queries {
        of_donors.entry(donor).or_default().push(query);
    }
    let said: Vec<(i64, String)> =
        sqlx::query_as("select message_id, content from read.messages").fetch_all(&world.pool).await.unwrap();
    let mut ids_of: HashMap<String, Vec<i64>> = HashMap::new();
    for (id, content) in said {
        ids_of.entry(content).or_default().push(id);
    }
    for story in &notes.stories {
        let of_donor = of_donors.get(&story.donor).map_or(&[][..], Vec::as_slice);
        if of_donor.len() > 1 || story.query.is_some_and(|query| of_donor != [query]) {
            findings.push(format!("{} has queries {of_donor:?} and was told {:?}", story.donor, story.query));
            continue;
        }
        let written = of_donor.first().and_then(|query| facts.get(query)).map_or(&[][..], Vec::as_slice);
        check_story(story, pattern, written, findings);
        for (content, id) in story.told.iter().filter_map(|told| told.said.as_ref()) {
            let ids = ids_of.get(content).map_or(&[][..], Vec::as_slice);
            if ids.len() != 1 || id.is_some_and(|id| ids != [id]) {
                findings.push(format!("{content:?} was told to be message {id:?} and is {ids:?}"));
            }
        }
    }
}

/// What was acknowledged is there, in full and where it was said to be; of what was not, all or nothing.
fn check_story(story: &Story, pattern: &Pattern, written: &[(i64, String)], findings: &mut Vec<String>) {
    let kinds: Vec<&str> = written.iter().map(|(_, kind)| kind.as_str()).collect();
    let acknowledged = story.told.len();
    let may_have_more = story.is_open_ended && kinds == pattern.first(acknowledged + 1);
    if kinds != pattern.first(acknowledged) && !may_have_more {
        let told = pattern.first(acknowledged);
        findings.push(format!("{story:?}\n  was told of {told:?}\n  and the log has {written:?}"));
        return;
    }
    for (step, told) in story.told.iter().enumerate() {
        let last = pattern.first(step + 1).len() - 1;
        if told.position.is_some_and(|position| position != written[last].0) {
            findings.push(format!("step {step} was told to be at {told:?} and is at {:?}", written[last]));
        }
    }
}

async fn check_stream(world: &World, findings: &mut Vec<String>) {
    let log: Vec<(i64, Uuid)> =
        sqlx::query_as("select position, event_id from events order by position").fetch_all(&world.pool).await.unwrap();
    let (context, name) = stream::jetstream(&world.config).await;
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = stream::facts_in(&context, &name).await;
        if seen == log || world.is_stream_torn && is_part_of(&seen, &log) {
            return;
        }
        if Instant::now() > deadline {
            findings.push(format!(
                "NATS holds {} messages that are not the {} facts of the log",
                seen.len(),
                log.len()
            ));
            return;
        }
        sleep(LOOK).await;
    }
}

/// Whether nothing but facts of the log is there, in its order and up to its end.
fn is_part_of(seen: &[(i64, Uuid)], log: &[(i64, Uuid)]) -> bool {
    let mut left = log.iter();
    seen.last() == log.last() && seen.iter().all(|fact| left.any(|known| known == fact))
}

async fn check_listeners(world: &World, head: i64, heard: &[Folded], findings: &mut Vec<String>) {
    let rows: Vec<(i64, i64, String, i64, Option<i64>)> = sqlx::query_as(
        "select query_id, version, status,
            (select count(*) from read.messages m where m.query_id = q.query_id),
            active_call_id
         from read.queries q",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let shown: BTreeMap<i64, Known> = rows
        .into_iter()
        .map(|(query, version, status, messages, active_call)| {
            (query, Known { version, status, messages, active_call })
        })
        .collect();
    for (number, folded) in heard.iter().enumerate() {
        findings.extend(folded.violations.iter().take(5).map(|violation| format!("listener {number}: {violation}")));
        let shown = match &folded.donor {
            Some(donor) => shown_to(world, donor, &shown).await,
            None => shown.clone(),
        };
        if folded.cursor != head {
            findings.push(format!("listener {number} heard up to {} of {head}", folded.cursor));
        } else if folded.queries != shown {
            let unlike = folded.queries.iter().find(|(query, known)| shown.get(query) != Some(known));
            findings.push(format!("listener {number} believes otherwise than the desk shows, as in {unlike:?}"));
        }
    }
}

/// What the desk shows a donor: their query, with the messages that are for them.
async fn shown_to(world: &World, donor: &Opened, shown: &BTreeMap<i64, Known>) -> BTreeMap<i64, Known> {
    let url = format!("{}/api/v1/messages/query/{}?limit=100", world.desk().doors[0], donor.query);
    let answer = reqwest::Client::new().get(url).timeout(LIMIT).bearer_auth(&donor.token).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let messages = answer["data"].as_array().map_or(-1, |messages| i64::try_from(messages.len()).unwrap());
    let known = shown.get(&donor.query).cloned().unwrap_or_default();
    BTreeMap::from([(donor.query, Known { messages, ..known })])
}

/// Compares what the facts ask for with what is recorded; the number of recorded deliveries.
async fn check_effects(world: &World, findings: &mut Vec<String>) -> usize {
    let mut asked = BTreeSet::new();
    let log = world.open_log();
    for stored in log.read_after(Position::START, i64::MAX).await.unwrap() {
        let fact = log.open(&stored).await.unwrap();
        for (number, effect) in (0i16..).zip(effects(&fact)) {
            if matches!(effect, Effect::Push { .. } | Effect::Mail { .. } | Effect::CloseRoom(_)) {
                asked.insert((fact.position.0, number));
            }
        }
    }
    let rows: Vec<(i64, i16, String, String)> =
        sqlx::query_as("select position, effect, target, state from deliveries").fetch_all(&world.pool).await.unwrap();
    let recorded: BTreeSet<_> = rows.iter().map(|(position, effect, ..)| (*position, *effect)).collect();
    let (missing, extra) = (asked.difference(&recorded).count(), recorded.difference(&asked).count());
    if missing > 0 || extra > 0 {
        findings.push(format!("{missing} effects were not planned, {extra} were planned that nobody asked for"));
    }
    let failed = rows.iter().filter(|(.., state)| state != "sent" && state != "skipped");
    findings.extend(failed.map(|row| format!("a delivery ended as {row:?}")));
    check_excuses(world, findings).await;
    rows.len()
}

/// Nobody was kept from hearing of something for a reason that the log does not know.
async fn check_excuses(world: &World, findings: &mut Vec<String>) {
    let untrue: Vec<(i64, String, String)> = sqlx::query_as(
        "select d.position, d.target, d.reason
         from deliveries d
         join (values
             ('the query was deleted', '{QueryDeleted}'::text[]),
             ('the call is over', '{CallDetached}'),
             ('the request was answered', '{CallRequestAccepted,CallRequestRejected,CallRequestCancelled}')
         ) as excuses (reason, facts) using (reason)
         where not exists (
             select
             from events e
             where e.query_id = d.query_id
               and e.position > d.position
               and e.event_type = any(excuses.facts)
         )",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    findings.extend(untrue.iter().map(|row| format!("a delivery was skipped for no reason: {row:?}")));
}
