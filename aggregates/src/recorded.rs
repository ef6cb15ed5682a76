//! The envelope a fact travels in, sealed as it is stored ([`StoredEvent`]) and opened as it is read ([`RecordedEvent`]).

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::call_session::CallSessionEvent;
use crate::donor_query::DonorQueryEvent;
use crate::ids::{CallId, ChatId, DonorId, QueryId, UserId};
use crate::people::{Actor, StaffRef};
use crate::staff_chat::StaffChatEvent;

/// The place of a fact in the log: gapless, in commit order, starting at 1. Zero means before the first fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// Before the first fact.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many partitions the facts are spread over. Fixed: subjects and checkpoints are named after it.
pub const PARTITIONS: u16 = 16;

/// A slice of all queries and chats. Both aggregates of one query share a partition, so their facts keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition of everything about a query, or of a chat by its [place](ChatId::place). Ids are handed out one after the other, so the remainder spreads them.
    #[expect(clippy::missing_panics_doc, reason = "a remainder is below PARTITIONS")]
    pub fn of(query: QueryId) -> Self {
        Self(u16::try_from(query.get().rem_euclid(i64::from(PARTITIONS))).expect("a remainder is below PARTITIONS"))
    }

    /// Every partition.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }
}

/// Which stream of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// The facts of a donor query.
    DonorQuery(QueryId),
    /// The facts of a call session.
    CallSession(CallId),
    /// The facts of a chat of two staff members.
    StaffChat(ChatId),
}

impl StreamId {
    /// The stored `aggregate_type`.
    pub const fn aggregate_type(self) -> &'static str {
        match self {
            Self::DonorQuery(_) => "DonorQuery",
            Self::CallSession(_) => "CallSession",
            Self::StaffChat(_) => "StaffChat",
        }
    }

    /// The stored `aggregate_id`.
    pub fn aggregate_id(self) -> String {
        match self {
            Self::DonorQuery(id) => id.to_string(),
            Self::CallSession(id) => id.to_string(),
            Self::StaffChat(id) => id.to_string(),
        }
    }

    /// Reads the stored pair back; `None` for a type or id this version does not know.
    pub fn parse(aggregate_type: &str, aggregate_id: &str) -> Option<Self> {
        let id = aggregate_id.parse().ok()?;
        match aggregate_type {
            "DonorQuery" => Some(Self::DonorQuery(QueryId::new(id))),
            "CallSession" => Some(Self::CallSession(CallId::new(id))),
            "StaffChat" => Some(Self::StaffChat(ChatId::new(id))),
            _ => None,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type(), self.aggregate_id())
    }
}

/// A fact of any aggregate.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// About a donor query.
    DonorQuery(DonorQueryEvent),
    /// About a call session.
    CallSession(CallSessionEvent),
    /// About a chat of two staff members.
    StaffChat(StaffChatEvent),
}

impl Event {
    /// The variant's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DonorQuery(event) => event.name(),
            Self::CallSession(event) => event.name(),
            Self::StaffChat(event) => event.name(),
        }
    }

    /// The version of the stored format.
    pub const fn version(&self) -> &'static str {
        match self {
            Self::DonorQuery(event) => event.version(),
            Self::CallSession(event) => event.version(),
            Self::StaffChat(event) => event.version(),
        }
    }
}

/// Why a fact exists and where it came from. Stored as a flat object of strings, as cqrs-es expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// `staff`, `donor` or `system`.
    pub actor_kind: String,
    /// The staff account or the donor's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// The staff member's name at the time; never a donor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// The request that carried the command.
    pub request_id: String,
    /// What directly led to the command: the request, or the fact that a reaction answered.
    pub causation_id: String,
    /// What the whole chain began with.
    pub correlation_id: String,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// With which client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The desk that the fact was taken over from. It happened there long ago, so nobody is told of it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
}

impl Metadata {
    /// Metadata of a command that an actor sent in a request.
    pub fn of(actor: &Actor, request_id: impl Into<String>) -> Self {
        let request_id = request_id.into();
        let (kind, id, name) = match actor {
            Actor::Staff(staff) => ("staff", Some(staff.id.to_string()), Some(staff.name.clone())),
            Actor::Donor { id } => ("donor", Some(id.to_string()), None),
            Actor::System => ("system", None, None),
        };
        Self {
            actor_kind: kind.to_owned(),
            actor_id: id,
            actor_name: name,
            causation_id: request_id.clone(),
            correlation_id: request_id.clone(),
            request_id,
            address: None,
            user_agent: None,
            imported_from: None,
        }
    }

    /// Metadata of a fact that is taken over from another desk.
    #[must_use]
    pub fn imported_from(self, desk: impl Into<String>) -> Self {
        Self { imported_from: Some(desk.into()), ..self }
    }

    /// Who acted.
    pub fn actor(&self) -> Actor {
        let id = self.actor_id.as_deref();
        match (self.actor_kind.as_str(), id) {
            ("staff", Some(id)) => Actor::Staff(StaffRef {
                id: UserId::new(id.parse().unwrap_or_default()),
                name: self.actor_name.clone().unwrap_or_default(),
            }),
            ("donor", Some(id)) => Actor::Donor { id: DonorId::new(id) },
            _ => Actor::System,
        }
    }
}

/// A fact as it was recorded, with personal text opened.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its identity.
    pub event_id: Uuid,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// The query it is about; the [place](ChatId::place) of a chat.
    pub query: QueryId,
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
    /// What happened.
    pub event: Event,
    /// Who, from where, and why.
    pub metadata: Metadata,
}

impl RecordedEvent {
    /// The query it is about; none if it belongs to a chat.
    pub const fn about(&self) -> Option<QueryId> {
        match self.stream {
            StreamId::DonorQuery(_) | StreamId::CallSession(_) => Some(self.query),
            StreamId::StaffChat(_) => None,
        }
    }

    /// The partition it is distributed on.
    pub fn partition(&self) -> Partition {
        Partition::of(self.query)
    }
}

/// A fact as it is stored and distributed: personal text sealed, bytes exactly as the digest covers them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its identity.
    pub event_id: Uuid,
    /// The stored `aggregate_type`.
    pub aggregate_type: String,
    /// The stored `aggregate_id`.
    pub aggregate_id: String,
    /// The query it is about; the [place](ChatId::place) of a chat.
    pub query: QueryId,
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// The variant's name.
    pub event_type: String,
    /// The version of the stored format.
    pub event_version: String,
    /// The fact as JSON, sealed.
    pub payload: Box<RawValue>,
    /// [`Metadata`] as JSON.
    pub metadata: Box<RawValue>,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
}

impl StoredEvent {
    /// The partition it is distributed on.
    pub fn partition(&self) -> Partition {
        Partition::of(self.query)
    }
}
