//! Commands that find their work done, by themselves at an earlier time or by somebody else.

use aggregates::donor_query::DonorQuery;
use aggregates::ids::{CallId, QueryId};
use aggregates::recorded::StreamId;

use super::{CommandContext, DispatchError, Dispatcher, Outcome};

impl Dispatcher {
    /// Answers a command that wanted a call with the one that goes on: no facts, and a position that shows the call. A
    /// repetition under the same key is answered with the same call, when it is over as well.
    pub async fn found_call(
        &self,
        query: QueryId,
        call: CallId,
        context: &CommandContext,
    ) -> Result<Outcome, DispatchError> {
        let outcome = self.query_all(query, &[], context).await?;
        let Some(key) = context.key.as_ref().filter(|_| !outcome.replayed) else { return Ok(outcome) };
        if self.log.answer_with(key, StreamId::CallSession(call)).await? {
            return Ok(outcome);
        }
        // Another node was faster with the same key.
        self.carried_out(context).await?.ok_or(DispatchError::KeyReused)
    }

    /// Whether a query was deleted, as the log has it and not as memory may.
    pub async fn is_deleted(&self, query: QueryId) -> Result<bool, DispatchError> {
        let state = self.log.load_cold::<DonorQuery>(query).await?.state;
        Ok(matches!(*state, DonorQuery::Deleted(_)))
    }
}
