//! The one writer of a node: whatever has queued while the last batch committed becomes the next batch.
//!
//! It never lingers when idle. At most one command per stream, claim and idempotency key goes into a batch. A command that
//! breaks a batch fails alone: the others are written one by one. When the connection breaks while a batch is under way,
//! the writer looks whether the events landed before it writes again, so nothing is written twice.

mod batch;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aggregates::recorded::{Position, StoredEvent, StreamId};
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Row as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::answers::CommandKey;
use super::codec::NewDataKey;
use super::recent::Recent;
use super::{AppendError, LogError};
use crate::database::within;

/// How many commands may wait. One more is refused, so that nobody waits long for nothing.
const QUEUE: usize = 2_048;
/// How many commands one transaction takes.
const BATCH: usize = 512;
/// How long the writer tries to reach the database before it gives up on a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the writer waits for an answer. Whoever holds the fence for longer than this holds up every node, so a database
/// that says nothing by then is taken for one that will not.
const SILENCE: Duration = Duration::from_secs(15);

/// A handle to the writer.
pub(super) struct Writer {
    queue: mpsc::Sender<Queued>,
    appended: watch::Receiver<Position>,
    closing: CancellationToken,
}

/// One command's rows.
pub(super) struct Job {
    pub(super) checks: Vec<(StreamId, i64)>,
    pub(super) rows: Vec<Row>,
    pub(super) claims: Vec<ClaimRow>,
    pub(super) key: Option<CommandKey>,
    pub(super) new_key: Option<NewDataKey>,
}

/// One fact, sealed, with its digest.
pub(super) struct Row {
    pub(super) event: StoredEvent,
    pub(super) digest: [u8; 32],
}

/// One claim that a command takes or lets go of.
pub(super) struct ClaimRow {
    pub(super) key: String,
    pub(super) take: bool,
    pub(super) stream: StreamId,
}

/// What became of a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// Its facts stand from `first` on.
    Recorded { first: Position, at: DateTime<Utc> },
    /// It was carried out before under the same key.
    Replayed { first: Position, last: Position },
}

type Verdict = Result<Written, AppendError>;

struct Queued {
    job: Job,
    reply: oneshot::Sender<Verdict>,
}

impl Writer {
    /// Starts the writer's task. It connects when the first command comes.
    pub(super) fn start(options: PgConnectOptions, recent: Arc<Recent>, tasks: &TaskTracker) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE);
        let (announce, appended) = watch::channel(Position::START);
        let closing = CancellationToken::new();
        let task = Task { options, connection: None, recent, announce, backlog: VecDeque::new() };
        tasks.spawn(task.run(commands, closing.clone()));
        Self { queue, appended, closing }
    }

    /// Queues a command and waits for its verdict.
    pub(super) async fn write(&self, job: Job) -> Verdict {
        if self.closing.is_cancelled() {
            return Err(AppendError::Unavailable(LogError::Closed));
        }
        let (reply, verdict) = oneshot::channel();
        self.queue.try_send(Queued { job, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Busy,
            mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable(LogError::Closed),
        })?;
        verdict.await.unwrap_or(Err(AppendError::Unavailable(LogError::Closed)))
    }

    /// Follows the last position this node appended.
    pub(super) fn appended(&self) -> watch::Receiver<Position> {
        self.appended.clone()
    }

    /// Takes no more commands; those that wait are still written.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }
}

struct Task {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    recent: Arc<Recent>,
    announce: watch::Sender<Position>,
    backlog: VecDeque<Queued>,
}

/// Why a batch as a whole failed.
enum BatchError {
    /// The database refused it: nothing of it was written.
    Refused(sqlx::Error),
    /// The connection broke: it may have been written.
    Unknown,
    /// The database stayed out of reach. What was sent before may have been written.
    Away,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Queued>, closing: CancellationToken) {
        loop {
            if self.backlog.is_empty() {
                let next = tokio::select! {
                    biased;
                    next = commands.recv() => next,
                    () = closing.cancelled() => { commands.close(); commands.recv().await }
                };
                let Some(next) = next else { return };
                self.backlog.push_back(next);
            }
            while self.backlog.len() < QUEUE
                && let Ok(next) = commands.try_recv()
            {
                self.backlog.push_back(next);
            }
            let batch = self.take_batch();
            metrics::gauge!("log_queue_depth").set(f64::from(u32::try_from(self.backlog.len()).unwrap_or(u32::MAX)));
            if !batch.is_empty() {
                self.write(batch).await;
            }
        }
    }

    /// The next batch: in order, but no two commands that share a stream, a claim or a key. Nobody's who went away.
    fn take_batch(&mut self) -> Vec<Queued> {
        let mut streams = HashSet::new();
        let mut names = HashSet::new();
        let mut batch = Vec::new();
        let mut later = VecDeque::new();
        for queued in self.backlog.drain(..) {
            if queued.reply.is_closed() {
                continue;
            }
            let job = &queued.job;
            let mut wanted: Vec<String> = job.claims.iter().map(|claim| claim.key.clone()).collect();
            wanted.extend(job.key.iter().map(|key| format!("{}|{}", key.scope, key.key)));
            let free = batch.len() < BATCH
                && job.checks.iter().all(|(stream, _)| !streams.contains(stream))
                && wanted.iter().all(|name| !names.contains(name));
            streams.extend(job.checks.iter().map(|(stream, _)| *stream));
            names.extend(wanted);
            if free { batch.push(queued) } else { later.push_back(queued) }
        }
        self.backlog = later;
        batch
    }

    async fn write(&mut self, batch: Vec<Queued>) {
        metrics::histogram!("log_batch_size").record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        let (jobs, replies): (Vec<Job>, Vec<_>) = batch.into_iter().map(|queued| (queued.job, queued.reply)).unzip();
        let verdicts = match self.append(&jobs).await {
            Ok(verdicts) => verdicts,
            Err(failure) => self.one_by_one(&jobs, failure).await,
        };
        for (reply, verdict) in replies.into_iter().zip(verdicts) {
            // The one who asked may have gone away; the facts stand all the same.
            drop(reply.send(verdict));
        }
    }

    /// Writes each command of a failed batch alone.
    async fn one_by_one(&mut self, jobs: &[Job], failure: BatchError) -> Vec<Verdict> {
        let mut check_first = matches!(failure, BatchError::Unknown);
        // One wait for the database is enough for all of them.
        let mut is_away = matches!(failure, BatchError::Away);
        if let BatchError::Refused(error) = &failure {
            warn!(error = %error, commands = jobs.len(), "A batch was refused; writing its commands one by one");
        }
        let mut verdicts = Vec::with_capacity(jobs.len());
        for job in jobs {
            if is_away {
                verdicts.push(Err(AppendError::Unavailable(LogError::OutcomeUnknown)));
                continue;
            }
            let verdict = match self.alone(job, check_first).await {
                Ok(verdict) => verdict,
                Err(BatchError::Refused(error)) => {
                    error!(error = %error, "A command could not be written");
                    Err(AppendError::Unavailable(LogError::Database(error)))
                }
                Err(failure @ (BatchError::Unknown | BatchError::Away)) => {
                    check_first = true;
                    is_away = matches!(failure, BatchError::Away);
                    Err(AppendError::Unavailable(LogError::OutcomeUnknown))
                }
            };
            verdicts.push(verdict);
        }
        verdicts
    }

    async fn alone(&mut self, job: &Job, check_first: bool) -> Result<Verdict, BatchError> {
        if check_first && let Some(written) = self.landed(job).await? {
            return Ok(Ok(written));
        }
        let verdict = match self.append(std::slice::from_ref(job)).await {
            Err(BatchError::Unknown) => return self.landed(job).await?.map(Ok).ok_or(BatchError::Unknown),
            other => other?.pop(),
        };
        // The first try may have been under way still, behind the fence, when it was looked for.
        if check_first && matches!(verdict, Some(Err(AppendError::Conflict(_) | AppendError::Claimed { .. }))) {
            let landed = self.landed(job).await?;
            return landed.map(Ok).or(verdict).ok_or(BatchError::Unknown);
        }
        Ok(verdict.unwrap_or(Err(AppendError::Unavailable(LogError::OutcomeUnknown))))
    }

    /// Whether a command's events are in the log already.
    async fn landed(&mut self, job: &Job) -> Result<Option<Written>, BatchError> {
        let Some(Row { event, .. }) = job.rows.first() else { return Ok(None) };
        let found = sqlx::query(
            "select position, recorded_at from events \
             where aggregate_type = $1 and aggregate_id = $2 and sequence = $3 and event_id = $4",
        )
        .bind(&event.aggregate_type)
        .bind(&event.aggregate_id)
        .bind(event.sequence)
        .bind(event.event_id)
        .fetch_optional(self.connect().await?);
        match within(SILENCE, found).await.map_err(|error| self.failed(error))? {
            None => Ok(None),
            Some(row) => Ok(Some(Written::Recorded {
                first: Position(row.try_get("position").map_err(BatchError::Refused)?),
                at: row.try_get("recorded_at").map_err(BatchError::Refused)?,
            })),
        }
    }

    /// Writes a batch in one call and tells each command what became of it.
    async fn append(&mut self, jobs: &[Job]) -> Result<Vec<Verdict>, BatchError> {
        let connection = self.connect().await?;
        match within(SILENCE, batch::append(connection, jobs)).await {
            Ok(outcome) => {
                self.remember(jobs, &outcome.verdicts);
                if let Some(last) = outcome.last {
                    self.announce.send_replace(last);
                }
                Ok(outcome.verdicts)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Keeps what was recorded for the relay.
    fn remember(&self, jobs: &[Job], verdicts: &[Verdict]) {
        let recorded = jobs.iter().zip(verdicts).filter_map(|(job, verdict)| match verdict {
            Ok(Written::Recorded { first, at }) => Some((&job.rows, *first, *at)),
            Ok(Written::Replayed { .. }) | Err(_) => None,
        });
        self.recent.add(recorded.flat_map(|(rows, first, recorded_at)| {
            let placed = rows.iter().zip(first.0..);
            placed.map(move |(Row { event, .. }, position)| StoredEvent {
                position: Position(position),
                recorded_at,
                ..event.clone()
            })
        }));
    }

    fn failed(&mut self, error: sqlx::Error) -> BatchError {
        let gone = match &error {
            // Class 57P: the server is going away and the transaction with it.
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| code.starts_with("57P")),
            _ => true,
        };
        if gone {
            warn!(error = %error, "The writer lost its connection");
            self.connection = None;
            return BatchError::Unknown;
        }
        BatchError::Refused(error)
    }

    async fn connect(&mut self) -> Result<&mut PgConnection, BatchError> {
        if self.connection.is_none() {
            let options = self.options.clone();
            let attempt = async {
                let mut pause = Duration::from_millis(20);
                loop {
                    match options.connect().await {
                        Ok(connection) => return connection,
                        Err(error) => warn!(error = %error, "The writer cannot reach the database"),
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            };
            self.connection = tokio::time::timeout(PATIENCE, attempt).await.ok();
        }
        self.connection.as_mut().ok_or(BatchError::Away)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use sqlx::postgres::PgConnectOptions;
    use tokio::time::Instant;
    use tokio_util::task::TaskTracker;

    use super::{Job, PATIENCE, Writer};
    use crate::log::recent::Recent;
    use crate::log::{AppendError, LogError};

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_once_for_a_database_that_is_away() {
        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(nobody.port());
        let writer = Writer::start(options, Arc::<Recent>::default(), &TaskTracker::new());
        let job = || Job { checks: Vec::new(), rows: Vec::new(), claims: Vec::new(), key: None, new_key: None };
        let began = Instant::now();
        for verdict in futures_util::future::join_all((0..20).map(|_| writer.write(job()))).await {
            assert!(matches!(verdict, Err(AppendError::Unavailable(LogError::OutcomeUnknown))), "{verdict:?}");
        }
        // The first command may have been a batch of its own.
        assert!(began.elapsed() < 3 * PATIENCE, "{:?}", began.elapsed());
    }
}
