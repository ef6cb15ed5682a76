//! People at work: each client plays the same story again and again, repeats what was not answered under the same key, and
//! writes down what it was told.
//!
//! A story has one author, so the facts of its query are known in advance: those of [`STEPS`], one after the other, each
//! step whole or not at all. That is what the judge compares with the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Desk, LIMIT, World, query_of};
use crate::support::eventually::eventually;

/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a client waits before it repeats a command.
const PAUSE: Duration = Duration::from_millis(25);

/// One of so many commands that were not answered is never repeated: somebody closed their browser.
const GIVES_UP: u32 = 8;

/// How many senders there are at a time.
const SENDERS: usize = 24;

/// What happens in a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    Accept,
    DonorSays,
    StaffSay,
    RequestCall,
    AcceptCall,
    EndCall,
    Transfer,
    Take,
    Resolve,
}

/// A story, in order. Two streams at once where a call begins and ends; message and status at once where somebody says
/// something that moves the query.
pub(crate) const STEPS: &[Step] = &[
    Step::Open,
    Step::Accept,
    Step::DonorSays,
    Step::StaffSay,
    Step::RequestCall,
    Step::AcceptCall,
    Step::EndCall,
    Step::DonorSays,
    Step::Transfer,
    Step::Take,
    Step::StaffSay,
    Step::Resolve,
];

/// One query, as its author knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// Whose it is; nobody else has one of theirs.
    pub(crate) donor: String,
    /// Its id, once that was told.
    pub(crate) query: Option<i64>,
    /// What was acknowledged: the beginning of [`STEPS`].
    pub(crate) told: Vec<Told>,
    /// Whether the step after that was sent and never answered: it happened, or it did not.
    pub(crate) is_open_ended: bool,
    token: String,
    room: Option<String>,
}

/// A query that was opened, and what its donor listens with.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) query: i64,
    pub(crate) token: Arc<str>,
}

/// One acknowledgment.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Where the last fact of the command is.
    pub(crate) position: Option<i64>,
    /// What was said, if something was, and under which id it is known.
    pub(crate) said: Option<(String, Option<i64>)>,
}

/// What all clients wrote down.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) stories: Vec<Story>,
    /// Answers that nobody should get: refusals of what is in order.
    pub(crate) violations: Vec<String>,
    /// How many commands were repeated.
    pub(crate) repeated: usize,
}

/// Clients at work.
pub(crate) struct Load {
    clients: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    stop: AtomicBool,
    notes: Mutex<Notes>,
    opened: watch::Sender<Vec<Opened>>,
}

/// An answer to a command.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    position: Option<i64>,
    /// Whether the node asks to be asked no more.
    is_last: bool,
    body: Value,
}

/// One client.
pub(crate) struct Author {
    desk: Desk,
    http: reqwest::Client,
    door: usize,
    random: StdRng,
    shared: Arc<Shared>,
}

/// A command that can be repeated.
struct Errand {
    method: Method,
    path: String,
    token: String,
    key: String,
    body: Value,
}

impl Load {
    /// Lets so many clients work.
    pub(crate) fn start(world: &World, clients: usize, seed: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let clients = (0..clients as u64).map(|number| {
            let mut author = Author::new(world.desk(), seed.wrapping_add(number), Arc::clone(&shared));
            async move {
                while !author.is_stopped() {
                    author.tell(STEPS.len()).await;
                }
            }
        });
        Self { clients: clients.collect(), shared }
    }

    /// How many commands were answered so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until so many more commands were answered.
    pub(crate) async fn answered(&self, more: usize) {
        let goal = self.count() + more;
        eventually(LIMIT, async || (self.count(), self.violations()), |(count, bad)| *count >= goal || !bad.is_empty())
            .await;
    }

    /// Follows the queries that are opened.
    pub(crate) fn opened(&self) -> watch::Receiver<Vec<Opened>> {
        self.shared.opened.subscribe()
    }

    /// How many commands were sent again so far.
    pub(crate) fn repeated(&self) -> usize {
        self.shared.notes.lock().unwrap().repeated
    }

    /// What nobody should have been answered, so far.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.shared.notes.lock().unwrap().violations.clone()
    }

    /// Lets every client get the answer to its last command, and collects what they wrote down.
    pub(crate) async fn finish(self) -> Notes {
        self.shared.stop.store(true, Ordering::SeqCst);
        let done = tokio::time::timeout(LIMIT, self.clients.join_all()).await;
        let mut notes = std::mem::take(&mut *self.shared.notes.lock().unwrap());
        if done.is_err() {
            notes.violations.push(format!("clients wait for answers for more than {LIMIT:?}"));
        }
        notes
    }
}

/// Says so many things so many times each, under one key each, through every door at once.
///
/// # Errors
/// What was not as it should be: every answer to a key is the same one, and every word is there once.
pub(crate) async fn send_again_and_again(world: &World, words: usize, times: usize) -> Result<(), String> {
    let query = Author::alone(world, 2).await.query.unwrap_or_default();
    let shared = Arc::new(Shared::default());
    let senders = (0..SENDERS).map(|sender| {
        let author = Author::new(world.desk(), sender as u64, Arc::clone(&shared));
        // All of them say the same word at about the same time.
        author.repeat(query, (sender..words * times).step_by(SENDERS).map(|send| send / times).collect())
    });
    let answers: Vec<_> = futures_util::future::join_all(senders).await.into_iter().flatten().collect();
    let violations = std::mem::take(&mut shared.notes.lock().unwrap().violations);
    if !violations.is_empty() {
        return Err(violations.join("\n"));
    }
    let said: Vec<(i64, String)> =
        sqlx::query_as("select message_id, content from read.messages where query_id = $1 and content like 'word %'")
            .bind(query)
            .fetch_all(&world.pool)
            .await
            .map_err(|error| error.to_string())?;
    let ids: HashMap<&str, i64> = said.iter().map(|(id, content)| (content.as_str(), *id)).collect();
    if said.len() != words || ids.len() != words {
        return Err(format!("{words} words were sent {times} times and {} are there", said.len()));
    }
    let other = answers.iter().find(|(word, id)| ids.get(word.as_str()) != Some(id));
    other.map_or(Ok(()), |other| Err(format!("not everybody was answered the same: {other:?}")))
}

impl Author {
    fn new(desk: Desk, seed: u64, shared: Arc<Shared>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).tcp_nodelay(true).build().unwrap();
        let mut random = StdRng::seed_from_u64(seed);
        let door = random.random_range(0..desk.doors.len());
        Self { desk, http, door, random, shared }
    }

    /// Somebody who works alone and is told so many steps of one story.
    pub(crate) async fn alone(world: &World, steps: usize) -> Story {
        let shared = Arc::new(Shared::default());
        Self::new(world.desk(), 0, Arc::clone(&shared)).tell(steps).await;
        let mut notes = std::mem::take(&mut *shared.notes.lock().unwrap());
        assert!(notes.violations.is_empty(), "{:#?}", notes.violations);
        notes.stories.remove(0)
    }

    /// Says words, each until it is answered with the message, and returns under which id it is known.
    async fn repeat(mut self, query: i64, words: Vec<usize>) -> Vec<(String, i64)> {
        let mut answers = Vec::new();
        for word in words.into_iter().map(|word| format!("word {word}")) {
            let (path, token) = (format!("/api/v1/messages/admin/{query}"), self.desk.ada.to_string());
            let (key, body) = (word.replace(' ', "-"), json!({ "content": word, "messageType": "CHAT" }));
            let errand = Errand { method: Method::POST, path, token, key, body };
            while self.shared.notes.lock().unwrap().violations.is_empty() {
                let Some(answer) = self.carry_out(&errand).await else { continue };
                if answer.status == StatusCode::CREATED {
                    answers.push((word, answer.body.pointer("/data/id").and_then(Value::as_i64).unwrap_or_default()));
                    break;
                }
                self.pause().await;
            }
            self.change_door();
        }
        answers
    }

    fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::SeqCst)
    }

    /// Plays a story up to a step, unless it is stopped or gives up before.
    async fn tell(&mut self, steps: usize) {
        let mut story = Story { donor: format!("donor-{}", Uuid::new_v4()), ..Story::default() };
        for step in &STEPS[..steps] {
            if self.is_stopped() {
                break;
            }
            let said = matches!(step, Step::Open | Step::DonorSays | Step::StaffSay);
            let said = said.then(|| format!("{step:?} {} of {}", story.told.len(), story.donor));
            let Some(errand) = self.errand(&story, *step, said.as_deref()).await else { break };
            let Some(answer) = self.carry_out(&errand).await else {
                story.is_open_ended = true;
                break;
            };
            story.take(*step, said, &answer);
            if let (Step::Open, Some(query)) = (step, story.query) {
                let opened = Opened { query, token: story.token.as_str().into() };
                self.shared.opened.send_modify(|all| all.push(opened));
            }
            self.shared.answered.fetch_add(1, Ordering::SeqCst);
        }
        self.shared.notes.lock().unwrap().stories.push(story);
    }

    /// What a step asks for.
    async fn errand(&mut self, story: &Story, step: Step, said: Option<&str>) -> Option<Errand> {
        let (ada, ben) = (self.desk.ada.to_string(), self.desk.ben.0.to_string());
        let query = story.query.unwrap_or_default();
        let said = json!({ "content": said, "messageType": "QUERY" });
        let (method, path, token, body) = match step {
            Step::Open => {
                let mut body = query_of(&story.donor);
                body["content"] = said["content"].clone();
                (Method::POST, "donor-queries".to_owned(), String::new(), body)
            }
            Step::Accept => (Method::PATCH, format!("donor-queries/{query}/accept"), ada, json!({})),
            Step::DonorSays => (Method::POST, format!("messages/donor/{query}"), story.token.clone(), said),
            Step::StaffSay => (Method::POST, format!("messages/admin/{query}"), story.holder(ada, ben), said),
            Step::RequestCall => {
                (Method::POST, format!("communication/call/{query}/request"), story.token.clone(), json!({}))
            }
            Step::AcceptCall => (Method::POST, format!("communication/call/{query}/accept-request"), ada, json!({})),
            Step::EndCall => {
                let room = self.room(story).await?;
                (Method::POST, format!("communication/call/{room}/end"), ada, json!({}))
            }
            Step::Transfer => {
                let body = json!({ "adminId": self.desk.ben.1, "transferNote": "yours" });
                (Method::PATCH, format!("donor-queries/{query}/transfer"), ada, body)
            }
            Step::Take => (Method::PATCH, format!("donor-queries/{query}/accept"), ben, json!({})),
            Step::Resolve => (Method::PATCH, format!("donor-queries/{query}/resolve"), ben, json!({})),
        };
        let path = format!("/api/v1/{path}");
        Some(Errand { method, path, token, body, key: Uuid::new_v4().to_string() })
    }

    /// The room of the call that goes on, which the answer that began it may not have told yet.
    async fn room(&mut self, story: &Story) -> Option<String> {
        if let Some(room) = &story.room {
            return Some(room.clone());
        }
        let path = format!("/api/v1/communication/call/{}/active-call", story.query.unwrap_or_default());
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let (body, key) = (Value::Null, Uuid::new_v4().to_string());
            let ask = Errand { method: Method::GET, path: path.clone(), token: story.token.clone(), key, body };
            if let Ok(answer) = self.send(&ask).await
                && let Some(room) = answer.body.pointer("/data/room/name").and_then(Value::as_str)
            {
                return Some(room.to_owned());
            }
            self.pause().await;
        }
        self.violation(format!("a call began and cannot be read: {story:?}"));
        None
    }

    /// Sends a command until it is answered for good; nothing if the client gave up, or was refused.
    async fn carry_out(&mut self, errand: &Errand) -> Option<Answer> {
        let deadline = Instant::now() + LIMIT;
        let mut last = String::new();
        while Instant::now() < deadline {
            match self.send(errand).await {
                Ok(answer) if answer.status.is_success() => {
                    if answer.is_last {
                        self.change_door();
                    }
                    return Some(answer);
                }
                Ok(answer) if is_passing(&answer) => last = format!("{answer:?}"),
                Ok(answer) => {
                    self.violation(format!("{} {} was refused: {answer:?}", errand.method, errand.path));
                    return None;
                }
                Err(error) if error.is_connect() => {
                    // Nobody was there to be asked.
                    self.pause().await;
                    continue;
                }
                Err(error) => {
                    last = format!("{error:?}");
                    if self.random.random_range(0..GIVES_UP) == 0 {
                        return None;
                    }
                }
            }
            self.shared.notes.lock().unwrap().repeated += 1;
            self.pause().await;
        }
        self.violation(format!("{} {} was not answered within {LIMIT:?}: {last}", errand.method, errand.path));
        None
    }

    async fn send(&self, errand: &Errand) -> reqwest::Result<Answer> {
        let url = format!("{}{}", self.desk.doors[self.door], errand.path);
        let mut request = self.http.request(errand.method.clone(), url).header("Idempotency-Key", &errand.key);
        if !errand.token.is_empty() {
            request = request.bearer_auth(&errand.token);
        }
        if errand.method != Method::GET {
            request = request.json(&errand.body);
        }
        let response = request.send().await?;
        let status = response.status();
        let position = response.headers().get("concierge-position").and_then(|value| value.to_str().ok()?.parse().ok());
        let is_last = response.headers().get("connection").is_some_and(|value| value == "close");
        let bytes = response.bytes().await?;
        Ok(Answer { status, position, is_last, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    /// Waits a moment and goes to another door, if there is one.
    async fn pause(&mut self) {
        self.change_door();
        sleep(PAUSE).await;
    }

    fn change_door(&mut self) {
        let others = self.desk.doors.len() - 1;
        if others > 0 {
            self.door = (self.door + self.random.random_range(1..=others)) % (others + 1);
        }
    }

    fn violation(&self, what: String) {
        self.shared.notes.lock().unwrap().violations.push(what);
    }
}

impl Story {
    fn take(&mut self, step: Step, said: Option<String>, answer: &Answer) {
        let text = |pointer: &str| answer.body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let is_later = answer.status == StatusCode::ACCEPTED;
        match step {
            Step::Open => {
                self.query = answer.body.pointer("/data/id").and_then(Value::as_i64);
                self.token = text("/data/donorToken").unwrap_or_default();
            }
            Step::AcceptCall => self.room = text("/data/room/name"),
            Step::Accept
            | Step::DonorSays
            | Step::StaffSay
            | Step::RequestCall
            | Step::EndCall
            | Step::Transfer
            | Step::Take
            | Step::Resolve => {}
        }
        let is_message = matches!(step, Step::DonorSays | Step::StaffSay) && !is_later;
        let id = answer.body.pointer("/data/id").and_then(Value::as_i64).filter(|_| is_message);
        self.told.push(Told { position: answer.position, said: said.map(|said| (said, id)) });
    }

    /// Who of the two holds it.
    fn holder(&self, ada: String, ben: String) -> String {
        let handed_over = STEPS.iter().position(|step| *step == Step::Take).unwrap_or_default();
        if self.told.len() > handed_over { ben } else { ada }
    }
}

/// Whether it is worth asking again.
fn is_passing(answer: &Answer) -> bool {
    let code = answer.body["code"].as_str().unwrap_or_default();
    answer.status.is_server_error()
        || answer.status == StatusCode::TOO_MANY_REQUESTS
        || matches!(code, "in_flight" | "contended")
}
