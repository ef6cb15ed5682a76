//! Donors' wishes for a call, on the wire.

use std::collections::BTreeMap;

use aggregates::donor_query;
use aggregates::ids::{CallId, UserId};
use aggregates::vocabulary::{CallMode, CallRequestStatus};
use projections::messages::MessageRow;
use projections::queries::QueryRow;
use projections::requests::RequestRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::CallsShown;
use super::query::Query;
use super::{DonorMessage, DonorQuery, Moment, People, PublicUser, StaffQuery};

/// A donor's wish for a call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallRequest {
    id: i64,
    query_id: i64,
    /// Who answered it.
    admin_id: Option<i64>,
    /// What it says.
    message: String,
    /// `VIDEO`, `AUDIO` or `SCREEN`.
    #[schema(value_type = String)]
    mode: CallMode,
    call_type: &'static str,
    /// `PENDING`, `ACCEPTED`, `REJECTED` or `CANCELLED`.
    #[schema(value_type = String)]
    status: CallRequestStatus,
    /// The call that answers it.
    call_session_id: Option<i64>,
    created_at: Moment,
    updated_at: Moment,
}

/// A call request, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffCallRequest {
    #[serde(flatten)]
    request: CallRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<StaffQuery>,
    /// Who answered it.
    admin: Option<PublicUser>,
}

/// A call request, for its donor.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DonorCallRequest {
    #[serde(flatten)]
    request: CallRequest,
    query: Query,
}

/// A call request that was just made, for its donor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Ask {
    call_request: DonorCallRequest,
    message: Option<AskMessage>,
    query: DonorQuery,
}

/// The message that shows a call request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AskMessage {
    #[serde(flatten)]
    message: DonorMessage,
    call_request: CallRequest,
}

impl CallRequest {
    fn new(row: &RequestRow) -> Self {
        Self {
            id: row.request_id.get(),
            query_id: row.query_id.get(),
            admin_id: row.admin_id.map(UserId::get),
            message: donor_query::call_requested(row.mode),
            mode: row.mode,
            call_type: row.mode.call_type(),
            status: row.status,
            call_session_id: row.call_id.map(CallId::get),
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
        }
    }
}

impl StaffCallRequest {
    /// Shows a call request to staff, with its query if that is not known from elsewhere.
    pub(in crate::http) fn new(row: &RequestRow, query: Option<&QueryRow>, people: &People) -> Self {
        Self {
            request: CallRequest::new(row),
            query: query.map(|query| StaffQuery::new(query, people)),
            admin: PublicUser::of(row.admin_id, people),
        }
    }
}

impl DonorCallRequest {
    /// Shows a call request to the donor who made it.
    pub(in crate::http) fn new(row: &RequestRow, query: &QueryRow) -> Self {
        Self { request: CallRequest::new(row), query: Query::new(query, None) }
    }
}

impl Ask {
    /// Shows a new call request to the donor who made it, with the message that shows it in the conversation.
    pub(in crate::http) fn new(row: &RequestRow, said: Option<&MessageRow>, query: &QueryRow, people: &People) -> Self {
        let calls = CallsShown::new(vec![], std::slice::from_ref(row), BTreeMap::new());
        let message = said.and_then(|said| DonorMessage::new(said, query, &calls, people));
        Self {
            call_request: DonorCallRequest::new(row, query),
            message: message.map(|message| AskMessage { message, call_request: CallRequest::new(row) }),
            query: DonorQuery::new(query, &[], &calls, people),
        }
    }
}
