//! How a donor and staff come to talk: requests, and the one call a query may have at a time.
//!
//! A call is shown by one message for its whole life: the request it answers, or the message that announced it. That
//! message is composed again at every step, so the state need not keep its text.
//!
//! Whoever of the staff talks with the donor answers for the query: calling about a query that nobody holds takes it.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, check_may_act, messages};
use crate::donor_query::command::{Caller, NewCall};
use crate::donor_query::event::Author;
use crate::donor_query::state::{LiveCall, LiveRequest, OpenState};
use crate::donor_query::{DonorQueryError, DonorQueryEvent, wording};
use crate::ids::{CallId, CallRequestId, MessageId};
use crate::people::{Actor, Staff};
use crate::personal::Personal;
use crate::vocabulary::{CallMode, EndReason, MessageType};

/// How long a donor waits after a request, and after it was declined or withdrawn.
const REQUEST_COOLDOWN: TimeDelta = TimeDelta::seconds(30);

/// The donor asks for a call: one request at a time, not in the middle of a call, and not in a hurry.
pub(super) fn request(
    open: &OpenState,
    request: CallRequestId,
    mode: CallMode,
    message: MessageId,
    at: DateTime<Utc>,
) -> Decision {
    check_no_call(open)?;
    if let Some(pending) = &open.request {
        return Err(DonorQueryError::RequestPending(pending.id));
    }
    if let Some(wait) = open.last_request_at.map(|last| last + REQUEST_COOLDOWN - at)
        && wait > TimeDelta::zero()
    {
        return Err(DonorQueryError::RequestTooSoon { seconds: (wait + TimeDelta::milliseconds(999)).num_seconds() });
    }
    let said = DonorQueryEvent::MessagePosted {
        message,
        author: Author::System,
        recipient: None,
        message_type: MessageType::System,
        content: Personal::Known(wording::call_requested(mode)),
        call: None,
        request: Some(request),
        at,
    };
    Ok(vec![DonorQueryEvent::CallRequested { request, mode, message, at }, said])
}

/// Staff answer the pending request with a call.
pub(super) fn accept(
    open: &OpenState,
    request: Option<CallRequestId>,
    call: NewCall,
    by: &Staff,
    at: DateTime<Utc>,
) -> Decision {
    check_may_act(open.holder.as_ref(), by)?;
    check_no_call(open)?;
    let pending = match request {
        Some(id) => pending(open, id)?,
        None => open.request.as_ref().ok_or(DonorQueryError::NoSuchRequest)?,
    };
    let text = wording::request_accepted(pending.mode, &by.name, call.mode, &call.room_url);
    let answered = [
        DonorQueryEvent::CallRequestAccepted { request: pending.id, call: call.id, by: by.as_ref(), at },
        DonorQueryEvent::CallAttached {
            call: call.id,
            room: call.room,
            mode: call.mode,
            message: pending.message,
            by: Actor::Staff(by.as_ref()),
            at,
        },
        revised(pending.message, MessageType::System, text, Some(call.id), at),
    ];
    Ok(taken(open, by, at).into_iter().chain(answered).collect())
}

/// Staff decline the pending request.
pub(super) fn reject(open: &OpenState, request: CallRequestId, by: &Staff, at: DateTime<Utc>) -> Decision {
    check_may_act(open.holder.as_ref(), by)?;
    let pending = pending(open, request)?;
    let text = wording::request_rejected(pending.mode, &by.name);
    Ok(vec![
        DonorQueryEvent::CallRequestRejected { request, by: by.as_ref(), at },
        revised(pending.message, MessageType::System, text, None, at),
    ])
}

/// The donor no longer wants the call.
pub(super) fn cancel(open: &OpenState, request: CallRequestId, at: DateTime<Utc>) -> Decision {
    Ok(withdrawn(pending(open, request)?, &open.origin.donor(), at).into())
}

/// A call begins without a request. A request that is pending stays so: it is for staff to answer.
pub(super) fn start(
    open: &OpenState,
    call: NewCall,
    message: MessageId,
    caller: &Caller,
    at: DateTime<Utc>,
) -> Decision {
    let by = actor(open, caller)?;
    check_no_call(open)?;
    let text = wording::call_started(call.mode, &by);
    let taken = match caller {
        Caller::Staff(staff) => taken(open, staff, at),
        Caller::Donor | Caller::System => None,
    };
    let began = [
        DonorQueryEvent::CallAttached { call: call.id, room: call.room, mode: call.mode, message, by, at },
        DonorQueryEvent::MessagePosted {
            message,
            author: Author::System,
            recipient: None,
            message_type: MessageType::CallStarted,
            content: Personal::Known(text),
            call: Some(call.id),
            request: None,
            at,
        },
    ];
    Ok(taken.into_iter().chain(began).collect())
}

/// The call takes long, if it still goes on. Whoever asks twice has to know: the state does not remember what was said.
pub(super) fn remark_long(
    open: &OpenState,
    call: CallId,
    notice: MessageId,
    at: DateTime<Utc>,
) -> Vec<DonorQueryEvent> {
    match &open.call {
        Some(live) if live.id == call => vec![messages::notice(notice, wording::LONG_CALL.to_owned(), at)],
        Some(_) | None => vec![],
    }
}

/// The call is over. Ending it again, or ending another, changes nothing: both sides hang up, and timers come late.
pub(super) fn end(open: &OpenState, call: CallId, reason: EndReason, by: &Caller, at: DateTime<Utc>) -> Decision {
    match &open.call {
        Some(live) if live.id == call => Ok(ended(live, reason, actor(open, by)?, at).into()),
        Some(_) | None => Ok(vec![]),
    }
}

/// Ends what is going on in a query that changes hands or closes.
pub(super) fn wind_up(open: &OpenState, reason: EndReason, by: &Actor, at: DateTime<Utc>) -> Vec<DonorQueryEvent> {
    let call = open.call.iter().flat_map(|live| ended(live, reason, by.clone(), at));
    let request = open.request.iter().flat_map(|pending| withdrawn(pending, by, at));
    call.chain(request).collect()
}

/// Who it is as facts remember them, if they may begin and end calls about this query.
fn actor(open: &OpenState, caller: &Caller) -> Result<Actor, DonorQueryError> {
    match caller {
        Caller::Staff(staff) => {
            check_may_act(open.holder.as_ref(), staff)?;
            Ok(Actor::Staff(staff.as_ref()))
        }
        Caller::Donor => Ok(open.origin.donor()),
        Caller::System => Ok(Actor::System),
    }
}

/// A query that nobody holds goes to the staff member who talks with its donor.
fn taken(open: &OpenState, by: &Staff, at: DateTime<Utc>) -> Option<DonorQueryEvent> {
    open.holder.is_none().then(|| DonorQueryEvent::QueryAccepted { by: by.as_ref(), at })
}

fn ended(live: &LiveCall, reason: EndReason, by: Actor, at: DateTime<Utc>) -> [DonorQueryEvent; 2] {
    let text = match &live.answers {
        Some(request) => wording::accepted_call_ended(request.mode, &request.accepted_by.name, live.mode),
        None => wording::call_ended(live.mode),
    };
    [
        DonorQueryEvent::CallDetached { call: live.id, reason, by, at },
        revised(live.message, MessageType::CallEnded, text, Some(live.id), at),
    ]
}

fn withdrawn(pending: &LiveRequest, by: &Actor, at: DateTime<Utc>) -> [DonorQueryEvent; 2] {
    [
        DonorQueryEvent::CallRequestCancelled { request: pending.id, by: by.clone(), at },
        revised(pending.message, MessageType::System, wording::request_cancelled(pending.mode, by), None, at),
    ]
}

fn revised(
    message: MessageId,
    message_type: MessageType,
    text: String,
    call: Option<CallId>,
    at: DateTime<Utc>,
) -> DonorQueryEvent {
    DonorQueryEvent::MessageRevised { message, message_type, content: Personal::Known(text), call, at }
}

fn pending(open: &OpenState, id: CallRequestId) -> Result<&LiveRequest, DonorQueryError> {
    open.request.as_ref().filter(|pending| pending.id == id).ok_or(DonorQueryError::NoSuchRequest)
}

fn check_no_call(open: &OpenState) -> Result<(), DonorQueryError> {
    open.call.as_ref().map_or(Ok(()), |live| Err(DonorQueryError::CallActive(live.id)))
}
