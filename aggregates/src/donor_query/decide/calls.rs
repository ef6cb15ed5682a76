//! How a donor and staff come to talk: requests, and the one call a query may have at a time.
//!
//! A call is shown by one message for its whole life: the request it answers, or the message that announced it. That
//! message is composed again at every step, so the state need not keep its text.

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

/// How long a donor waits between two requests.
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
    if open.last_request_at.is_some_and(|last| at < last + REQUEST_COOLDOWN) {
        return Err(DonorQueryError::RequestTooSoon { seconds: REQUEST_COOLDOWN.num_seconds() });
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
    Ok(vec![
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
    ])
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
pub(super) fn start(open: &OpenState, call: NewCall, message: MessageId, by: Caller, at: DateTime<Utc>) -> Decision {
    if let Caller::Staff(staff) = &by {
        check_may_act(open.holder.as_ref(), staff)?;
    }
    check_no_call(open)?;
    let by = match by {
        Caller::Staff(staff) => Actor::Staff(staff.as_ref()),
        Caller::Donor => open.origin.donor(),
    };
    let text = wording::call_started(call.mode, &by);
    Ok(vec![
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
    ])
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
pub(super) fn end(
    open: &OpenState,
    call: CallId,
    reason: EndReason,
    by: Actor,
    at: DateTime<Utc>,
) -> Vec<DonorQueryEvent> {
    match &open.call {
        Some(live) if live.id == call => ended(live, reason, by, at).into(),
        Some(_) | None => vec![],
    }
}

/// Ends what is going on in a query that changes hands or closes.
pub(super) fn wind_up(open: &OpenState, reason: EndReason, by: &Actor, at: DateTime<Utc>) -> Vec<DonorQueryEvent> {
    let call = open.call.iter().flat_map(|live| ended(live, reason, by.clone(), at));
    let request = open.request.iter().flat_map(|pending| withdrawn(pending, by, at));
    call.chain(request).collect()
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
