//! How a call begins: a turn, a rehearsal, a room, a pass, and only then the facts.
//!
//! The rehearsal refuses what would be refused anyway before a room is made for it. Whoever is refused all the same,
//! because somebody else was faster, leaves no room behind. Whoever goes away in the middle may: it closes by itself.

use std::hash::Hash;
use std::time::Duration;

use aggregates::call_session::CallSessionEvent;
use aggregates::donor_query::DonorQueryCommand;
use aggregates::donor_query::command::NewCall;
use aggregates::ids::{CallId, QueryId};
use aggregates::people::Actor;
use aggregates::recorded::{Event, RecordedEvent, StreamId};
use aggregates::vocabulary::CallMode;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::clock;
use crate::dispatch::Outcome;
use crate::http::Api;
use crate::http::errand::Errand;
use crate::http::error::ApiError;
use crate::http::views::Pass;
use crate::integrations::calls::{ProviderError, Room, RoomSpec, Seat};

/// What is known of a call before it begins.
pub(in crate::http) struct Start<'a> {
    /// The query it is about.
    pub(in crate::http) query: QueryId,
    /// How it is to be held.
    pub(in crate::http) mode: CallMode,
    /// Who begins it.
    pub(in crate::http) by: &'a Actor,
    /// Where they will sit.
    pub(in crate::http) seat: Seat<'a>,
}

/// The turn to begin a call about something.
pub(in crate::http) struct Turn<'a> {
    _held: MutexGuard<'a, ()>,
    /// When its holder has waited long enough, for the turn and the room together.
    until: Instant,
}

/// A call that began.
pub(in crate::http) struct Begun {
    /// The facts, perhaps of an earlier time under the same key.
    pub(in crate::http) outcome: Outcome,
    /// Lets the one who began it in; absent if it began earlier.
    pub(in crate::http) pass: Option<Pass>,
}

/// Waits for the turn to begin a call, so that one node never makes two rooms for one call. Whoever waits uses up the time
/// that they have for the room: behind a provider that hangs, everybody is turned away in the time it takes for one.
pub(in crate::http) async fn turn<'a>(api: &'a Api, about: &impl Hash) -> Result<Turn<'a>, ApiError> {
    let until = Instant::now() + Duration::from_millis(api.config.calls.daily_patience_ms);
    let held = in_time(until, api.dispatcher.prepare(about)).await?;
    Ok(Turn { _held: held, until })
}

async fn in_time<T>(until: Instant, work: impl Future<Output = T>) -> Result<T, ProviderError> {
    timeout_at(until, work).await.map_err(|elapsed| ProviderError::Unavailable(elapsed.into()))
}

/// Begins a call. `commands` says what to do once the room is there; it is asked twice, first without the room's address.
pub(in crate::http) async fn begin(
    errand: &Errand,
    turn: Turn<'_>,
    start: &Start<'_>,
    commands: impl Fn(NewCall) -> Vec<DonorQueryCommand>,
) -> Result<Begun, ApiError> {
    let api = &errand.api;
    let spec = api.rooms.spec(api.log.next_call_id().await?, start.mode, clock::now());
    let planned = Room { name: spec.name.clone(), url: String::new(), provider: api.rooms.provider() };
    if let Some(outcome) = errand.rehearse(start.query, start.by, &commands(new_call(&spec, &planned))).await? {
        return Ok(Begun { outcome, pass: None });
    }
    let room = in_time(turn.until, api.rooms.create_room(&spec)).await??;
    let begun = in_room(errand, start, &spec, &room, &commands(new_call(&spec, &room))).await;
    let is_wanted = match &begun {
        Ok(begun) => begun_call(&begun.outcome.events) == Some(spec.call),
        Err(error) => may_have_happened(error),
    };
    if !is_wanted {
        abandon(api, &room).await;
    }
    begun
}

/// The call that these facts, or the fact that a key was answered with, began.
pub(in crate::http) fn begun_call(events: &[RecordedEvent]) -> Option<CallId> {
    events.iter().find_map(|recorded| match &recorded.event {
        Event::CallSession(CallSessionEvent::CallCreated { .. }) => match recorded.stream {
            StreamId::CallSession(call) => Some(call),
            StreamId::DonorQuery(_) | StreamId::StaffChat(_) => None,
        },
        _ => None,
    })
}

async fn in_room(
    errand: &Errand,
    start: &Start<'_>,
    spec: &RoomSpec,
    room: &Room,
    commands: &[DonorQueryCommand],
) -> Result<Begun, ApiError> {
    let provider = room.provider.as_str();
    let grant = errand.api.rooms.grant(provider, &room.name, &room.url, start.seat, spec.expires_at).await?;
    let outcome = errand.carry_out_all(start.query, start.by, commands).await?;
    let is_ours = begun_call(&outcome.events) == Some(spec.call);
    let pass = match start.seat {
        Seat::Staff(_) => Pass::of_staff(&grant),
        Seat::Donor { .. } => Pass::of_donor(&grant),
    };
    Ok(Begun { outcome, pass: is_ours.then_some(pass) })
}

fn new_call(spec: &RoomSpec, room: &Room) -> NewCall {
    NewCall {
        id: spec.call,
        room: room.name.clone(),
        room_url: room.url.clone(),
        provider: room.provider.as_str().to_owned(),
        mode: spec.mode,
        expires_at: spec.expires_at,
    }
}

/// Whether the facts may be in the log in spite of the error: then the room is perhaps in use.
const fn may_have_happened(error: &ApiError) -> bool {
    matches!(error, ApiError::Unavailable(_) | ApiError::Internal(_))
}

async fn abandon(api: &Api, room: &Room) {
    if let Err(error) = api.rooms.close_room(room.provider.as_str(), &room.name).await {
        warn!(%error, room = %room.name, "Room {} is not needed and stays until its time is up", room.name);
    }
}
