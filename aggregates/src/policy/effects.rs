//! What happens outside the desk after a fact: notes on devices, mail, rooms, timers.
//!
//! An effect names people and things; it holds no donor's name and no free text. Whoever carries it out reads those when
//! it does, so that an erased donor is in no queue.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::call_session::CallSessionEvent;
use crate::donor_query::DonorQueryEvent;
use crate::donor_query::event::{Author, is_for_donor};
use crate::ids::{CallId, CallRequestId, MessageId, QueryId, RoomName, UserId};
use crate::people::{Actor, StaffRef};
use crate::recorded::{Event, RecordedEvent, StreamId};
use crate::staff_chat::StaffChatEvent;
use crate::vocabulary::CallMode;

/// How long a call goes on before both sides are told that it takes long.
const LONG_CALL: TimeDelta = TimeDelta::minutes(60);

/// A follow-up to a fact, carried out at least once and never during a replay.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Puts a note on people's devices.
    Push {
        /// Whose.
        to: Audience,
        /// What it says.
        alert: Alert,
    },
    /// Writes to people.
    Mail {
        /// To whom.
        to: Audience,
        /// What about.
        letter: Letter,
    },
    /// Closes the room of a call that is over. A room that is gone already is closed.
    CloseRoom(CallId),
    /// Arms a timer; arming it again changes when it is due.
    SetTimer {
        /// What is to happen.
        timer: Timer,
        /// When.
        due: DateTime<Utc>,
    },
    /// Disarms a timer, if it is armed.
    ClearTimer(Timer),
}

/// Whom an effect is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody who works at the desk.
    AllStaff,
    /// One staff member.
    Staff(UserId),
    /// Whoever holds the query when the audience is looked up, soon after the fact; nobody if nobody does.
    Holder,
    /// Whoever holds the query when the audience is looked up, soon after the fact; all staff if nobody does.
    HolderOrAllStaff,
    /// The donor whose query it is.
    Donor,
}

/// What a note on a device is about. Its JSON waits in queues until the note is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Alert {
    /// A donor asked for help.
    QueryOpened,
    /// A staff member took the query.
    QueryAccepted {
        /// Who.
        by: StaffRef,
    },
    /// The query was handed to the reader.
    QueryTransferred {
        /// By whom.
        by: StaffRef,
    },
    /// The query that was handed to the reader still waits.
    QueryReminded {
        /// Who reminds.
        by: StaffRef,
    },
    /// The query was resolved.
    QueryResolved {
        /// By whom.
        by: StaffRef,
    },
    /// The donor closed the query.
    QueryClosedByDonor,
    /// The query was opened again.
    QueryReopened {
        /// By whom.
        by: StaffRef,
    },
    /// The other side said something.
    MessagePosted {
        /// The message.
        message: MessageId,
    },
    /// A colleague said something to the reader, about no query.
    ChatMessagePosted {
        /// The message.
        message: MessageId,
    },
    /// The donor asks for a call.
    CallRequested {
        /// The request.
        request: CallRequestId,
        /// How the donor wants to talk.
        mode: CallMode,
    },
    /// The request was declined.
    CallRequestRejected {
        /// The request.
        request: CallRequestId,
        /// By whom.
        by: StaffRef,
    },
    /// The request was withdrawn: what rings for it falls silent.
    CallRequestCancelled {
        /// The request.
        request: CallRequestId,
    },
    /// The other side calls: it rings.
    CallAttached {
        /// The call.
        call: CallId,
        /// Its room.
        room: RoomName,
        /// How it is held.
        mode: CallMode,
        /// Who calls.
        by: Actor,
    },
    /// The call is over: what rings for it falls silent.
    CallDetached {
        /// The call.
        call: CallId,
    },
}

/// What a mail is about. Its JSON waits in queues until the mail is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Letter {
    /// A donor asked for help.
    QueryOpened,
    /// The query was handed to the reader.
    QueryTransferred {
        /// By whom.
        by: StaffRef,
    },
    /// The query that was handed to the reader still waits.
    QueryReminded {
        /// Who reminds.
        by: StaffRef,
    },
    /// The donor asks for a call.
    CallRequested {
        /// How the donor wants to talk.
        mode: CallMode,
    },
    /// The donor calls.
    CallAttached {
        /// How the call is held.
        mode: CallMode,
    },
}

/// Something that is to happen at a certain time, unless it is disarmed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Ends a call whose room has closed by itself.
    CallExpiry {
        /// The query the call is about.
        query: QueryId,
        /// The call.
        call: CallId,
    },
    /// Tells both sides that a call takes long. It goes on.
    LongCall {
        /// The query the call is about.
        query: QueryId,
        /// The call.
        call: CallId,
    },
}

/// The follow-ups of a fact.
pub fn effects(recorded: &RecordedEvent) -> Vec<Effect> {
    match (&recorded.event, recorded.stream) {
        (Event::DonorQuery(event), StreamId::DonorQuery(_)) => after_query_event(event),
        (Event::CallSession(event), StreamId::CallSession(call)) => after_call_event(recorded.query, call, event),
        (Event::StaffChat(event), _) => after_chat_event(event),
        // A stream holds facts of its own aggregate only.
        (Event::DonorQuery(_), StreamId::CallSession(_) | StreamId::StaffChat(_))
        | (Event::CallSession(_), StreamId::DonorQuery(_) | StreamId::StaffChat(_)) => vec![],
    }
}

fn after_query_event(event: &DonorQueryEvent) -> Vec<Effect> {
    match event {
        DonorQueryEvent::QueryOpened { .. } => {
            vec![push(Audience::AllStaff, Alert::QueryOpened), mail(Audience::AllStaff, Letter::QueryOpened)]
        }
        DonorQueryEvent::QueryAccepted { by, .. } => {
            vec![push(Audience::Donor, Alert::QueryAccepted { by: by.clone() })]
        }
        DonorQueryEvent::QueryTransferred { by, to, .. } => after_transfer(by, to),
        DonorQueryEvent::QueryReminded { by, to, .. } => vec![
            push(Audience::Staff(to.id), Alert::QueryReminded { by: by.clone() }),
            mail(Audience::Staff(to.id), Letter::QueryReminded { by: by.clone() }),
        ],
        DonorQueryEvent::QueryResolved { by, .. } => {
            vec![push(Audience::Donor, Alert::QueryResolved { by: by.clone() })]
        }
        DonorQueryEvent::QueryClosedByDonor { .. } => vec![push(Audience::Holder, Alert::QueryClosedByDonor)],
        DonorQueryEvent::QueryReopened { by, holder, .. } => after_reopening(by, holder),
        DonorQueryEvent::MessagePosted { message, author, recipient, .. } => {
            after_message(*message, author, *recipient)
        }
        DonorQueryEvent::CallRequested { request, mode, .. } => vec![
            push(Audience::HolderOrAllStaff, Alert::CallRequested { request: *request, mode: *mode }),
            mail(Audience::Holder, Letter::CallRequested { mode: *mode }),
        ],
        DonorQueryEvent::CallRequestRejected { request, by, .. } => {
            vec![push(Audience::Donor, Alert::CallRequestRejected { request: *request, by: by.clone() })]
        }
        DonorQueryEvent::CallRequestCancelled { request, by, .. } => {
            push_to_others(by, &Alert::CallRequestCancelled { request: *request })
        }
        DonorQueryEvent::CallAttached { call, room, mode, by, .. } => {
            let alert = Alert::CallAttached { call: *call, room: room.clone(), mode: *mode, by: by.clone() };
            let mut effects = push_to_others(by, &alert);
            if matches!(by, Actor::Donor { .. }) {
                effects.push(mail(Audience::Holder, Letter::CallAttached { mode: *mode }));
            }
            effects
        }
        DonorQueryEvent::CallDetached { call, by, .. } => push_to_others(by, &Alert::CallDetached { call: *call }),
        // A call that answers a request rings by its own fact, and the rest is seen by whoever looks.
        DonorQueryEvent::CallRequestAccepted { .. }
        | DonorQueryEvent::QueryMarkedPendingReply { .. }
        | DonorQueryEvent::QueryMarkedInProgress { .. }
        | DonorQueryEvent::QueryEdited { .. }
        | DonorQueryEvent::QueryDeleted { .. }
        | DonorQueryEvent::MessageRevised { .. } => vec![],
    }
}

fn after_call_event(query: QueryId, call: CallId, event: &CallSessionEvent) -> Vec<Effect> {
    let (expiry, long) = (Timer::CallExpiry { query, call }, Timer::LongCall { query, call });
    match event {
        CallSessionEvent::CallCreated { expires_at, .. } => vec![Effect::SetTimer { timer: expiry, due: *expires_at }],
        CallSessionEvent::CallStarted { at, .. } => vec![Effect::SetTimer { timer: long, due: *at + LONG_CALL }],
        CallSessionEvent::CallEnded { .. } => {
            vec![Effect::ClearTimer(expiry), Effect::ClearTimer(long), Effect::CloseRoom(call)]
        }
    }
}

fn after_chat_event(event: &StaffChatEvent) -> Vec<Effect> {
    match event {
        StaffChatEvent::ChatMessagePosted { message, to, .. } => {
            vec![push(Audience::Staff(to.id), Alert::ChatMessagePosted { message: *message })]
        }
    }
}

/// The target hears of it, unless it took the query itself.
fn after_transfer(by: &StaffRef, to: &StaffRef) -> Vec<Effect> {
    if by.id == to.id {
        return vec![];
    }
    vec![
        push(Audience::Staff(to.id), Alert::QueryTransferred { by: by.clone() }),
        mail(Audience::Staff(to.id), Letter::QueryTransferred { by: by.clone() }),
    ]
}

/// The donor hears of it, and whoever holds the query from now on.
fn after_reopening(by: &StaffRef, holder: &StaffRef) -> Vec<Effect> {
    let alert = Alert::QueryReopened { by: by.clone() };
    let mut effects = vec![push(Audience::Donor, alert.clone())];
    if by.id != holder.id {
        effects.push(push(Audience::Staff(holder.id), alert));
    }
    effects
}

/// Words reach the other side. Nobody is disturbed by a donor's words while nobody holds the query: its opening was.
fn after_message(message: MessageId, author: &Author, recipient: Option<UserId>) -> Vec<Effect> {
    let alert = Alert::MessagePosted { message };
    match author {
        Author::Donor => vec![push(Audience::Holder, alert)],
        Author::Staff(author) => {
            let colleague = recipient.filter(|recipient| *recipient != author.id).map(Audience::Staff);
            let donor = is_for_donor(false, recipient).then_some(Audience::Donor);
            donor.into_iter().chain(colleague).map(|to| push(to, alert.clone())).collect()
        }
        Author::System => vec![],
    }
}

/// The donor hears what staff do, staff hear what the donor does, and both hear what the desk does.
fn push_to_others(by: &Actor, alert: &Alert) -> Vec<Effect> {
    let others: &[Audience] = match by {
        Actor::Staff(_) => &[Audience::Donor],
        Actor::Donor { .. } => &[Audience::HolderOrAllStaff],
        Actor::System => &[Audience::Donor, Audience::HolderOrAllStaff],
    };
    others.iter().map(|to| push(*to, alert.clone())).collect()
}

fn push(to: Audience, alert: Alert) -> Effect {
    Effect::Push { to, alert }
}

fn mail(to: Audience, letter: Letter) -> Effect {
    Effect::Mail { to, letter }
}
