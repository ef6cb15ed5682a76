//! Messages on the wire.

use aggregates::donor_query::event::is_for_donor;
use aggregates::ids::{CallId, CallRequestId, QueryId, UserId};
use aggregates::vocabulary::{CallMode, MessageType, QueryStatus};
use projections::messages::{MessageRow, SenderType};
use projections::queries::QueryRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{CallSession, CallsShown};
use super::query::Query;
use super::{Moment, People, StaffMember, StaffQuery};
use crate::accounts::{User, role_word};

/// A message as everybody sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct Message {
    id: i64,
    content: String,
    is_from_admin: bool,
    /// `ADMIN`, `DONOR` or `SYSTEM`.
    sender_type: &'static str,
    created_at: Moment,
    updated_at: Moment,
    /// Null if it was said to a colleague about no query.
    query_id: Option<i64>,
    /// `QUERY`, `CHAT`, `SYSTEM`, `CALL_STARTED` or `CALL_ENDED`.
    #[schema(value_type = String)]
    message_type: MessageType,
    sender_id: Option<i64>,
    /// The name of who said it.
    sender_name: Option<String>,
    recipient_id: Option<i64>,
    /// Who said it, if a donor did.
    donor_id: Option<String>,
    /// The name of who said it, if a donor did.
    donor_name: Option<String>,
    call_session_id: Option<i64>,
    call_request_id: Option<i64>,
    /// The room of the call it is about.
    room_name: Option<String>,
    /// `VIDEO`, `AUDIO` or `SCREEN`: how the call it is about is held, or was asked for.
    #[schema(value_type = Option<String>)]
    call_mode: Option<CallMode>,
    /// Lets staff join the call it is about: for staff who may, while the call goes on.
    admin_token: Option<String>,
    /// Lets the donor join the call it is about: for that donor, while the call goes on.
    user_token: Option<String>,
    /// The call it is about.
    call_session: Option<CallSession>,
    #[serde(flatten)]
    absent: Absent,
}

/// Keys of the contract that are always null.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Absent {
    #[schema(value_type = Option<String>)]
    fcm_token: (),
    #[schema(value_type = Option<Object>)]
    donor_info: (),
}

/// The staff member who said a message, or for whom it is, for staff.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Sender {
    id: i64,
    name: String,
    username: String,
    avatar: Option<String>,
    /// `SUPER_ADMIN` or `ADMIN`.
    role: &'static str,
    is_active: bool,
}

/// The query that a message is about, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueryInShort {
    id: i64,
    donor: String,
    donor_id: String,
    test: String,
    stage: String,
    #[schema(value_type = String)]
    status: QueryStatus,
    assigned_to_user: Option<Assignee>,
}

/// Who holds a query.
#[derive(Debug, Serialize, ToSchema)]
struct Assignee {
    id: i64,
    name: String,
    /// `SUPER_ADMIN` or `ADMIN`.
    role: &'static str,
}

/// A message of a list, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffMessage {
    #[serde(flatten)]
    message: Message,
    sender: Option<Sender>,
    recipient: Option<Sender>,
    query: Option<QueryInShort>,
}

/// A message that was just posted, for staff: with the query as it is now, if it is about one.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffMessageCreated {
    #[serde(flatten)]
    message: Message,
    sender: Option<Sender>,
    recipient: Option<Sender>,
    query: Option<StaffQuery>,
}

/// A message about one of a donor's queries, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffMessageOfDonor {
    #[serde(flatten)]
    message: Message,
    query: Option<QueryInShort>,
}

/// A message, for the donor whose query it is about.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DonorMessage {
    #[serde(flatten)]
    message: Message,
    sender: Option<StaffMember>,
    recipient: Option<StaffMember>,
    query: Query,
}

/// A page of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MessageList {
    /// Newest first.
    pub(in crate::http) messages: Vec<StaffMessage>,
    /// How long the conversation is.
    pub(in crate::http) total: i64,
    /// The most messages of a page.
    pub(in crate::http) limit: i64,
    /// How many newer messages were skipped.
    pub(in crate::http) offset: i64,
}

/// Whether a donor is told.
pub(super) fn is_for_donors(row: &MessageRow) -> bool {
    is_for_donor(row.sender_type == SenderType::Donor, row.recipient_id)
}

impl Message {
    pub(super) fn new(row: &MessageRow, calls: &CallsShown) -> Self {
        let is_from_donor = row.sender_type == SenderType::Donor;
        let call = row.call_id.and_then(|call| calls.session(call));
        let asked = || row.call_request_id.and_then(|request| calls.asked(request));
        Self {
            id: row.message_id.get(),
            content: row.content.clone(),
            is_from_admin: row.sender_type == SenderType::Admin,
            sender_type: row.sender_type.as_str(),
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
            query_id: row.query_id.map(QueryId::get),
            message_type: row.message_type,
            sender_id: row.sender_id.map(UserId::get),
            sender_name: row.sender_name.clone(),
            recipient_id: row.recipient_id.map(UserId::get),
            donor_id: row.donor_id.as_ref().filter(|_| is_from_donor).map(|donor| donor.as_str().to_owned()),
            donor_name: row.donor_name.clone().filter(|_| is_from_donor),
            call_session_id: row.call_id.map(CallId::get),
            call_request_id: row.call_request_id.map(CallRequestId::get),
            room_name: call.as_ref().map(|call| call.room_name.clone()),
            call_mode: call.as_ref().map(|call| call.mode).or_else(asked),
            admin_token: call.as_ref().and_then(|call| call.admin_token.clone()),
            user_token: call.as_ref().and_then(|call| call.user_token.clone()),
            call_session: call,
            absent: Absent::default(),
        }
    }
}

impl Sender {
    fn of(id: Option<UserId>, people: &People) -> Option<Self> {
        people.get(&id?).map(|user| Self::from(user.as_ref()))
    }
}

impl From<&User> for Sender {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.get(),
            name: user.name.clone(),
            username: user.username.clone(),
            avatar: user.avatar.clone(),
            role: role_word(user.role),
            is_active: user.is_active,
        }
    }
}

impl QueryInShort {
    fn find(row: &MessageRow, queries: &[QueryRow], people: &People) -> Option<Self> {
        let query = queries.iter().find(|query| Some(query.query_id) == row.query_id)?;
        let holder = query.standing.assigned_to_id.and_then(|id| people.get(&id));
        Some(Self {
            id: query.query_id.get(),
            donor: query.donor.clone(),
            donor_id: query.donor_id.as_str().to_owned(),
            test: query.test.clone(),
            stage: query.stage.clone(),
            status: query.standing.status,
            assigned_to_user: holder.map(|user| Assignee {
                id: user.id.get(),
                name: user.name.clone(),
                role: role_word(user.role),
            }),
        })
    }
}

impl StaffMessage {
    /// Shows a message to staff; `queries` holds the one it is about.
    pub(in crate::http) fn new(row: &MessageRow, queries: &[QueryRow], calls: &CallsShown, people: &People) -> Self {
        Self {
            message: Message::new(row, calls),
            sender: Sender::of(row.sender_id, people),
            recipient: Sender::of(row.recipient_id, people),
            query: QueryInShort::find(row, queries, people),
        }
    }
}

impl StaffMessageCreated {
    /// Shows a new message to staff.
    pub(in crate::http) fn new(
        row: &MessageRow,
        query: Option<&QueryRow>,
        calls: &CallsShown,
        people: &People,
    ) -> Self {
        Self {
            message: Message::new(row, calls),
            sender: Sender::of(row.sender_id, people),
            recipient: Sender::of(row.recipient_id, people),
            query: query.map(|query| StaffQuery::new(query, people)),
        }
    }
}

impl StaffMessageOfDonor {
    /// Shows a message to staff; `queries` holds the one it is about.
    pub(in crate::http) fn new(row: &MessageRow, queries: &[QueryRow], calls: &CallsShown, people: &People) -> Self {
        Self { message: Message::new(row, calls), query: QueryInShort::find(row, queries, people) }
    }
}

impl DonorMessage {
    /// Shows a message to the donor whose query it is about; `None` if it is for staff alone.
    pub(in crate::http) fn new(
        row: &MessageRow,
        query: &QueryRow,
        calls: &CallsShown,
        people: &People,
    ) -> Option<Self> {
        is_for_donors(row).then(|| Self {
            message: Message::new(row, calls),
            sender: StaffMember::of(row.sender_id, people),
            recipient: StaffMember::of(row.recipient_id, people),
            query: Query::new(query, None),
        })
    }
}
