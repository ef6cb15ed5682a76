//! Donor queries on the wire.

use aggregates::ids::{CallId, CallRequestId, UserId};
use aggregates::vocabulary::QueryStatus;
use projections::messages::MessageRow;
use projections::queries::QueryRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::CallsShown;
use super::message::Message;
use super::{Moment, People, PublicUser, StaffMember};

/// What everybody who may see a query sees of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query {
    id: i64,
    donor: String,
    donor_id: String,
    test: String,
    stage: String,
    device: String,
    /// `IN_PROGRESS`, `PENDING_REPLY`, `RESOLVED` or `TRANSFERRED`.
    #[schema(value_type = String)]
    status: QueryStatus,
    created_at: Moment,
    updated_at: Moment,
    transferred_to: Option<String>,
    transferred_to_user_id: Option<i64>,
    resolved_by_id: Option<i64>,
    /// For staff; null for donors.
    transfer_note: Option<String>,
    assigned_to_id: Option<i64>,
    /// Always null: push tokens are nobody's business.
    #[schema(value_type = Option<String>)]
    fcm_token: (),
}

/// A query, for staff.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct StaffQuery {
    #[serde(flatten)]
    query: Query,
    transferred_to_user: Option<PublicUser>,
    resolved_by_user: Option<PublicUser>,
    assigned_to_user: Option<PublicUser>,
    /// Whether the donor closed it.
    closed_by_donor: bool,
    /// The call request that waits for an answer.
    pending_call_request_id: Option<i64>,
    /// The call that is going on.
    active_call_id: Option<i64>,
    /// How long the conversation is.
    message_count: i64,
    /// The beginning of what a person said last.
    last_message: Option<String>,
    last_message_at: Option<Moment>,
    /// Since when the donor has waited for an answer.
    waiting_since: Option<Moment>,
    /// What `If-Match` compares, also in the `ETag` of a single query.
    version: i64,
}

/// A query with the end of its conversation, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffQueryWithMessages {
    #[serde(flatten)]
    query: StaffQuery,
    /// The newest messages, in the order they were said.
    messages: Vec<Message>,
}

/// A query with the end of its conversation, for its donor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct DonorQuery {
    #[serde(flatten)]
    query: Query,
    transferred_to_user: Option<StaffMember>,
    resolved_by_user: Option<StaffMember>,
    assigned_to_user: Option<StaffMember>,
    /// How long the conversation is.
    message_count: i64,
    /// The newest messages, in the order they were said.
    messages: Vec<Message>,
}

/// A query that was just opened, for its donor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct OpenedQuery {
    #[serde(flatten)]
    query: DonorQuery,
    /// Opens this query, and every other one that was opened with the same token in hand.
    donor_token: String,
}

/// Whether somebody takes care of a query, for its donor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Acceptance {
    is_accepted: bool,
    assigned_to_user: Option<StaffMember>,
    /// `IN_PROGRESS`, `PENDING_REPLY`, `RESOLVED` or `TRANSFERRED`.
    #[schema(value_type = String)]
    status: QueryStatus,
}

impl Query {
    pub(super) fn new(row: &QueryRow, transfer_note: Option<String>) -> Self {
        Self {
            id: row.query_id.get(),
            donor: row.donor.clone(),
            donor_id: row.donor_id.as_str().to_owned(),
            test: row.test.clone(),
            stage: row.stage.clone(),
            device: row.device.clone(),
            status: row.standing.status,
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
            transferred_to: row.transferred_to.clone(),
            transferred_to_user_id: row.transferred_to_user_id.map(UserId::get),
            resolved_by_id: row.resolved_by_id.map(UserId::get),
            transfer_note,
            assigned_to_id: row.standing.assigned_to_id.map(UserId::get),
            fcm_token: (),
        }
    }
}

impl StaffQuery {
    /// Shows a row to staff.
    pub(in crate::http) fn new(row: &QueryRow, people: &People) -> Self {
        Self {
            query: Query::new(row, row.transfer_note.clone()),
            transferred_to_user: PublicUser::of(row.transferred_to_user_id, people),
            resolved_by_user: PublicUser::of(row.resolved_by_id, people),
            assigned_to_user: PublicUser::of(row.standing.assigned_to_id, people),
            closed_by_donor: row.closed_by_donor,
            pending_call_request_id: row.standing.pending_request_id.map(CallRequestId::get),
            active_call_id: row.standing.active_call_id.map(CallId::get),
            message_count: row.message_count,
            last_message: row.last_message.clone(),
            last_message_at: row.last_message_at.map(Moment),
            waiting_since: row.waiting_since.map(Moment),
            version: row.version,
        }
    }
}

impl StaffQueryWithMessages {
    /// Shows a row to staff, with the messages that are about it.
    pub(in crate::http) fn new(row: &QueryRow, messages: &[MessageRow], calls: &CallsShown, people: &People) -> Self {
        let messages = messages
            .iter()
            .filter(|message| message.query_id == Some(row.query_id))
            .map(|row| Message::new(row, calls))
            .collect();
        Self { query: StaffQuery::new(row, people), messages }
    }
}

impl DonorQuery {
    /// Shows a row to its donor, with the messages that are about it and not for staff alone.
    pub(in crate::http) fn new(row: &QueryRow, messages: &[MessageRow], calls: &CallsShown, people: &People) -> Self {
        let told =
            |message: &&MessageRow| message.query_id == Some(row.query_id) && super::message::is_for_donors(message);
        Self {
            query: Query::new(row, None),
            transferred_to_user: StaffMember::of(row.transferred_to_user_id, people),
            resolved_by_user: StaffMember::of(row.resolved_by_id, people),
            assigned_to_user: StaffMember::of(row.standing.assigned_to_id, people),
            message_count: row.message_count,
            messages: messages.iter().filter(told).map(|row| Message::new(row, calls)).collect(),
        }
    }

    /// With the token that opens it.
    pub(in crate::http) fn with_token(self, donor_token: String) -> OpenedQuery {
        OpenedQuery { query: self, donor_token }
    }
}

impl Acceptance {
    /// Whether somebody takes care of a query. What the target of a transfer has not taken up yet is not accepted.
    pub(in crate::http) fn new(row: &QueryRow, people: &People) -> Self {
        let status = row.standing.status;
        let is_open = matches!(status, QueryStatus::InProgress | QueryStatus::PendingReply);
        let is_accepted = is_open && row.standing.assigned_to_id.is_some();
        let assigned_to = row.standing.assigned_to_id.filter(|_| is_accepted);
        Self { is_accepted, assigned_to_user: StaffMember::of(assigned_to, people), status }
    }
}
