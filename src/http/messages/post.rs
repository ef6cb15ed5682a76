//! `POST messages`, `messages/donor/:queryId`, `messages/admin/:queryId` and `messages/system/:queryId`.

use aggregates::donor_query::command::MessageAuthor;
use aggregates::donor_query::{DonorQueryCommand, DonorQueryEvent};
use aggregates::ids::{MessageId, QueryId, UserId};
use aggregates::people::{Actor, Staff};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, RecordedEvent};
use aggregates::vocabulary::MessageType;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use projections::messages::MessageRow;
use projections::queries::QueryRow;
use serde::Deserialize;
use utoipa::ToSchema;

use super::colleagues;
use crate::accounts::{DonorPrincipal, Principal};
use crate::clock;
use crate::dispatch::Outcome;
use crate::http::answer::{self, Envelope};
use crate::http::auth::{self, Anyone};
use crate::http::body::{Body, Id};
use crate::http::errand::Errand;
use crate::http::error::{ApiError, Violation};
use crate::http::openapi::{CommandErrors, CommandHeaders, Either};
use crate::http::views::CallsShown;
use crate::http::{donor_queries, lenient, rules, views};

/// What is said. Who says it is never read from here.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewMessage {
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::text))]
    pub(super) content: String,
    /// The query it is about, where the path does not say. What staff say about none is for `recipientId` alone.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    query_id: Option<i64>,
    /// The staff member it is meant for (`receiverId` is read as well): the message then stays among staff. Ignored if a
    /// donor says it.
    #[serde(default, alias = "receiverId", deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    pub(super) recipient_id: Option<i64>,
    /// `QUERY` moves the status, `CHAT` does not. Without a query there is only `CHAT`.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::message_type))]
    message_type: Option<String>,
}

/// Say something about a query, or as staff to a colleague. The credential decides who says it.
#[utoipa::path(
    post,
    path = "/messages",
    tag = "messages",
    params(CommandHeaders),
    request_body = NewMessage,
    responses(
        (
            status = 201,
            description = "The message; less of it for donors",
            body = Envelope<Either<views::StaffMessageCreated, views::DonorMessage>>
        ),
        CommandErrors
    ),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn anyone(
    errand: Errand,
    Anyone(caller): Anyone,
    Body(body): Body<NewMessage>,
) -> Result<Response, ApiError> {
    match (caller, body.query()) {
        (Principal::Donor(donor), Some(query)) => as_donor(&errand, donor, query, body).await,
        // Donors talk about their queries, and to nobody in particular.
        (Principal::Donor(_), None) => Err(ApiError::Forbidden),
        (Principal::Staff(staff), Some(query)) => as_staff(&errand, staff, query, body, MessageType::Query).await,
        (Principal::Staff(staff), None) => {
            colleagues::say(&errand, &staff, body, |said| answer::enveloped(StatusCode::CREATED, said, None)).await
        }
    }
}

impl NewMessage {
    /// The query that the body names.
    pub(super) fn query(&self) -> Option<QueryId> {
        self.query_id.map(QueryId::new)
    }

    /// What it is to be, or what it is by default.
    pub(super) fn type_or(&self, default: MessageType) -> MessageType {
        self.message_type.as_deref().and_then(MessageType::parse).unwrap_or(default)
    }
}

/// Say something about one's own query.
#[utoipa::path(
    post,
    path = "/messages/donor/{id}",
    tag = "messages",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = NewMessage,
    responses((status = 201, description = "The message", body = Envelope<views::DonorMessage>), CommandErrors),
    security(("donor" = []))
)]
pub(super) async fn donor(
    errand: Errand,
    auth::Donor(donor): auth::Donor,
    Id(id): Id,
    Body(body): Body<NewMessage>,
) -> Result<Response, ApiError> {
    as_donor(&errand, donor, QueryId::new(id), body).await
}

/// Answer a donor.
#[utoipa::path(
    post,
    path = "/messages/admin/{id}",
    tag = "messages",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = NewMessage,
    responses((status = 201, description = "The message", body = Envelope<views::StaffMessageCreated>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn staff(
    errand: Errand,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
    Body(body): Body<NewMessage>,
) -> Result<Response, ApiError> {
    as_staff(&errand, staff, QueryId::new(id), body, MessageType::Chat).await
}

/// Have the desk say something.
#[utoipa::path(
    post,
    path = "/messages/system/{id}",
    tag = "messages",
    params(("id" = i64, Path, description = "The query"), CommandHeaders),
    request_body = NewMessage,
    responses((status = 201, description = "The message", body = Envelope<views::StaffMessageCreated>), CommandErrors),
    security(("staff" = []))
)]
pub(super) async fn system(
    errand: Errand,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
    Body(body): Body<NewMessage>,
) -> Result<Response, ApiError> {
    let actor = auth::acting(&staff);
    say(&errand, &actor, MessageAuthor::System, QueryId::new(id), body, MessageType::System).await
}

async fn as_donor(
    errand: &Errand,
    donor: DonorPrincipal,
    query: QueryId,
    body: NewMessage,
) -> Result<Response, ApiError> {
    donor_queries::check_owned(&errand.api, query, &donor).await?;
    let actor = Actor::Donor { id: donor.donor_id };
    // A donor speaks to the desk: which accounts there are is not theirs to find out.
    let body = NewMessage { recipient_id: None, ..body };
    say(errand, &actor, MessageAuthor::Donor, query, body, MessageType::Query).await
}

async fn as_staff(
    errand: &Errand,
    staff: Staff,
    query: QueryId,
    body: NewMessage,
    default: MessageType,
) -> Result<Response, ApiError> {
    let actor = auth::acting(&staff);
    say(errand, &actor, MessageAuthor::Staff(staff), query, body, default).await
}

async fn say(
    errand: &Errand,
    by: &Actor,
    author: MessageAuthor,
    query: QueryId,
    body: NewMessage,
    default: MessageType,
) -> Result<Response, ApiError> {
    let (outcome, shown) = said(errand, by, author, query, body, default).await?;
    let Some((row, said)) = shown else { return Ok(answer::later(query.get(), &outcome)) };
    let calls = CallsShown::default();
    let people = errand.api.accounts.list();
    let status = StatusCode::CREATED;
    let response = match by {
        Actor::Donor { .. } => answer::enveloped(status, views::DonorMessage::new(&said, &row, &calls, &people), None),
        Actor::Staff(_) | Actor::System => {
            answer::enveloped(status, views::StaffMessageCreated::new(&said, Some(&row), &calls, &people), None)
        }
    };
    Ok(answer::of_command(&row, response, &outcome))
}

/// Says it; with the message and its query, if the read models show them in time.
pub(super) async fn said(
    errand: &Errand,
    by: &Actor,
    author: MessageAuthor,
    query: QueryId,
    body: NewMessage,
    default: MessageType,
) -> Result<(Outcome, Option<(QueryRow, MessageRow)>), ApiError> {
    let command = DonorQueryCommand::PostMessage {
        message: errand.notice().await?,
        author,
        recipient: recipient(errand, body.recipient_id)?,
        message_type: body.type_or(default),
        content: Personal::Known(body.content),
        at: clock::now(),
    };
    let outcome = errand.carry_out(query, by, command).await?;
    let message = posted(&outcome.events).ok_or(ApiError::Internal(None))?;
    let shown = errand.shown_with(query, &outcome, errand.api.lookups.message(message)).await?;
    Ok((outcome, shown))
}

fn recipient(errand: &Errand, id: Option<i64>) -> Result<Option<UserId>, ApiError> {
    let Some(id) = id.map(UserId::new) else { return Ok(None) };
    let unknown = || ApiError::Invalid(vec![Violation::new("recipientId", "exists", "recipientId must be an account")]);
    errand.api.accounts.find(id).map(|user| Some(user.id)).ok_or_else(unknown)
}

/// The message of this command, or of the first time it was sent.
fn posted(events: &[RecordedEvent]) -> Option<MessageId> {
    events.iter().find_map(|recorded| match &recorded.event {
        Event::DonorQuery(DonorQueryEvent::MessagePosted { message, .. }) => Some(*message),
        _ => None,
    })
}
