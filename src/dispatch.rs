//! Load, decide, append: how a command becomes a fact.

use std::sync::Arc;

use aggregates::call_session::{CallSessionCommand, CallSessionError};
use aggregates::donor_query::{DonorQuery, DonorQueryCommand, DonorQueryError};
use aggregates::ids::{CallId, QueryId};
use aggregates::recorded::{Metadata, Position, RecordedEvent};

use crate::log::{CommandKey, Log, LogError};

/// Carries out commands.
#[derive(Clone)]
pub struct Dispatcher {
    log: Log,
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
    /// The last fact of the query: what a read has to reach to see the command's effect.
    pub position: Position,
    /// The version of the query's stream.
    pub version: i64,
    /// The query after the command.
    pub state: Arc<DonorQuery>,
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

impl Dispatcher {
    /// Dispatches to one log.
    pub fn new(log: Log) -> Self {
        Self { log }
    }

    /// Carries out a command on a donor query, with what it means for its call.
    pub async fn query(
        &self,
        _id: QueryId,
        _command: DonorQueryCommand,
        _context: &CommandContext,
    ) -> Result<Outcome, DispatchError> {
        let _ = &self.log;
        unimplemented!()
    }

    /// Carries out a command on a call session alone.
    pub async fn call(
        &self,
        _id: CallId,
        _query: QueryId,
        _command: CallSessionCommand,
        _context: &CommandContext,
    ) -> Result<Position, DispatchError> {
        unimplemented!()
    }

    /// The query as the log has it now, with its version.
    pub async fn load(&self, _id: QueryId) -> Result<(Arc<DonorQuery>, i64), DispatchError> {
        unimplemented!()
    }
}
