//! People who listen: over a WebSocket or server-sent events, coming back after every cut with the position they saw last,
//! and folding what they hear into the state of every query.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::load::{Load, Opened};
use super::{Desk, World};

/// How long a connection may be silent before the listener makes another one.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a listener waits before it comes back.
const PAUSE: Duration = Duration::from_millis(20);

/// What a listener knows of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) version: i64,
    pub(crate) status: String,
    pub(crate) messages: i64,
    pub(crate) active_call: Option<i64>,
}

/// Everything a listener heard, folded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folded {
    /// The position it would resume after.
    pub(crate) cursor: i64,
    pub(crate) queries: BTreeMap<i64, Known>,
    /// Whose ears these are: a donor's, who hears of one query alone, or those of staff.
    pub(crate) donor: Option<Opened>,
    /// How often it had to make a connection.
    pub(crate) connections: usize,
    /// What a listener should never hear: a gap, a repetition, an order to read everything again.
    pub(crate) violations: Vec<String>,
}

/// Listeners at work.
pub(crate) struct Listeners {
    tasks: JoinSet<()>,
    folded: Vec<Arc<Mutex<Folded>>>,
    goal: watch::Sender<Option<i64>>,
}

/// One listener.
struct Listener {
    desk: Desk,
    http: reqwest::Client,
    token: Arc<str>,
    folded: Arc<Mutex<Folded>>,
    goal: watch::Receiver<Option<i64>>,
    cuts: Option<usize>,
    random: StdRng,
}

/// Why a connection is over.
enum Over {
    /// The goal is reached.
    Done,
    /// The connection ended, or the listener ended it.
    Cut,
}

impl Listeners {
    /// Lets so many staff members listen from the first fact on, every other one over server-sent events. With `cuts`, each
    /// tears its connection after at most so many facts.
    pub(crate) fn start(world: &World, count: usize, cuts: Option<usize>) -> Self {
        let goal = watch::Sender::new(None);
        let mut listeners = Self { tasks: JoinSet::new(), folded: Vec::new(), goal };
        for number in 0..count {
            let listener = listeners.listener(world, number, cuts);
            listeners.tasks.spawn(listener.run(number % 2 == 1));
        }
        listeners
    }

    /// Lets so many donors listen as well, the first of a load, each from when it is told its query.
    pub(crate) fn and_donors(mut self, world: &World, load: &Load, count: usize, cuts: Option<usize>) -> Self {
        for number in 0..count {
            let listener = self.listener(world, number, cuts);
            self.tasks.spawn(listener.run_for_donor(load.opened(), number));
        }
        self
    }

    fn listener(&mut self, world: &World, number: usize, cuts: Option<usize>) -> Listener {
        let (desk, folded) = (world.desk(), Arc::new(Mutex::new(Folded::default())));
        self.folded.push(Arc::clone(&folded));
        Listener {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: Arc::clone(&desk.ada),
            desk,
            folded,
            goal: self.goal.subscribe(),
            cuts,
            random: StdRng::seed_from_u64(number as u64),
        }
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.folded.iter().map(|folded| folded.lock().unwrap().connections).sum()
    }

    /// Lets everybody hear up to a position, and returns what they made of it; where they are if that takes too long.
    pub(crate) async fn finish(self, head: i64, limit: Duration) -> Vec<Folded> {
        self.goal.send_replace(Some(head));
        // Whoever is not there by then has a cursor that says so.
        let _ = timeout(limit, self.tasks.join_all()).await;
        self.folded.iter().map(|folded| folded.lock().unwrap().clone()).collect()
    }
}

impl Listener {
    async fn run(mut self, by_events: bool) {
        loop {
            let (door, patience) = (self.random.random_range(0..self.desk.doors.len()), self.patience());
            self.folded.lock().unwrap().connections += 1;
            let base = self.desk.doors[door].clone();
            let over = if by_events {
                self.hear_events(&base, patience).await
            } else {
                self.hear_socket(&base, patience).await
            };
            if let Over::Done = over {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits for the query of a donor and listens for them.
    async fn run_for_donor(mut self, mut opened: watch::Receiver<Vec<Opened>>, number: usize) {
        // The load ends only when everything was said; a donor who never came has nothing to hear.
        let Ok(donor) = opened.wait_for(|opened| opened.len() > number).await.map(|opened| opened[number].clone())
        else {
            return;
        };
        self.token = donor.token.clone();
        self.folded.lock().unwrap().donor = Some(donor);
        self.run(number % 2 == 1).await;
    }

    /// After how many facts this connection is torn.
    fn patience(&mut self) -> usize {
        self.cuts.map_or(usize::MAX, |most| self.random.random_range(0..=most))
    }

    fn cursor(&self) -> i64 {
        self.folded.lock().unwrap().cursor
    }

    /// Waits for something unless there is nothing left to hear; nothing if it takes too long.
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Over> {
        let mut goal = self.goal.clone();
        let reached = goal.wait_for(|goal| goal.is_some_and(|goal| self.cursor() >= goal));
        tokio::select! {
            biased;
            _ = reached => Err(Over::Done),
            done = timeout(SILENCE, work) => done.map_err(|_| Over::Cut),
        }
    }

    async fn hear_socket(&self, base: &str, patience: usize) -> Over {
        let heard = async {
            let url = format!("{}/api/v1/ws", base.replacen("http", "ws", 1));
            let (mut socket, _) = self.within(tokio_tungstenite::connect_async(url)).await?.map_err(|_| Over::Cut)?;
            let hello = json!({ "type": "hello", "token": &*self.token, "after": self.cursor() });
            self.within(socket.send(Message::text(hello.to_string()))).await?.map_err(|_| Over::Cut)?;
            let mut facts = 0;
            while facts < patience {
                match self.within(socket.next()).await? {
                    Some(Ok(Message::Text(text))) => facts += self.take(&text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over::Cut),
                    Some(Ok(_)) => {}
                }
            }
            Err(Over::Cut)
        };
        let over: Result<(), Over> = heard.await;
        over.err().unwrap_or(Over::Cut)
    }

    async fn hear_events(&self, base: &str, patience: usize) -> Over {
        let heard = async {
            let request = self.http.get(format!("{base}/api/v1/events/stream")).bearer_auth(&self.token);
            let request = request.header("Last-Event-ID", self.cursor().to_string());
            let mut response = self.within(request.send()).await?.map_err(|_| Over::Cut)?;
            let (mut facts, mut text) = (0, Vec::new());
            while facts < patience && response.status().is_success() {
                let Ok(Some(chunk)) = self.within(response.chunk()).await? else { return Err(Over::Cut) };
                text.extend_from_slice(&chunk);
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    if let Some(data) = std::str::from_utf8(&line).unwrap().trim_end().strip_prefix("data:") {
                        facts += self.take(data.trim_start());
                    }
                }
            }
            Err(Over::Cut)
        };
        let over: Result<(), Over> = heard.await;
        over.err().unwrap_or(Over::Cut)
    }

    /// Takes a line; 1 if it told a fact.
    fn take(&self, line: &str) -> usize {
        let line: Value = serde_json::from_str(line).unwrap();
        let mut folded = self.folded.lock().unwrap();
        match line["type"].as_str() {
            Some("event") => {
                folded.take(&line);
                1
            }
            Some("live" | "heartbeat") => {
                folded.pass(&line);
                0
            }
            Some("resync" | "error") => {
                let cursor = folded.cursor;
                folded.violations.push(format!("after {cursor}: {line}"));
                0
            }
            _ => 0,
        }
    }
}

impl Folded {
    /// Folds a fact in. Staff hear every one of them, so the next has the next number; donors hear of their query.
    fn take(&mut self, fact: &Value) {
        let number = |key: &str| fact[key].as_i64();
        let (position, query) = (number("position").unwrap_or_default(), number("queryId").unwrap_or_default());
        let follows = match &self.donor {
            None => position == self.cursor + 1,
            Some(donor) => position > self.cursor && query == donor.query,
        };
        if !follows {
            self.violations.push(format!("after {} came {fact}", self.cursor));
        }
        self.cursor = position;
        let known = self.queries.entry(query).or_default();
        if let Some(version) = number("version") {
            // Staff are reminded of a query without its donor.
            let follows = version == known.version + 1 || self.donor.is_some() && version > known.version;
            if !follows {
                self.violations.push(format!("version {} was followed by {fact}", known.version));
            }
            known.version = version;
        }
        match fact["event"].as_str().unwrap_or_default() {
            "QueryOpened" | "QueryAccepted" | "QueryMarkedInProgress" | "QueryReopened" => known.become_(IN_PROGRESS),
            "QueryMarkedPendingReply" => known.become_("PENDING_REPLY"),
            "QueryTransferred" => known.become_("TRANSFERRED"),
            "QueryResolved" | "QueryClosedByDonor" => known.become_("RESOLVED"),
            "MessagePosted" => known.messages += 1,
            "CallAttached" => known.active_call = fact["data"]["callSessionId"].as_i64(),
            "CallDetached" => known.active_call = None,
            _ => {}
        }
    }

    /// Takes note that everything up to a position was told. Staff were told every one.
    fn pass(&mut self, notice: &Value) {
        let position = notice["position"].as_i64().or(notice["head"].as_i64()).unwrap_or_default();
        if position < self.cursor || self.donor.is_none() && position != self.cursor {
            self.violations.push(format!("after {} came {notice}", self.cursor));
        }
        self.cursor = position;
    }
}

const IN_PROGRESS: &str = "IN_PROGRESS";

impl Known {
    fn become_(&mut self, status: &str) {
        status.clone_into(&mut self.status);
    }
}
