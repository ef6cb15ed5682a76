//! Conversations: of a query, of a donor, between colleagues, and all together. Newest first.

use std::sync::Arc;

use aggregates::ids::{DonorId, MessageId, QueryId, UserId};
use aggregates::people::Staff;
use aggregates::vocabulary::MessageType;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use projections::messages::{self, ListFilter, MessageRow, SenderType};
use projections::page::Page;
use projections::queries::{self, QueryRow};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::accounts::Principal;
use crate::http::answer::{self, Envelope};
use crate::http::auth::{self, Anyone};
use crate::http::body::{Id, Name, Pair, Params};
use crate::http::error::{ApiError, Violation};
use crate::http::joining::{self, Reader};
use crate::http::openapi::{Either, ReadErrors};
use crate::http::{Api, donor_queries, lenient, rules, views};

/// How many messages a page has, if its client does not say.
const PAGE: i64 = 50;

/// Which part of a conversation.
#[derive(Default, Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The most messages, up to 200; 50 if not given, or less than 1.
    #[serde(deserialize_with = "lenient::optional_count")]
    #[garde(skip)]
    limit: Option<i64>,
    /// How many newer messages to skip.
    #[serde(deserialize_with = "lenient::optional_count")]
    #[garde(skip)]
    offset: Option<i64>,
    /// What was said before this message.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(range(min = 1))]
    before: Option<i64>,
    /// Wait until the list shows the fact at this position; refused if there is none.
    #[serde(rename = "min_position", deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    #[param(rename = "min_position")]
    #[allow(dead_code, reason = "described here, read by the freshness layer")]
    min_position: Option<i64>,
}

/// Which messages.
#[derive(Default, Deserialize, Validate, IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// About this query.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    query_id: Option<i64>,
    /// Said by this staff member.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    sender_id: Option<i64>,
    /// Meant for this staff member.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[garde(skip)]
    recipient_id: Option<i64>,
    /// Of this type.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::message_type))]
    message_type: Option<String>,
    /// Said by `ADMIN`, `DONOR` or `SYSTEM`.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::sender_type))]
    sender_type: Option<String>,
    /// About a query of this donor.
    #[serde(deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::short_or_empty))]
    donor_id: Option<String>,
}

/// Messages about all queries, and one's own to and from colleagues.
#[utoipa::path(
    get,
    path = "/messages",
    tag = "messages",
    params(Filters, Part),
    responses((status = 200, description = "A page", body = Envelope<Vec<views::StaffMessage>>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Params(filters): Params<Filters>,
    Params(part): Params<Part>,
) -> Result<Response, ApiError> {
    let filter = ListFilter {
        query_id: filters.query_id.map(QueryId::new),
        message_type: filters.message_type.as_deref().and_then(MessageType::parse),
        sender_type: filters.sender_type.as_deref().and_then(SenderType::parse),
        sender_id: filters.sender_id.map(UserId::new),
        recipient_id: filters.recipient_id.map(UserId::new),
        donor_id: filters.donor_id.map(DonorId::new),
    };
    let rows = messages::list(&api.reads, &filter, Some(staff.id), &part.page()?).await?;
    Ok(enveloped(for_staff(&api, &rows, &staff).await?))
}

/// The conversation about a query.
#[utoipa::path(
    get,
    path = "/messages/query/{id}",
    tag = "messages",
    params(("id" = i64, Path, description = "The query"), Part),
    responses(
        (
            status = 200,
            description = "A page; less of it for donors",
            body = Envelope<Vec<Either<views::StaffMessage, views::DonorMessage>>>
        ),
        ReadErrors
    ),
    security(("donor" = []), ("staff" = []))
)]
pub(super) async fn of_query(
    State(api): State<Arc<Api>>,
    Anyone(caller): Anyone,
    Id(id): Id,
    Params(part): Params<Part>,
) -> Result<Response, ApiError> {
    let query = donor_queries::visible(&api, QueryId::new(id), &caller).await?;
    let rows = messages::of_query(&api.reads, query.query_id, &part.page()?).await?;
    match caller {
        Principal::Staff(staff) => Ok(enveloped(staff_views(&api, &rows, &[query], &staff).await?)),
        Principal::Donor(_) => {
            let calls = joining::calls_shown(&api, &rows, std::slice::from_ref(&query), Reader::Donor).await?;
            let people = api.accounts.list();
            let told = rows.iter().filter_map(|row| views::DonorMessage::new(row, &query, &calls, &people));
            Ok(enveloped(told.collect::<Vec<_>>()))
        }
    }
}

/// The conversation about a query, with its length.
#[utoipa::path(
    get,
    path = "/messages/admin/{id}",
    tag = "messages",
    params(("id" = i64, Path, description = "The query"), Part),
    responses((status = 200, description = "A page", body = Envelope<views::MessageList>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_query_for_staff(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Id(id): Id,
    Params(part): Params<Part>,
) -> Result<Response, ApiError> {
    let query = api.lookups.query(QueryId::new(id)).await?.ok_or(ApiError::query_not_found())?;
    let page = part.page()?;
    let rows = messages::of_query(&api.reads, query.query_id, &page).await?;
    let total = query.message_count;
    let messages = staff_views(&api, &rows, &[query], &staff).await?;
    Ok(enveloped(views::MessageList { messages, total, limit: page.limit(), offset: part.offset() }))
}

/// What was said about all queries of a donor.
#[utoipa::path(
    get,
    path = "/messages/donor/{id}",
    tag = "messages",
    params(("id" = String, Path, description = "The donor's identity"), Part),
    responses((status = 200, description = "A page", body = Envelope<Vec<views::StaffMessageOfDonor>>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn of_donor(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Name(donor): Name,
    Params(part): Params<Part>,
) -> Result<Response, ApiError> {
    let rows = messages::of_donor(&api.reads, &DonorId::new(donor), &part.page()?).await?;
    let queries = queries_of(&api, &rows).await?;
    let calls = joining::calls_shown(&api, &rows, &queries, Reader::Staff(&staff)).await?;
    let people = api.accounts.list();
    let view = |row| views::StaffMessageOfDonor::new(row, &queries, &calls, &people);
    let data: Vec<_> = rows.iter().map(view).collect();
    Ok(enveloped(data))
}

/// What two colleagues said to each other in chat; about no query, only if one is oneself.
#[utoipa::path(
    get,
    path = "/messages/between/{one}/{other}",
    tag = "messages",
    params(
        ("one" = i64, Path, description = "A staff account"),
        ("other" = i64, Path, description = "Another staff account"),
        Part
    ),
    responses((status = 200, description = "A page", body = Envelope<Vec<views::StaffMessage>>), ReadErrors),
    security(("staff" = []))
)]
pub(super) async fn between(
    State(api): State<Arc<Api>>,
    auth::Staff(staff): auth::Staff,
    Pair(one, other): Pair,
    Params(part): Params<Part>,
) -> Result<Response, ApiError> {
    let rows = messages::between(&api.reads, UserId::new(one), UserId::new(other), staff.id, &part.page()?).await?;
    Ok(enveloped(for_staff(&api, &rows, &staff).await?))
}

impl Part {
    fn offset(&self) -> i64 {
        self.offset.unwrap_or_default().max(0)
    }

    pub(super) fn page(&self) -> Result<Page<MessageId>, ApiError> {
        let limit = self.limit.filter(|limit| *limit >= 1).unwrap_or(PAGE);
        if let Some(message) = self.before {
            return Ok(Page::after(MessageId::new(message), limit));
        }
        let too_deep = |error: projections::page::TooDeep| {
            ApiError::Invalid(vec![Violation::new("offset", "max", error.to_string())])
        };
        Page::at_offset(self.offset(), limit).map_err(too_deep)
    }
}

fn enveloped<T: serde::Serialize>(data: T) -> Response {
    answer::enveloped(StatusCode::OK, data, None)
}

/// Messages, as a staff member sees them.
pub(super) async fn for_staff(
    api: &Api,
    rows: &[MessageRow],
    reader: &Staff,
) -> Result<Vec<views::StaffMessage>, ApiError> {
    let queries = queries_of(api, rows).await?;
    staff_views(api, rows, &queries, reader).await
}

async fn staff_views(
    api: &Api,
    rows: &[MessageRow],
    queries: &[QueryRow],
    reader: &Staff,
) -> Result<Vec<views::StaffMessage>, ApiError> {
    let calls = joining::calls_shown(api, rows, queries, Reader::Staff(reader)).await?;
    let people = api.accounts.list();
    Ok(rows.iter().map(|row| views::StaffMessage::new(row, queries, &calls, &people)).collect())
}

/// The queries that messages are about, each once.
async fn queries_of(api: &Api, rows: &[MessageRow]) -> Result<Vec<QueryRow>, ApiError> {
    let mut ids: Vec<_> = rows.iter().filter_map(|row| row.query_id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(queries::of_ids(&api.reads, &ids).await?)
}
