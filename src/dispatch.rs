//! Load, decide, append: how a command becomes a fact.
//!
//! Commands of one query queue behind each other on a node, so a conflict always comes from another node; then the query
//! is loaded and decided again, a few times. What a command means for the query's call is decided with it and written in
//! the same transaction.

mod chat;
mod found;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use aggregates::call_session::{CallSession, CallSessionCommand, CallSessionError};
use aggregates::donor_query::{DonorQuery, DonorQueryCommand, DonorQueryError, DonorQueryEvent};
use aggregates::ids::{CallId, DonorId, QueryId};
use aggregates::policy;
use aggregates::recorded::{Metadata, Position, RecordedEvent, StreamId};
use aggregates::staff_chat::StaffChatError;
use cqrs_es::event_sink::EventSink;
use tokio::sync::{Mutex, MutexGuard};

pub use chat::Said;

use crate::log::{Append, AppendError, Appended, CommandKey, Loaded, Log, LogError, Logged, StreamAppend};

/// How often a command is decided again after another node changed the query.
const ATTEMPTS: u32 = 5;
/// How many queues the queries of a node share.
const QUEUES: usize = 4_096;

/// Carries out commands. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    log: Log,
    queues: Arc<[Mutex<()>]>,
    preparations: Arc<[Mutex<()>]>,
}

/// What comes with a command from outside.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// Who, from where, and why.
    pub metadata: Metadata,
    /// The version of the query that the client saw; any if absent.
    pub if_match: Option<i64>,
    /// The client's key for this command.
    pub key: Option<CommandKey>,
}

/// What a command led to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The facts; empty if the command had taken effect before.
    pub events: Vec<RecordedEvent>,
    /// The last of them, or the query's last fact: what a read has to reach to see the command's effect.
    pub position: Position,
    /// The version of the query's stream.
    pub version: i64,
    /// The query after the command.
    pub state: Arc<DonorQuery>,
    /// Whether it was carried out before, under the same key, and nothing happened now.
    pub replayed: bool,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The query refused.
    #[error(transparent)]
    Refused(#[from] DonorQueryError),
    /// The call session refused.
    #[error(transparent)]
    CallRefused(#[from] CallSessionError),
    /// The chat refused.
    #[error(transparent)]
    ChatRefused(#[from] StaffChatError),
    /// The donor has another open query.
    #[error("donor already has an open query")]
    DonorHasOpenQuery(QueryId),
    /// The query is not at the version the client saw.
    #[error("query is at version {current}")]
    VersionMismatch {
        /// The version it is at.
        current: i64,
    },
    /// Other commands kept changing the query.
    #[error("query is being changed by others")]
    Contended,
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too many commands wait.
    #[error("too many commands are waiting")]
    Busy,
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
}

/// What an aggregate decided: its state afterwards and the facts that led there.
struct Decision<A: Logged> {
    id: A::Id,
    before: i64,
    state: A,
    events: Vec<A::Event>,
}

impl Dispatcher {
    /// Dispatches to one log.
    pub fn new(log: Log) -> Self {
        let queues = || (0..QUEUES).map(|_| Mutex::new(())).collect();
        Self { log, queues: queues(), preparations: queues() }
    }

    /// Carries out a command on a donor query, with what it means for its call.
    pub async fn query(
        &self,
        id: QueryId,
        command: DonorQueryCommand,
        context: &CommandContext,
    ) -> Result<Outcome, DispatchError> {
        self.query_all(id, &[command], context).await
    }

    /// Carries out several commands on a donor query, one after the other, as one: all of them or none.
    pub async fn query_all(
        &self,
        id: QueryId,
        commands: &[DonorQueryCommand],
        context: &CommandContext,
    ) -> Result<Outcome, DispatchError> {
        let _turn = self.turn(id).await;
        let outcome = self.try_all(id, commands, context).await;
        match outcome {
            // What stands against the command now, or leaves nothing to do, may be its own effect, if it was carried out and
            // its answer lost.
            Err(error) if error.is_about_the_query() => self.carried_out(context).await?.ok_or(error),
            Ok(outcome) if outcome.events.is_empty() => Ok(self.carried_out(context).await?.unwrap_or(outcome)),
            other => other,
        }
    }

    async fn try_all(
        &self,
        id: QueryId,
        commands: &[DonorQueryCommand],
        context: &CommandContext,
    ) -> Result<Outcome, DispatchError> {
        for attempt in 0..ATTEMPTS {
            let loaded = self.load_matching(id, context.if_match).await?;
            let version = loaded.version;
            let wrote_nothing = match self.attempt(id, loaded, commands, context).await {
                Ok(outcome) if !outcome.events.is_empty() => return Ok(outcome),
                Err(AttemptError::Stale) => {
                    back_off(attempt).await;
                    continue;
                }
                Ok(outcome) => Ok(outcome),
                Err(AttemptError::Failed(error)) if error.is_about_the_query() => Err(error),
                Err(AttemptError::Failed(error)) => return Err(error),
            };
            // Nothing was written, so nothing told whether memory is stale: another node may have changed the query.
            if self.log.stream_version(DonorQuery::stream(id)).await? == version {
                return wrote_nothing;
            }
            self.forget(id).await;
        }
        Err(DispatchError::Contended)
    }

    /// Whether commands would be carried out, without carrying them out: for what has to be made outside the log first, as
    /// a room is for a call. Answers the outcome of the first time if they were carried out before under the same key.
    ///
    /// # Errors
    ///
    /// What [`Self::query_all`] would answer now; another command may still come in between.
    pub async fn rehearse(
        &self,
        id: QueryId,
        commands: &[DonorQueryCommand],
        context: &CommandContext,
    ) -> Result<Option<Outcome>, DispatchError> {
        if let Some(outcome) = self.carried_out(context).await? {
            return Ok(Some(outcome));
        }
        let Loaded { version, .. } = self.log.load::<DonorQuery>(id).await?;
        let decided = self.decided(id, commands, context).await;
        // Memory may be behind another node, so a refusal only counts when the log agrees.
        if decided.is_ok() || self.log.stream_version(DonorQuery::stream(id)).await? == version {
            return decided.map(|()| None);
        }
        self.forget(id).await;
        self.decided(id, commands, context).await.map(|()| None)
    }

    /// One at a time prepares outside the log what a command about the same thing needs. A turn of its own: commands that
    /// need nothing do not wait for it.
    pub async fn prepare(&self, about: &impl Hash) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        about.hash(&mut hasher);
        let queue = usize::try_from(hasher.finish() % QUEUES as u64).unwrap_or_default();
        self.preparations[queue].lock().await
    }

    async fn decided(
        &self,
        id: QueryId,
        commands: &[DonorQueryCommand],
        context: &CommandContext,
    ) -> Result<(), DispatchError> {
        let mut decision = Decision::on(id, self.load_matching(id, context.if_match).await?);
        for command in commands {
            decision.decide(command.clone()).await?;
        }
        Ok(())
    }

    /// Forgets what memory knows of a query and of its call.
    async fn forget(&self, id: QueryId) {
        if let Ok(loaded) = self.log.load::<DonorQuery>(id).await
            && let DonorQuery::Open(open) = &*loaded.state
            && let Some(call) = &open.call
        {
            self.log.forget(CallSession::stream(call.id));
        }
        self.log.forget(DonorQuery::stream(id));
    }

    /// Carries out a command on a call session alone. Answers the position of the session's last fact.
    pub async fn call(
        &self,
        id: CallId,
        query: QueryId,
        command: CallSessionCommand,
        context: &CommandContext,
    ) -> Result<Position, DispatchError> {
        let _turn = self.turn(query).await;
        let (_, subject) = self.load(query).await?.0.about(query).ok_or(DonorQueryError::NotFound)?;
        for attempt in 0..ATTEMPTS {
            let mut decision = Decision::on(id, self.log.load::<CallSession>(id).await?);
            decision.decide(command.clone()).await?;
            if decision.events.is_empty() {
                return Ok(self.log.stream_head(StreamId::CallSession(id)).await?);
            }
            let append = in_context(vec![decision.to_append(query)], subject.clone(), context);
            match self.log.append(append).await {
                Ok(appended) => {
                    decision.keep(&self.log, &appended);
                    return Ok(last_position(&appended.events));
                }
                Err(AppendError::Conflict(_)) => back_off(attempt).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(DispatchError::Contended)
    }

    /// The query as the log has it, with its version: what somebody may do or see, and what is done, rests on nothing less.
    pub async fn current(&self, id: QueryId) -> Result<(Arc<DonorQuery>, i64), DispatchError> {
        let (known, version) = self.load(id).await?;
        if self.log.stream_version(DonorQuery::stream(id)).await? == version {
            return Ok((known, version));
        }
        self.log.forget(DonorQuery::stream(id));
        self.load(id).await
    }

    /// The query as this node knows it, with its version. Another node may have changed all of it but its origin.
    pub async fn load(&self, id: QueryId) -> Result<(Arc<DonorQuery>, i64), DispatchError> {
        let Loaded { state, version } = self.log.load::<DonorQuery>(id).await?;
        Ok((state, version))
    }

    async fn turn(&self, query: QueryId) -> MutexGuard<'_, ()> {
        let queue = usize::try_from(query.get().unsigned_abs()).unwrap_or_default() % QUEUES;
        self.queues[queue].lock().await
    }

    /// The query, at the version the client saw if it named one.
    async fn load_matching(&self, id: QueryId, if_match: Option<i64>) -> Result<Loaded<DonorQuery>, DispatchError> {
        let hot = self.log.load::<DonorQuery>(id).await?;
        let Some(wanted) = if_match.filter(|wanted| *wanted != hot.version) else { return Ok(hot) };
        // Another node may have moved on: memory is only believed when the log agrees.
        self.log.forget(DonorQuery::stream(id));
        let fresh = self.log.load::<DonorQuery>(id).await?;
        if fresh.version == wanted { Ok(fresh) } else { Err(DispatchError::VersionMismatch { current: fresh.version }) }
    }

    /// What the same command led to when it was carried out before but its answer was lost.
    async fn carried_out(&self, context: &CommandContext) -> Result<Option<Outcome>, DispatchError> {
        let Some(key) = &context.key else { return Ok(None) };
        let events = self.log.facts_under(key).await?;
        let Some(query) = events.first().map(|event| event.query) else { return Ok(None) };
        let Loaded { state, version } = self.log.load::<DonorQuery>(query).await?;
        Ok(Some(Outcome { position: last_position(&events), events, version, state, replayed: true }))
    }

    async fn attempt(
        &self,
        id: QueryId,
        loaded: Loaded<DonorQuery>,
        commands: &[DonorQueryCommand],
        context: &CommandContext,
    ) -> Result<Outcome, AttemptError> {
        let mut decision = Decision::on(id, loaded);
        let mut calls = Vec::new();
        for command in commands {
            let events = decision.decide(command.clone()).await?;
            let (_, subject) = decision.state.about(id).ok_or(DonorQueryError::NotFound)?;
            calls.extend(self.companions(id, &subject, command, &events).await?);
        }
        let (_, subject) = decision.state.about(id).ok_or(DonorQueryError::NotFound)?;
        if decision.events.is_empty() {
            return self.nothing_new(decision).await;
        }
        let mut streams = vec![decision.to_append(id)];
        streams.extend(calls.iter().map(|call| call.to_append(id)));
        match self.log.append(in_context(streams, subject, context)).await {
            Ok(appended) => {
                let version = decision.before + i64::try_from(decision.events.len()).unwrap_or_default();
                let state = Arc::new(decision.state.clone());
                decision.keep(&self.log, &appended);
                for call in calls {
                    call.keep(&self.log, &appended);
                }
                let Appended { events, replayed } = appended;
                let outcome = Outcome { position: last_position(&events), version, state, events, replayed };
                if replayed { self.as_it_was(outcome).await } else { Ok(outcome) }
            }
            Err(AppendError::Conflict(_)) => Err(AttemptError::Stale),
            Err(error) => Err(AttemptError::Failed(error.into())),
        }
    }

    async fn nothing_new(&self, decision: Decision<DonorQuery>) -> Result<Outcome, AttemptError> {
        Ok(Outcome {
            events: Vec::new(),
            // Whoever did it may have done something to its call as well.
            position: self.log.query_head(decision.id).await?,
            version: decision.before,
            state: Arc::new(decision.state),
            replayed: false,
        })
    }

    /// The outcome of a command that was carried out under the same key before, on the query it was carried out on.
    async fn as_it_was(&self, replay: Outcome) -> Result<Outcome, AttemptError> {
        let Some(query) = replay.events.first().map(|event| event.query) else { return Ok(replay) };
        let Loaded { state, version } = self.log.load::<DonorQuery>(query).await?;
        Ok(Outcome { version, state, ..replay })
    }

    /// What the facts of a query mean for its call, decided.
    async fn companions(
        &self,
        query: QueryId,
        donor: &DonorId,
        command: &DonorQueryCommand,
        events: &[DonorQueryEvent],
    ) -> Result<Vec<Decision<CallSession>>, DispatchError> {
        let mut decisions = Vec::new();
        for event in events {
            if let Some((call, follow_up)) = policy::companion(query, donor, command, event) {
                let mut decision = Decision::on(call, self.log.load::<CallSession>(call).await?);
                decision.decide(follow_up).await?;
                decisions.push(decision);
            }
        }
        decisions.retain(|decision| !decision.events.is_empty());
        Ok(decisions)
    }
}

fn in_context(streams: Vec<StreamAppend>, subject: DonorId, context: &CommandContext) -> Append {
    Append { streams, subject, metadata: context.metadata.clone(), key: context.key.clone() }
}

impl<A: Logged<Services = ()> + Clone> Decision<A> {
    fn on(id: A::Id, loaded: Loaded<A>) -> Self {
        Self { id, before: loaded.version, state: Arc::unwrap_or_clone(loaded.state), events: Vec::new() }
    }

    /// cqrs-es's `execute` up to the point of writing. Answers the facts of this command.
    async fn decide(&mut self, command: A::Command) -> Result<Vec<A::Event>, A::Error> {
        let sink = EventSink::default();
        self.state.handle(command, &(), &sink).await?;
        let events = sink.collect().await;
        self.events.extend(events.iter().cloned());
        Ok(events)
    }
}

impl<A: Logged> Decision<A> {
    fn to_append(&self, query: QueryId) -> StreamAppend {
        StreamAppend {
            stream: A::stream(self.id),
            query,
            expected: self.before,
            events: self.events.iter().cloned().map(A::wrap).collect(),
        }
    }

    /// Keeps the state that was reached, unless the facts were not written this time.
    fn keep(self, log: &Log, appended: &Appended) {
        if appended.replayed {
            return;
        }
        let appended = i64::try_from(self.events.len()).unwrap_or_default();
        let reached = Loaded { state: Arc::new(self.state), version: self.before + appended };
        log.keep::<A>(self.id, reached, appended);
    }
}

/// Why one attempt did not end in an outcome.
enum AttemptError {
    /// Another node changed the query first.
    Stale,
    /// Trying again would not help.
    Failed(DispatchError),
}

impl<E: Into<DispatchError>> From<E> for AttemptError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl DispatchError {
    /// Whether the query's own state stands against the command.
    fn is_about_the_query(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::CallRefused(_)
            | Self::DonorHasOpenQuery(_)
            | Self::VersionMismatch { .. }
            | Self::Contended => true,
            Self::ChatRefused(_) | Self::KeyReused | Self::Busy | Self::Log(_) => false,
        }
    }
}

impl From<AppendError> for DispatchError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Claimed { holder: StreamId::DonorQuery(query), .. } => Self::DonorHasOpenQuery(query),
            AppendError::Conflict(_)
            | AppendError::Claimed { holder: StreamId::CallSession(_) | StreamId::StaffChat(_), .. } => Self::Contended,
            AppendError::KeyReused => Self::KeyReused,
            AppendError::Busy => Self::Busy,
            AppendError::Unavailable(error) => Self::Log(error),
        }
    }
}

fn last_position(events: &[RecordedEvent]) -> Position {
    events.last().map_or(Position::START, |event| event.position)
}

/// Waits a random part of a span that doubles with every attempt, from a millisecond on.
async fn back_off(attempt: u32) {
    let span = 1_u64 << attempt;
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..span * 1_000))).await;
}
