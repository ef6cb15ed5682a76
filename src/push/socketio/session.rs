//! One socket: who it speaks for, and which queries it wants to hear about.
//!
//! Staff hear a conversation only after they joined its room; a donor hears every query of their own, but those that were
//! left.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregates::ids::{DonorId, QueryId, UserId};
use projections::queries::{self, QueryRow};
use serde::Serialize;
use serde_json::Value;
use socketioxide::extract::{AckSender, Extension, SocketRef, State, TryData};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::door::{Place, whole};
use super::emissions::To;
use super::{Mouth, teller};
use crate::accounts::DonorPrincipal;
use crate::push::feed::{Audience, Cursor};

/// How many rooms one socket may be in.
pub(super) const MAX_ROOMS: usize = 1_000;

/// How many joins of one socket are looked at a time.
const JOINS_AT_ONCE: usize = 4;

/// Who a socket speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A staff member.
    Staff(UserId),
    /// A donor.
    Donor(DonorPrincipal),
}

/// What is known of one socket. It lives as long as the socket.
pub(super) struct Session {
    place: Place,
    /// Where the client wants to go on; what happens from now on if absent.
    pub(super) from: Option<Cursor>,
    /// Cancelled when the socket is gone.
    pub(super) gone: CancellationToken,
    voice: Mutex<Voice>,
    rooms: Mutex<Rooms>,
    joins: Semaphore,
}

/// Who the socket speaks for, as soon as that is known, and the token until the feed is opened with it.
#[derive(Default)]
struct Voice {
    who: Option<Who>,
    token: Option<String>,
    has_begun: bool,
}

#[derive(Default)]
struct Rooms {
    joined: BTreeSet<QueryId>,
    left: BTreeSet<QueryId>,
}

/// The answer to a join or a leave.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    success: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<i64>,
}

/// Why a room could not be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotJoined {
    #[error("queryId must be the number of a query")]
    NoQuery,
    #[error("donorId must say whose query it is")]
    NoDonor,
    /// No such query, or one of somebody else: a client cannot tell which.
    #[error("query not found")]
    NotFound,
    #[error("this socket speaks for another donor")]
    OtherDonor,
    #[error("too many open feeds")]
    NoSeat,
    #[error("too many rooms, leave some")]
    TooMany,
    #[error("too many joins at once, try again")]
    Busy,
    #[error("queries are unavailable, try again")]
    Unavailable,
}

/// Answers `joinQueryRoom {queryId, donorId?}`.
pub(super) async fn join(
    socket: SocketRef,
    State(mouth): State<Mouth>,
    Extension(session): Extension<Arc<Session>>,
    TryData(request): TryData<Value>,
    ack: AckSender,
) {
    let request = request.unwrap_or_default();
    let answer = match session.join(&mouth, &request).await {
        Ok(query) => {
            teller::start(socket, mouth, session);
            Answer::yes(query, format!("Joined the room of query {query}"))
        }
        Err(refused) => Answer::no(refused),
    };
    // Fails only for a client that is gone, or reads nothing and will be told so by its teller.
    let _ = ack.send(&answer);
}

/// Answers `leaveQueryRoom {queryId}`; who leaves a room without being in it is out of it, too.
pub(super) async fn leave(
    Extension(session): Extension<Arc<Session>>,
    TryData(request): TryData<Value>,
    ack: AckSender,
) {
    let answer = match query_of(&request.unwrap_or_default()) {
        Ok(query) => {
            session.leave(query);
            Answer::yes(query, format!("Left the room of query {query}"))
        }
        Err(refused) => Answer::no(refused),
    };
    let _ = ack.send(&answer);
}

impl Session {
    /// A socket of nobody in particular.
    pub(super) fn new(place: Place, from: Option<Cursor>, rooms: Vec<QueryId>) -> Self {
        Self {
            place,
            from,
            gone: CancellationToken::new(),
            voice: Mutex::default(),
            rooms: Mutex::new(Rooms { joined: rooms.into_iter().collect(), left: BTreeSet::new() }),
            joins: Semaphore::new(JOINS_AT_ONCE),
        }
    }

    /// Says who the socket speaks for; the first word counts. Returns that.
    pub(super) fn is_of(&self, who: Who, token: Option<String>) -> Who {
        let mut voice = lock(&self.voice);
        if voice.who.is_none() {
            *voice = Voice { who: Some(who.clone()), token, has_begun: false };
        }
        voice.who.clone().unwrap_or(who)
    }

    /// Who is to be told the feed from now on; nobody if that is not known yet, or has begun.
    pub(super) fn begins(&self) -> Option<Who> {
        let mut voice = lock(&self.voice);
        let who = voice.who.clone().filter(|_| !voice.has_begun)?;
        voice.has_begun = true;
        Some(who)
    }

    fn who(&self) -> Option<Who> {
        lock(&self.voice).who.clone()
    }

    /// The token that proved it, the first time.
    pub(super) fn take_token(&self) -> Option<String> {
        lock(&self.voice).token.take()
    }

    /// The socket is gone.
    pub(super) fn ends(&self) {
        self.gone.cancel();
    }

    /// Whether somebody hears what is said about a query.
    pub(super) fn hears(&self, who: &Who, to: To, query: QueryId) -> bool {
        match (who, to) {
            (Who::Staff(_), To::Staff | To::Everybody) => true,
            (Who::Staff(own), To::Member(meant)) => *own == meant,
            (Who::Staff(_), To::Room | To::StaffInRoom) => lock(&self.rooms).joined.contains(&query),
            (Who::Donor(_), To::Everybody | To::Room) => !lock(&self.rooms).left.contains(&query),
            (Who::Donor(_), To::Staff | To::Member(_) | To::StaffInRoom) => false,
        }
    }

    async fn join(&self, mouth: &Mouth, request: &Value) -> Result<QueryId, NotJoined> {
        let _turn = self.joins.try_acquire().map_err(|_| NotJoined::Busy)?;
        let query = query_of(request)?;
        let row = queries::find(&mouth.push.feed.reads, query).await.map_err(|error| {
            error!(query.id = %query, %error, "Could not look at query {query}");
            NotJoined::Unavailable
        })?;
        let row = row.ok_or(NotJoined::NotFound)?;
        match self.who() {
            Some(Who::Staff(_)) => {}
            Some(Who::Donor(donor)) if donor.session.is_some() => owned(&donor, &row, NotJoined::NotFound)?,
            Some(Who::Donor(donor)) => {
                owned(&named(request)?, &row, NotJoined::NotFound)?;
                owned(&donor, &row, NotJoined::OtherDonor)?;
            }
            None => self.introduce(named(request)?, &row)?,
        }
        self.enter(query)?;
        Ok(query)
    }

    /// Takes a donor at their word, if the query is theirs.
    fn introduce(&self, donor: DonorPrincipal, row: &QueryRow) -> Result<(), NotJoined> {
        owned(&donor, row, NotJoined::NotFound)?;
        let who = Who::Donor(donor.clone());
        self.place.of(&Audience::Donor(donor)).map_err(|_| NotJoined::NoSeat)?;
        if self.is_of(who.clone(), None) == who { Ok(()) } else { Err(NotJoined::OtherDonor) }
    }

    fn enter(&self, query: QueryId) -> Result<(), NotJoined> {
        let mut rooms = lock(&self.rooms);
        if rooms.joined.len() >= MAX_ROOMS && !rooms.joined.contains(&query) {
            return Err(NotJoined::TooMany);
        }
        rooms.joined.insert(query);
        rooms.left.remove(&query);
        Ok(())
    }

    fn leave(&self, query: QueryId) {
        let mut rooms = lock(&self.rooms);
        rooms.joined.remove(&query);
        if rooms.left.len() < MAX_ROOMS {
            rooms.left.insert(query);
        }
    }
}

impl Who {
    /// The feed that is theirs.
    pub(super) fn audience(&self) -> Audience {
        match self {
            Self::Staff(own) => Audience::Staff(*own),
            Self::Donor(donor) => Audience::Donor(donor.clone()),
        }
    }
}

impl Answer {
    fn yes(query: QueryId, message: String) -> Self {
        Self { success: true, message, query_id: Some(query.get()) }
    }

    fn no(refused: NotJoined) -> Self {
        Self { success: false, message: refused.to_string(), query_id: None }
    }
}

fn owned(donor: &DonorPrincipal, row: &QueryRow, otherwise: NotJoined) -> Result<(), NotJoined> {
    if donor.owns(&row.donor_id, row.donor_session) { Ok(()) } else { Err(otherwise) }
}

fn query_of(request: &Value) -> Result<QueryId, NotJoined> {
    let id = request.get("queryId").and_then(whole).filter(|id| *id > 0);
    id.map(QueryId::new).ok_or(NotJoined::NoQuery)
}

/// The donor that a client of the old server names.
fn named(request: &Value) -> Result<DonorPrincipal, NotJoined> {
    let id = match request.get("donorId") {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        Some(Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            return Err(NotJoined::NoDonor);
        }
    };
    Ok(DonorPrincipal { donor_id: DonorId::new(id), session: None })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever is changed under these locks is changed in one step, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
