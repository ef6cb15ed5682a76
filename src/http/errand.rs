//! A request that wants something done: carries the command out, waits until it shows, and answers.

use std::sync::Arc;

use aggregates::call_session::CallSessionCommand;
use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::{CallId, MessageId, QueryId};
use aggregates::people::Actor;
use aggregates::recorded::{Metadata, Partition, Position};
use aggregates::staff_chat::StaffChatCommand;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use projections::queries::QueryRow;
use tracing::warn;

use super::error::ApiError;
use super::layers::{ClientAddress, RequestId};
use super::lookups::Conversation;
use super::{Api, answer, views};
use crate::dispatch::{CommandContext, Outcome, Said};
use crate::grouped::GroupError;
use crate::log::CommandKey;

/// What came with a request that wants something done.
pub(super) struct Errand {
    pub(super) api: Arc<Api>,
    method: Method,
    request_id: Arc<str>,
    address: Option<String>,
    user_agent: Option<String>,
    if_match: Option<i64>,
    key: Option<CommandKey>,
    will_not_wait: bool,
}

/// A request that wants something made: it has no version yet that `If-Match` could name.
pub(super) struct Founding(pub(super) Errand);

impl Errand {
    /// Carries out a command on behalf of somebody.
    pub(super) async fn carry_out(
        &self,
        query: QueryId,
        by: &Actor,
        command: DonorQueryCommand,
    ) -> Result<Outcome, ApiError> {
        self.carry_out_all(query, by, &[command]).await
    }

    /// Carries out several commands as one: all of them or none.
    pub(super) async fn carry_out_all(
        &self,
        query: QueryId,
        by: &Actor,
        commands: &[DonorQueryCommand],
    ) -> Result<Outcome, ApiError> {
        Ok(self.api.dispatcher.query_all(query, commands, &self.context(by)).await?)
    }

    /// Whether commands would be carried out; their outcome if they were before. See [`Dispatcher::rehearse`].
    ///
    /// [`Dispatcher::rehearse`]: crate::dispatch::Dispatcher::rehearse
    pub(super) async fn rehearse(
        &self,
        query: QueryId,
        by: &Actor,
        commands: &[DonorQueryCommand],
    ) -> Result<Option<Outcome>, ApiError> {
        Ok(self.api.dispatcher.rehearse(query, commands, &self.context(by)).await?)
    }

    /// Answers a command that wanted a call with the one that goes on. See [`Dispatcher::found_call`].
    ///
    /// [`Dispatcher::found_call`]: crate::dispatch::Dispatcher::found_call
    pub(super) async fn found_call(&self, query: QueryId, by: &Actor, call: CallId) -> Result<Outcome, ApiError> {
        Ok(self.api.dispatcher.found_call(query, call, &self.context(by)).await?)
    }

    /// Carries out a command on a call session alone, and answers what a read has to reach to show it.
    pub(super) async fn carry_out_on_call(
        &self,
        call: CallId,
        query: QueryId,
        by: &Actor,
        command: CallSessionCommand,
    ) -> Result<Position, ApiError> {
        Ok(self.api.dispatcher.call(call, query, command, &self.context(by)).await?)
    }

    /// Carries out a command on the chat of two staff members.
    pub(super) async fn carry_out_in_chat(&self, by: &Actor, command: StaffChatCommand) -> Result<Said, ApiError> {
        Ok(self.api.dispatcher.chat(command, &self.context(by)).await?)
    }

    fn context(&self, by: &Actor) -> CommandContext {
        let mut metadata = Metadata::of(by, self.request_id.as_ref());
        metadata.address.clone_from(&self.address);
        metadata.user_agent.clone_from(&self.user_agent);
        CommandContext { metadata, if_match: self.if_match, key: self.key.clone() }
    }

    /// A fresh id for the message that will tell the conversation.
    pub(super) async fn notice(&self) -> Result<MessageId, ApiError> {
        Ok(self.api.log.next_message_id().await?)
    }

    /// The status of success: whatever a `POST` did was created, as far as the old clients know.
    pub(super) fn success(&self) -> StatusCode {
        if self.method == Method::POST { StatusCode::CREATED } else { StatusCode::OK }
    }

    /// Waits until the read models show what happened. `false` if the client will not wait, or it takes too long.
    pub(super) async fn is_shown(&self, query: QueryId, position: Position) -> bool {
        self.is_shown_in(Partition::of(query), position).await
    }

    /// The same, of a partition.
    pub(super) async fn is_shown_in(&self, partition: Partition, position: Position) -> bool {
        if self.will_not_wait {
            return false;
        }
        let limit = self.api.config.read_your_writes();
        self.api.freshness.reached(partition, position, limit).await
    }

    /// The query as the read models show it after a command; `None` if they do not show it in time.
    ///
    /// # Errors
    ///
    /// A command that was carried out before on a query that was deleted since is refused like any other on it.
    pub(super) async fn shown(&self, query: QueryId, outcome: &Outcome) -> Result<Option<QueryRow>, ApiError> {
        if !self.is_shown(query, outcome.position).await {
            return Ok(None);
        }
        let row = if_there_now(self.api.lookups.query(query).await)?;
        self.unless_deleted(query, outcome, row).await
    }

    /// The same, with the end of the conversation.
    pub(super) async fn shown_with_messages(
        &self,
        query: QueryId,
        outcome: &Outcome,
    ) -> Result<Option<Arc<Conversation>>, ApiError> {
        if !self.is_shown(query, outcome.position).await {
            return Ok(None);
        }
        let conversation = if_there_now(self.api.lookups.conversation(query).await)?;
        self.unless_deleted(query, outcome, conversation).await
    }

    /// What is not shown after a repetition may be gone for good: then another one would not find it either.
    async fn unless_deleted<T>(
        &self,
        query: QueryId,
        outcome: &Outcome,
        shown: Option<T>,
    ) -> Result<Option<T>, ApiError> {
        if shown.is_none() && outcome.replayed && self.api.dispatcher.is_deleted(query).await? {
            return Err(ApiError::query_not_found());
        }
        Ok(shown)
    }

    /// The query after a command, with something else that was looked up after it.
    pub(super) async fn shown_with<T, E: Into<GroupError>>(
        &self,
        query: QueryId,
        outcome: &Outcome,
        other: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<Option<(QueryRow, T)>, ApiError> {
        let Some(row) = self.shown(query, outcome).await? else { return Ok(None) };
        Ok(if_there_now(other.await)?.map(|other| (row, other)))
    }

    /// Answers a staff member with the query after their command.
    pub(super) async fn answer(
        &self,
        query: QueryId,
        outcome: &Outcome,
        message: Option<&str>,
    ) -> Result<Response, ApiError> {
        let Some(row) = self.shown(query, outcome).await? else { return Ok(answer::later(query.get(), outcome)) };
        let data = views::StaffQuery::new(&row, &self.api.accounts.list());
        Ok(answer::of_command(&row, answer::enveloped(self.success(), data, message), outcome))
    }
}

/// What was looked up after a command: that the database is away for a moment makes the answer a later one, not a failure.
pub(super) fn if_there_now<T, E: Into<GroupError>>(found: Result<Option<T>, E>) -> Result<Option<T>, ApiError> {
    match found.map_err(Into::into) {
        Err(error) if projections::is_passing(error.cause()) => {
            warn!(%error, "Cannot show what a command did: the answer is a later one");
            Ok(None)
        }
        found => Ok(found?),
    }
}

impl FromRequestParts<Arc<Api>> for Errand {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let State(api) = State::<Arc<Api>>::from_request_parts(parts, api).await.unwrap_or_else(|never| match never {});
        let extensions = &parts.extensions;
        let request_id = extensions.get::<RequestId>().map_or_else(|| Arc::from("unnamed"), |id| Arc::clone(&id.0));
        Ok(Self {
            api,
            method: parts.method.clone(),
            request_id,
            address: extensions.get::<ClientAddress>().and_then(|address| address.0).map(|address| address.to_string()),
            user_agent: user_agent(&parts.headers),
            if_match: if_match(&parts.headers)?,
            key: extensions.get::<CommandKey>().cloned(),
            will_not_wait: prefers_async(&parts.headers),
        })
    }
}

impl FromRequestParts<Arc<Api>> for Founding {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        parts.headers.remove(header::IF_MATCH);
        Errand::from_request_parts(parts, api).await.map(Self)
    }
}

/// The client's name for itself, cut to what is worth keeping.
pub(super) fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(200).collect())
}

/// The version of a query that the client saw, as its `ETag` said; `*` is any.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let wrong = || ApiError::malformed("malformed_if_match", "If-Match must be the ETag of a query, or *");
    let text = value.to_str().map_err(|_| wrong())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).ok_or_else(wrong)?;
    version.parse().map(Some).map_err(|_| wrong())
}

fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case("respond-async"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

    use super::{if_match, prefers_async};

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_version_comes_back_as_it_was_sent() {
        assert_eq!(if_match(&with(header::IF_MATCH, "\"17\"")).ok(), Some(Some(17)));
        assert_eq!(if_match(&with(header::IF_MATCH, "W/\"17\"")).ok(), Some(Some(17)));
        assert_eq!(if_match(&with(header::IF_MATCH, "*")).ok(), Some(None));
        assert_eq!(if_match(&HeaderMap::new()).ok(), Some(None));
        for wrong in ["17", "\"abc\"", "\"1\", \"2\"", ""] {
            assert!(if_match(&with(header::IF_MATCH, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_may_say_that_it_will_not_wait() {
        let prefer = HeaderName::from_static("prefer");
        assert!(prefers_async(&with(prefer.clone(), "return=minimal, Respond-Async")));
        assert!(!prefers_async(&with(prefer, "wait=10")));
    }
}
