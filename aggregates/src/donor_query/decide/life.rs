//! Who holds a query, and where it stands.

use chrono::{DateTime, Utc};

use super::{Decision, calls, check_may_act, messages};
use crate::donor_query::command::OpenQuery;
use crate::donor_query::event::Author;
use crate::donor_query::state::{ClosedState, OpenState, Phase};
use crate::donor_query::{DonorQueryError, DonorQueryEvent, wording};
use crate::ids::MessageId;
use crate::people::{Actor, Staff, StaffRef};
use crate::personal::Personal;
use crate::vocabulary::{EndReason, MessageType};

/// A query is open, and waits for an answer at once if the donor said something.
pub(super) fn open(opening: OpenQuery) -> Vec<DonorQueryEvent> {
    let OpenQuery { donor, donor_id, session, test, stage, device, content, at } = opening;
    let by = Actor::Donor { id: donor_id.clone() };
    let mut facts = vec![DonorQueryEvent::QueryOpened { donor, donor_id, session, test, stage, device, at }];
    if let Some((message, content)) = content {
        facts.push(DonorQueryEvent::MessagePosted {
            message,
            author: Author::Donor,
            recipient: None,
            message_type: MessageType::Query,
            content,
            call: None,
            request: None,
            at,
        });
        facts.push(DonorQueryEvent::QueryMarkedPendingReply { by, at });
    }
    facts
}

/// One staff member takes the query, once. Of many who try at once all but one are told who holds it, even if that is
/// themselves: whoever repeats a command on purpose says so with an idempotency key.
pub(super) fn accept(open: &OpenState, by: &Staff, notice: MessageId, at: DateTime<Utc>) -> Decision {
    let transferred = open.phase == Phase::Transferred;
    match &open.holder {
        Some(holder) if holder.id != by.id && transferred => Err(DonorQueryError::HeldByTransferee(holder.clone())),
        Some(holder) if !transferred => Err(DonorQueryError::AlreadyHeld(holder.clone())),
        Some(_) | None => Ok(vec![
            DonorQueryEvent::QueryAccepted { by: by.as_ref(), at },
            messages::notice(notice, wording::accepted(&by.name), at),
        ]),
    }
}

/// The donor waits for an answer, a staff member says.
pub(super) fn mark_pending_reply(open: &OpenState, by: &Staff, at: DateTime<Utc>) -> Decision {
    check_may_act(open.holder.as_ref(), by)?;
    Ok(match open.phase {
        Phase::PendingReply => vec![],
        Phase::InProgress | Phase::Transferred => {
            vec![DonorQueryEvent::QueryMarkedPendingReply { by: Actor::Staff(by.as_ref()), at }]
        }
    })
}

/// The query is being worked on, a staff member says. The target of a transfer takes it up that way.
pub(super) fn mark_in_progress(open: &OpenState, by: &Staff, at: DateTime<Utc>) -> Decision {
    check_may_act(open.holder.as_ref(), by)?;
    let holds = open.holder.as_ref().is_some_and(|holder| holder.id == by.id);
    Ok(match open.phase {
        Phase::InProgress => vec![],
        Phase::Transferred if holds => vec![DonorQueryEvent::QueryAccepted { by: by.as_ref(), at }],
        Phase::PendingReply | Phase::Transferred => {
            vec![DonorQueryEvent::QueryMarkedInProgress { by: Actor::Staff(by.as_ref()), at }]
        }
    })
}

/// The query changes hands, once and at once; what the former holder was in the middle of ends.
///
/// The note is for the target alone: the donor reads the conversation, so the notice leaves it out.
pub(super) fn transfer(
    open: &OpenState,
    by: &Staff,
    to: StaffRef,
    note: Option<Personal<String>>,
    notice: MessageId,
    at: DateTime<Utc>,
) -> Decision {
    check_may_act(open.holder.as_ref(), by)?;
    if let Some(holder) = &open.holder
        && holder.id == to.id
    {
        return Err(DonorQueryError::SameHolder(holder.clone()));
    }
    let told = messages::notice(notice, wording::transferred(&to.name), at);
    let mut facts = calls::wind_up(open, EndReason::QueryTransferred, &Actor::Staff(by.as_ref()), at);
    facts.push(DonorQueryEvent::QueryTransferred { by: by.as_ref(), from: open.holder.clone(), to, note, at });
    facts.push(told);
    Ok(facts)
}

/// The target of a transfer is reminded; any staff member may do that.
pub(super) fn remind(
    open: &OpenState,
    by: &Staff,
    text: Option<Personal<String>>,
    notice: MessageId,
    at: DateTime<Utc>,
) -> Decision {
    match (&open.holder, open.phase) {
        (Some(to), Phase::Transferred) => {
            let content = text.unwrap_or_else(|| Personal::Known(wording::reminder(&to.name)));
            Ok(vec![
                DonorQueryEvent::QueryReminded { by: by.as_ref(), to: to.clone(), at },
                DonorQueryEvent::MessagePosted {
                    message: notice,
                    author: Author::System,
                    recipient: Some(to.id),
                    message_type: MessageType::System,
                    content,
                    call: None,
                    request: None,
                    at,
                },
            ])
        }
        (None, Phase::Transferred) | (_, Phase::InProgress | Phase::PendingReply) => {
            Err(DonorQueryError::NotTransferred)
        }
    }
}

/// The one who holds it resolves it, or a super admin; what nobody holds is to be accepted first.
pub(super) fn resolve(open: &OpenState, by: &Staff, notice: MessageId, at: DateTime<Utc>) -> Decision {
    if open.holder.is_none() && !by.is_super() {
        return Err(DonorQueryError::Unassigned);
    }
    check_may_act(open.holder.as_ref(), by)?;
    let mut facts = calls::wind_up(open, EndReason::QueryResolved, &Actor::Staff(by.as_ref()), at);
    facts.push(DonorQueryEvent::QueryResolved { by: by.as_ref(), at });
    facts.push(messages::notice(notice, wording::resolved(&by.name), at));
    Ok(facts)
}

/// The donor needs no help any more.
pub(super) fn close_by_donor(open: &OpenState, notice: MessageId, at: DateTime<Utc>) -> Vec<DonorQueryEvent> {
    let mut facts = calls::wind_up(open, EndReason::QueryClosed, &open.origin.donor(), at);
    facts.push(DonorQueryEvent::QueryClosedByDonor { at });
    facts.push(messages::notice(notice, wording::CLOSED_BY_DONOR.to_owned(), at));
    facts
}

/// The query goes back to whoever held it when it closed; any staff member may open it again.
pub(super) fn reopen(closed: &ClosedState, by: &Staff, at: DateTime<Utc>) -> Vec<DonorQueryEvent> {
    let holder = closed.holder.clone().unwrap_or_else(|| by.as_ref());
    vec![DonorQueryEvent::QueryReopened { by: by.as_ref(), holder, at }]
}

/// Details are corrected, before or after closing.
pub(super) fn edit(
    holder: Option<&StaffRef>,
    by: &Staff,
    donor: Option<Personal<String>>,
    test: Option<String>,
    stage: Option<String>,
    device: Option<String>,
    at: DateTime<Utc>,
) -> Decision {
    check_may_act(holder, by)?;
    if donor.is_none() && test.is_none() && stage.is_none() && device.is_none() {
        return Ok(vec![]);
    }
    Ok(vec![DonorQueryEvent::QueryEdited { by: by.as_ref(), donor, test, stage, device, at }])
}

/// The query leaves the desk, with what was going on in it if it was open.
pub(super) fn delete(open: Option<&OpenState>, by: &Staff, at: DateTime<Utc>) -> Decision {
    if !by.is_super() {
        return Err(DonorQueryError::NotSuperAdmin { action: "delete" });
    }
    let actor = Actor::Staff(by.as_ref());
    let mut facts = open.map_or_else(Vec::new, |open| calls::wind_up(open, EndReason::QueryDeleted, &actor, at));
    facts.push(DonorQueryEvent::QueryDeleted { by: by.as_ref(), at });
    Ok(facts)
}
