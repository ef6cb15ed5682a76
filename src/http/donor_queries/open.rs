//! `POST donor-queries`: a donor asks for help.

use aggregates::donor_query::command::OpenQuery;
use aggregates::donor_query::{DonorQueryCommand, DonorQueryEvent};
use aggregates::ids::{DonorId, QueryId};
use aggregates::people::{Actor, DonorSession};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, RecordedEvent};
use aggregates::vocabulary::CallMode;
use axum::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use serde::Deserialize;
use tracing::warn;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::devices::DeviceKind;
use crate::clock;
use crate::http::answer::{self, Envelope};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::errand::{Errand, Founding};
use crate::http::error::ApiError;
use crate::http::layers::ClientAddress;
use crate::http::lookups::Conversation;
use crate::http::openapi::{CommandErrors, FoundingHeaders};
use crate::http::views::CallsShown;
use crate::http::{Api, lenient, rules, views};

/// What a donor says.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewQuery {
    /// The donor's name or address.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::line))]
    donor: String,
    /// The donor's identity in the system they come from.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::donor_id))]
    donor_id: String,
    /// The test the donor is in the middle of.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::line))]
    test: String,
    /// The stage of that test.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::line))]
    stage: String,
    /// The device the donor holds.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::line))]
    device: String,
    /// The donor's first words.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::text_or_empty))]
    content: Option<String>,
    /// `video`, `audio` or `screen`: how the donor would like to talk. Only `start-call` calls; elsewhere it is checked and
    /// forgotten, as in the old system.
    #[serde(default, deserialize_with = "lenient::optional_word")]
    #[garde(custom(rules::call_type))]
    call_type: Option<String>,
    /// The push token of the donor's device. One that cannot be one is ignored: nobody is turned away for it.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(skip)]
    fcm_token: Option<String>,
    /// The same, as the other generation says it; it wins over `callType`.
    #[serde(default, deserialize_with = "lenient::optional_word")]
    #[garde(custom(rules::call_type))]
    mode: Option<String>,
}

impl NewQuery {
    /// The donor's identity.
    pub(super) fn donor_id(&self) -> DonorId {
        DonorId::new(self.donor_id.clone())
    }

    /// The donor's name or address.
    pub(super) fn donor(&self) -> &str {
        &self.donor
    }

    /// How the donor would like to talk, if they said so.
    pub(super) fn mode(&self) -> Option<CallMode> {
        self.mode.as_deref().or(self.call_type.as_deref()).and_then(CallMode::parse)
    }
}

/// Open a query.
#[utoipa::path(
    post,
    path = "/donor-queries",
    tag = "donor queries",
    params(FoundingHeaders),
    request_body = NewQuery,
    responses(
        (status = 201, description = "The query, with the token that opens it", body = Envelope<views::OpenedQuery>),
        CommandErrors
    ),
    security((), ("donor" = []))
)]
pub(super) async fn open(
    Founding(errand): Founding,
    caller: Caller,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Body(body): Body<NewQuery>,
) -> Result<Response, ApiError> {
    errand.api.limits.open(address)?;
    let donor_id = body.donor_id();
    let by = Actor::Donor { id: donor_id.clone() };
    let session = session(&caller, &donor_id);
    let push_token = body.fcm_token.clone();
    let command = command(&errand, body, donor_id, session).await?;
    let outcome = errand.carry_out(errand.api.log.next_query_id().await?, &by, command).await?;
    // The facts decide, not what was drawn above: a repeated command gets the query and the session of the first time.
    let (query, donor_id, session) = opened(&outcome.events).ok_or(ApiError::Internal(None))?;
    let api = &errand.api;
    if let Some(push_token) = push_token {
        register(api, query, &donor_id, session, &push_token).await;
    }
    let token = api.accounts.donor_token(&donor_id, session);
    let Some(shown) = errand.shown_with_messages(query, &outcome).await? else {
        return Ok(answer::opened_later(query.get(), token, &outcome));
    };
    let Conversation { row, said } = &*shown;
    let data = views::DonorQuery::new(row, said, &CallsShown::default(), &api.accounts.list()).with_token(token);
    Ok(answer::of_command(row, answer::enveloped(StatusCode::CREATED, data, None), &outcome))
}

/// A donor who shows a token goes on with its session, so that one token opens all of their queries.
#[allow(clippy::disallowed_methods, reason = "a session must not be foreseeable, and is decided outside the rules")]
pub(super) fn session(caller: &Caller, donor_id: &DonorId) -> DonorSession {
    let own = caller.donor().filter(|donor| donor.donor_id == *donor_id).and_then(|donor| donor.session);
    own.unwrap_or_else(|| DonorSession(Uuid::new_v4()))
}

/// The query is open whether or not its donor can be pushed to.
async fn register(api: &Api, query: QueryId, donor_id: &DonorId, session: DonorSession, push_token: &str) {
    if let Err(error) = api.devices.register_donor(donor_id, session, DeviceKind::Token, push_token).await {
        warn!(%error, query.id = %query, "Cannot push to the donor of query {query}");
    }
}

/// What opens the query, with ids drawn for its messages.
pub(super) async fn command(
    errand: &Errand,
    body: NewQuery,
    donor_id: DonorId,
    session: DonorSession,
) -> Result<DonorQueryCommand, ApiError> {
    let content = match body.content.filter(|content| !content.trim().is_empty()) {
        Some(content) => Some((errand.notice().await?, Personal::Known(content))),
        None => None,
    };
    Ok(DonorQueryCommand::OpenQuery(OpenQuery {
        donor: Personal::Known(body.donor),
        donor_id,
        session,
        test: body.test,
        stage: body.stage,
        device: body.device,
        content,
        at: clock::now(),
    }))
}

/// The query that these facts opened, and whose it is.
pub(super) fn opened(events: &[RecordedEvent]) -> Option<(QueryId, DonorId, DonorSession)> {
    events.iter().find_map(|recorded| match &recorded.event {
        Event::DonorQuery(DonorQueryEvent::QueryOpened { donor_id, session, .. }) => {
            Some((recorded.query, donor_id.clone(), *session))
        }
        _ => None,
    })
}
