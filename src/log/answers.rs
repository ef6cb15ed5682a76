//! Idempotency: what was asked under a client's key, and the answer it got.
//!
//! The key itself is written by the append that carries out the command; this is the part before it (was it used?) and
//! after it (what was answered?).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aggregates::ids::DonorId;
use aggregates::recorded::{Position, RecordedEvent, StreamId};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Log, LogError};

/// How long a repetition waits for the first request on this node.
const PATIENCE: Duration = Duration::from_secs(10);

/// Identifies one command of one client for seven days.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandKey {
    /// Who sent it: keys of different people never meet.
    pub scope: String,
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// What was asked: method, path and body.
    pub request_hash: [u8; 32],
}

/// An answer that was given for a [`CommandKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// The status code.
    pub status: u16,
    /// The body, exactly.
    pub body: Vec<u8>,
}

/// What is known about a [`CommandKey`].
pub enum Recall {
    /// Nobody used it, or its answer was lost: carry out the command and hold on to the guard meanwhile.
    Fresh(KeyGuard),
    /// The command was answered before.
    Answered {
        /// The answer.
        answer: RememberedAnswer,
        /// The last of its facts; none if the command had taken effect before.
        position: Option<Position>,
    },
    /// The key belongs to another request.
    Reused,
    /// The command is being carried out and did not end in time.
    InFlight,
}

/// The keys whose commands are under way on this node, each with a channel that closes when its command ends.
#[derive(Clone, Default)]
pub(super) struct InFlight {
    keys: Arc<Mutex<HashMap<(String, String), Waiting>>>,
}

struct Waiting {
    request_hash: [u8; 32],
    ended: watch::Receiver<()>,
}

/// Keeps others with the same key waiting until it is dropped.
pub struct KeyGuard {
    in_flight: InFlight,
    id: (String, String),
    _end: watch::Sender<()>,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.in_flight.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// A row of `command_keys`: hash, last position, status, answer, and the key that seals it.
type Known = (Vec<u8>, Option<i64>, Option<i16>, Option<Vec<u8>>, Option<Uuid>);

/// Whether a key is ours to use now.
enum Turn {
    Ours(KeyGuard),
    Theirs(watch::Receiver<()>),
    Other,
}

impl InFlight {
    fn take_turn(&self, key: &CommandKey) -> Turn {
        let id = (key.scope.clone(), key.key.clone());
        match self.keys.lock().unwrap_or_else(PoisonError::into_inner).entry(id.clone()) {
            Entry::Occupied(waiting) if waiting.get().request_hash == key.request_hash => {
                Turn::Theirs(waiting.get().ended.clone())
            }
            Entry::Occupied(_) => Turn::Other,
            Entry::Vacant(free) => {
                let (end, ended) = watch::channel(());
                free.insert(Waiting { request_hash: key.request_hash, ended });
                Turn::Ours(KeyGuard { in_flight: self.clone(), id, _end: end })
            }
        }
    }
}

impl Log {
    /// Looks up a key; waits a bounded time for the same command that is under way on this node.
    pub async fn recall(&self, key: &CommandKey) -> Result<Recall, LogError> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.inner.in_flight.take_turn(key) {
                    Turn::Ours(guard) => return Some(guard),
                    Turn::Theirs(mut ended) => while ended.changed().await.is_ok() {},
                    Turn::Other => return None,
                }
            }
        });
        let guard = match waited.await {
            Ok(Some(guard)) => guard,
            Ok(None) => return Ok(Recall::Reused),
            Err(_) => return Ok(Recall::InFlight),
        };
        let known: Option<Known> = sqlx::query_as(
            "select request_hash, last_position, answer_status, answer, answer_key from command_keys \
             where scope = $1 and key = $2",
        )
        .bind(&key.scope)
        .bind(&key.key)
        .fetch_optional(&self.inner.pool)
        .await?;
        let Some((hash, last, status, answer, sealed_with)) = known else { return Ok(Recall::Fresh(guard)) };
        if hash != key.request_hash {
            return Ok(Recall::Reused);
        }
        let (Some(status), Some(answer)) = (status, answer) else { return Ok(Recall::Fresh(guard)) };
        let body = self.inner.codec.open_answer(sealed_with, &answer, &key.context()).await?;
        Ok(match (u16::try_from(status), body) {
            (Ok(status), Some(body)) => {
                Recall::Answered { answer: RememberedAnswer { status, body }, position: last.map(Position) }
            }
            _ => Recall::Fresh(guard),
        })
    }

    /// Keeps the answer given for a key, sealed with the donor's key if it concerns one.
    pub async fn remember(
        &self,
        key: &CommandKey,
        answer: &RememberedAnswer,
        subject: Option<&DonorId>,
    ) -> Result<(), LogError> {
        let sealed = self.inner.codec.seal_answer(subject, &answer.body, &key.context()).await?;
        let Some((sealed_with, body)) = sealed else { return Ok(()) };
        sqlx::query("select remember_answer($1, $2, $3, $4, $5, $6)")
            .bind(&key.scope)
            .bind(&key.key)
            .bind(key.request_hash.as_slice())
            .bind(i16::try_from(answer.status).unwrap_or_default())
            .bind(body)
            .bind(sealed_with)
            .execute(&self.inner.pool)
            .await?;
        Ok(())
    }

    /// The facts that were appended under a key; none if there were none, or if the key belongs to another request.
    pub async fn facts_under(&self, key: &CommandKey) -> Result<Vec<RecordedEvent>, LogError> {
        let range: Option<(Option<i64>, Option<i64>)> = sqlx::query_as(
            "select first_position, last_position from command_keys \
             where scope = $1 and key = $2 and request_hash = $3",
        )
        .bind(&key.scope)
        .bind(&key.key)
        .bind(key.request_hash.as_slice())
        .fetch_optional(&self.inner.pool)
        .await?;
        match range {
            Some((Some(first), Some(last))) => self.read_range(Position(first), Position(last)).await,
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// Notes that a key is answered with what the first fact of a stream made. `false` if it has an answer already.
    pub async fn answer_with(&self, key: &CommandKey, stream: StreamId) -> Result<bool, LogError> {
        let answered = sqlx::query_scalar(
            "select answer_key_with($1, $2, $3, position) from events \
             where aggregate_type = $4 and aggregate_id = $5 and sequence = 1",
        )
        .bind(&key.scope)
        .bind(&key.key)
        .bind(key.request_hash.as_slice())
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id());
        Ok(answered.fetch_one(&self.inner.pool).await?)
    }

    /// Forgets the keys that are older than seven days. Answers how many.
    pub async fn forget_old_keys(&self) -> Result<i64, LogError> {
        let mut forgotten = 0;
        loop {
            // Some at a time: nobody waits for long, and what is gone can be used again soon.
            let some: i64 = sqlx::query_scalar("select forget_command_keys()").fetch_one(&self.inner.pool).await?;
            forgotten += some;
            if some == 0 {
                return Ok(forgotten);
            }
        }
    }
}

impl CommandKey {
    fn context(&self) -> String {
        format!("answer|{}|{}", self.scope, self.key)
    }
}
