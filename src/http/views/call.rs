//! Calls on the wire.
//!
//! What lets somebody join a call is a [`Pass`]: made for one reader, shown to nobody else. The types for donors have no
//! place for one of staff.

use std::collections::BTreeMap;

use aggregates::ids::{CallId, CallRequestId, UserId};
use aggregates::vocabulary::{CallMode, CallStatus, EndReason};
use projections::calls::CallRow;
use projections::messages::MessageRow;
use projections::queries::QueryRow;
use projections::requests::RequestRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::message::Message;
use super::query::Query;
use super::{Moment, People, PublicUser, StaffCallRequest, StaffMember, StaffQuery};
use crate::integrations::calls::{Grant, Provider};

/// The token that lets its reader join a call.
#[derive(Clone, Debug)]
pub(in crate::http) enum Pass {
    /// For a staff member.
    Staff(String),
    /// For the donor.
    Donor(String),
}

/// The calls and call requests that messages are about, with what lets their reader join.
#[derive(Debug, Default)]
pub(in crate::http) struct CallsShown {
    sessions: BTreeMap<CallId, CallRow>,
    asked: BTreeMap<CallRequestId, CallMode>,
    passes: BTreeMap<CallId, Pass>,
}

/// A call.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallSession {
    id: i64,
    query_id: i64,
    /// The staff member who began it; null if the donor did.
    admin_id: Option<i64>,
    call_request_id: Option<i64>,
    pub(super) room_name: String,
    /// Lets nobody in by itself.
    room_url: String,
    started_at: Option<Moment>,
    ended_at: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
    /// When the room closes by itself.
    expires_at: Moment,
    /// `CREATED`, `STARTED` or `ENDED`.
    #[schema(value_type = String)]
    status: CallStatus,
    #[schema(value_type = Option<String>)]
    end_reason: Option<EndReason>,
    /// `video` or `audio`: the old word for `mode`.
    call_type: &'static str,
    /// `VIDEO`, `AUDIO` or `SCREEN`.
    #[schema(value_type = String)]
    pub(super) mode: CallMode,
    /// `daily`, or `local` for the stand-in.
    provider: String,
    /// What people ought to know about the provider's rooms.
    note: Option<&'static str>,
    /// For staff who may join, while the call goes on.
    pub(super) admin_token: Option<String>,
    /// For the donor, while the call goes on.
    pub(super) user_token: Option<String>,
}

/// A call, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffCallSession {
    #[serde(flatten)]
    call: CallSession,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<StaffQuery>,
    /// Who began it.
    admin: Option<PublicUser>,
}

/// A call with the messages about it, for staff.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StaffCallSessionWithMessages {
    #[serde(flatten)]
    session: StaffCallSession,
    /// In the order they were said.
    messages: Vec<Message>,
}

/// A call, for its donor.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DonorCallSession {
    #[serde(flatten)]
    call: CallSession,
    query: Query,
    /// Who began it.
    admin: Option<StaffMember>,
}

/// The calls about a query, for staff.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CallsOfQuery {
    /// Newest first.
    call_sessions: Vec<StaffCallSession>,
    /// What the desk told the conversation, newest first; at most 50.
    messages: Vec<super::StaffMessage>,
}

/// A call that staff may join.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct StaffCall {
    call_session: StaffCallSession,
    room: Room,
    tokens: StaffTokens,
    admin_token: Option<String>,
    /// Always null: the donor's token is made for the donor.
    #[schema(value_type = Option<String>)]
    user_token: (),
    room_url: String,
    call_type: &'static str,
    #[schema(value_type = String)]
    mode: CallMode,
    /// The way in for staff.
    admin: WayIn,
    /// The way in for the donor, without the token.
    user: WayIn,
    notification_data: NotificationData,
    /// The request it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_request: Option<StaffCallRequest>,
}

/// A call that the donor may join.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct DonorCall {
    call_session: DonorCallSession,
    room: Room,
    tokens: DonorTokens,
    user_token: Option<String>,
    room_url: String,
    call_type: &'static str,
    #[schema(value_type = String)]
    mode: CallMode,
    /// The way in for the donor.
    user: WayIn,
    notification_data: NotificationData,
}

/// A room.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Room {
    name: String,
    url: String,
    provider: String,
    note: Option<&'static str>,
    expires_at: Moment,
}

/// The tokens of a call, for staff.
#[derive(Debug, Serialize, ToSchema)]
struct StaffTokens {
    admin: Option<String>,
    /// Always null: the donor's token is made for the donor.
    #[schema(value_type = Option<String>)]
    user: (),
}

/// The tokens of a call, for its donor.
#[derive(Debug, Serialize, ToSchema)]
struct DonorTokens {
    user: Option<String>,
}

/// What somebody needs to join.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WayIn {
    room_url: String,
    room_token: Option<String>,
    room_name: String,
    #[schema(value_type = String)]
    mode: CallMode,
}

/// What the old system handed over for pushes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationData {
    /// Always null: push tokens are nobody's business.
    #[schema(value_type = Option<String>)]
    fcm_token: (),
    admin_name: Option<String>,
}

impl Pass {
    /// What a grant for a staff member lets them do.
    pub(in crate::http) fn of_staff(grant: &Grant) -> Self {
        Self::Staff(grant.token.expose().to_owned())
    }

    /// What a grant for the donor lets them do.
    pub(in crate::http) fn of_donor(grant: &Grant) -> Self {
        Self::Donor(grant.token.expose().to_owned())
    }

    fn staff(&self) -> Option<&String> {
        match self {
            Self::Staff(token) => Some(token),
            Self::Donor(_) => None,
        }
    }

    fn donor(&self) -> Option<&String> {
        match self {
            Self::Donor(token) => Some(token),
            Self::Staff(_) => None,
        }
    }
}

impl CallsShown {
    /// Gathers rows, and the passes of one reader.
    pub(in crate::http) fn new(
        sessions: Vec<CallRow>,
        requests: &[RequestRow],
        passes: BTreeMap<CallId, Pass>,
    ) -> Self {
        Self {
            sessions: sessions.into_iter().map(|row| (row.call_id, row)).collect(),
            asked: requests.iter().map(|row| (row.request_id, row.mode)).collect(),
            passes,
        }
    }

    pub(super) fn session(&self, call: CallId) -> Option<CallSession> {
        self.sessions.get(&call).map(|row| CallSession::new(row, self.passes.get(&call)))
    }

    pub(super) fn asked(&self, request: CallRequestId) -> Option<CallMode> {
        self.asked.get(&request).copied()
    }
}

impl CallSession {
    fn new(row: &CallRow, pass: Option<&Pass>) -> Self {
        Self {
            id: row.call_id.get(),
            query_id: row.query_id.get(),
            admin_id: row.admin_id.map(UserId::get),
            call_request_id: row.request_id.map(CallRequestId::get),
            room_name: row.room_name.as_str().to_owned(),
            room_url: row.room_url.clone(),
            started_at: row.started_at.map(Moment),
            ended_at: row.ended_at.map(Moment),
            created_at: Moment(row.created_at),
            updated_at: Moment(row.updated_at),
            expires_at: Moment(row.expires_at),
            status: row.status,
            end_reason: row.end_reason,
            call_type: row.mode.call_type(),
            mode: row.mode,
            provider: row.provider.clone(),
            note: note(row),
            admin_token: pass.and_then(Pass::staff).cloned(),
            user_token: pass.and_then(Pass::donor).cloned(),
        }
    }
}

fn note(row: &CallRow) -> Option<&'static str> {
    Provider::parse(&row.provider).ok().and_then(Provider::note)
}

impl StaffCallSession {
    /// Shows a call to staff, with its query if that is not known from elsewhere.
    pub(in crate::http) fn new(row: &CallRow, query: Option<&QueryRow>, pass: Option<&Pass>, people: &People) -> Self {
        Self {
            call: CallSession::new(row, pass),
            query: query.map(|query| StaffQuery::new(query, people)),
            admin: PublicUser::of(row.admin_id, people),
        }
    }

    /// With the messages about it.
    pub(in crate::http) fn with_messages(
        self,
        messages: &[MessageRow],
        calls: &CallsShown,
    ) -> StaffCallSessionWithMessages {
        let messages = messages.iter().map(|row| Message::new(row, calls)).collect();
        StaffCallSessionWithMessages { session: self, messages }
    }
}

impl DonorCallSession {
    /// Shows a call to the donor it is held with.
    pub(in crate::http) fn new(row: &CallRow, query: &QueryRow, pass: Option<&Pass>, people: &People) -> Self {
        let own = pass.filter(|pass| pass.donor().is_some());
        Self {
            call: CallSession::new(row, own),
            query: Query::new(query, None),
            admin: StaffMember::of(row.admin_id, people),
        }
    }
}

impl CallsOfQuery {
    /// Shows the calls about a query to staff.
    pub(in crate::http) const fn new(call_sessions: Vec<StaffCallSession>, messages: Vec<super::StaffMessage>) -> Self {
        Self { call_sessions, messages }
    }
}

impl Room {
    fn new(row: &CallRow) -> Self {
        Self {
            name: row.room_name.as_str().to_owned(),
            url: row.room_url.clone(),
            provider: row.provider.clone(),
            note: note(row),
            expires_at: Moment(row.expires_at),
        }
    }
}

impl WayIn {
    fn new(row: &CallRow, room_token: Option<String>) -> Self {
        let (room_url, room_name) = (row.room_url.clone(), row.room_name.as_str().to_owned());
        Self { room_url, room_token, room_name, mode: row.mode }
    }
}

impl NotificationData {
    fn new(row: &CallRow, people: &People) -> Self {
        let admin_name = row.admin_id.and_then(|id| people.get(&id)).map(|user| user.name.clone());
        Self { fcm_token: (), admin_name }
    }
}

impl StaffCall {
    /// Shows a call to staff who may join it.
    pub(in crate::http) fn new(row: &CallRow, query: &QueryRow, pass: Option<&Pass>, people: &People) -> Self {
        let token = pass.and_then(Pass::staff).cloned();
        Self {
            call_session: StaffCallSession::new(row, Some(query), pass, people),
            room: Room::new(row),
            tokens: StaffTokens { admin: token.clone(), user: () },
            admin_token: token.clone(),
            user_token: (),
            room_url: row.room_url.clone(),
            call_type: row.mode.call_type(),
            mode: row.mode,
            admin: WayIn::new(row, token),
            user: WayIn::new(row, None),
            notification_data: NotificationData::new(row, people),
            call_request: None,
        }
    }

    /// With the request it answers.
    pub(in crate::http) fn answering(self, request: &RequestRow, query: &QueryRow, people: &People) -> Self {
        Self { call_request: Some(StaffCallRequest::new(request, Some(query), people)), ..self }
    }
}

impl DonorCall {
    /// Shows a call to the donor it is held with.
    pub(in crate::http) fn new(row: &CallRow, query: &QueryRow, pass: Option<&Pass>, people: &People) -> Self {
        let token = pass.and_then(Pass::donor).cloned();
        Self {
            call_session: DonorCallSession::new(row, query, pass, people),
            room: Room::new(row),
            tokens: DonorTokens { user: token.clone() },
            user_token: token.clone(),
            room_url: row.room_url.clone(),
            call_type: row.mode.call_type(),
            mode: row.mode,
            user: WayIn::new(row, token),
            notification_data: NotificationData::new(row, people),
        }
    }
}
