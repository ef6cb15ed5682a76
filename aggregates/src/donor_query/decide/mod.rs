//! Every rule of a donor query: the one `match` first, then the arms that take more than a line.
//!
//! [`life`] says who holds a query and where it stands, [`messages`] what may be said, [`calls`] how a donor and staff
//! come to talk.

mod calls;
mod life;
mod messages;

use super::DonorQuery::{Absent, Closed, Deleted, Open};
use super::DonorQueryCommand::{
    AcceptCallRequest, AcceptQuery, CancelCallRequest, CloseQueryByDonor, DeleteQuery, EditQuery, EndCall,
    MarkInProgress, MarkPendingReply, OpenQuery, PostMessage, RejectCallRequest, RemarkLongCall, RemindQuery,
    ReopenQuery, RequestCall, ResolveQuery, StartCall, TransferQuery,
};
use super::{DonorQuery, DonorQueryCommand, DonorQueryError, DonorQueryEvent};
use crate::people::{Staff, StaffRef};

/// The facts that a command leads to, or the rule it would break.
pub type Decision = Result<Vec<DonorQueryEvent>, DonorQueryError>;

/// Turns a command into facts, or says which rule it would break.
///
/// No facts at all means that nothing would change: the command took effect before, or asks for what is so already.
pub fn decide(query: &DonorQuery, command: DonorQueryCommand) -> Decision {
    match (query, command) {
        (Absent, OpenQuery(opening)) => Ok(life::open(opening)),
        (Open(_) | Closed(_) | Deleted(_), OpenQuery(_)) => Err(DonorQueryError::AlreadyOpened),
        (Absent | Deleted(_), _) => Err(DonorQueryError::NotFound),

        (Open(open), AcceptQuery { by, notice, at }) => life::accept(open, &by, notice, at),
        (Closed(_), AcceptQuery { .. }) => refuse_closed("accept"),
        (Open(open), MarkPendingReply { by, at }) => life::mark_pending_reply(open, &by, at),
        (Closed(_), MarkPendingReply { .. }) => refuse_closed("mark"),
        (Open(open), MarkInProgress { by, at }) => life::mark_in_progress(open, &by, at),
        (Open(open), TransferQuery { by, to, note, notice, at }) => life::transfer(open, &by, to, note, notice, at),
        (Closed(_), TransferQuery { .. }) => refuse_closed("transfer"),
        (Open(open), RemindQuery { by, text, notice, at }) => life::remind(open, &by, text, notice, at),
        (Closed(_), RemindQuery { .. }) => Err(DonorQueryError::NotTransferred),
        (Open(open), ResolveQuery { by, notice, at }) => life::resolve(open, &by, notice, at),
        (Closed(_), ResolveQuery { .. } | RemarkLongCall { .. } | EndCall { .. }) => Ok(vec![]),
        (Open(open), CloseQueryByDonor { notice, at }) => Ok(life::close_by_donor(open, notice, at)),
        (Closed(_), CloseQueryByDonor { .. }) => refuse_closed("close"),
        (Open(_), ReopenQuery { .. }) => Err(DonorQueryError::StillOpen),
        (Closed(closed), ReopenQuery { by, at } | MarkInProgress { by, at }) => Ok(life::reopen(closed, &by, at)),
        (Open(_) | Closed(_), EditQuery { by, donor, test, stage, device, at }) => {
            life::edit(query.holder(), &by, donor, test, stage, device, at)
        }
        (Open(open), DeleteQuery { by, at }) => life::delete(Some(open), &by, at),
        (Closed(_), DeleteQuery { by, at }) => life::delete(None, &by, at),

        (Open(_) | Closed(_), PostMessage { message, author, recipient, message_type, content, at }) => {
            messages::post(query, message, author, recipient, message_type, content, at)
        }

        (Open(open), RequestCall { request, mode, message, at }) => calls::request(open, request, mode, message, at),
        (Open(open), AcceptCallRequest { request, call, by, at }) => calls::accept(open, request, call, &by, at),
        (Open(open), RejectCallRequest { request, by, at }) => calls::reject(open, request, &by, at),
        (Open(open), CancelCallRequest { request, at }) => calls::cancel(open, request, at),
        (Closed(_), RejectCallRequest { .. } | CancelCallRequest { .. }) => Err(DonorQueryError::NoSuchRequest),
        (Open(open), StartCall { call, message, by, at }) => calls::start(open, call, message, &by, at),
        (Closed(_), RequestCall { .. } | AcceptCallRequest { .. } | StartCall { .. }) => refuse_closed("call"),
        (Open(open), RemarkLongCall { call, notice, at }) => Ok(calls::remark_long(open, call, notice, at)),
        (Open(open), EndCall { call, reason, by, at }) => calls::end(open, call, reason, &by, at),
    }
}

fn refuse_closed(action: &'static str) -> Decision {
    Err(DonorQueryError::Closed { action })
}

impl DonorQuery {
    /// Refuses staff who may not act on this query: for what is not a command of its own, as joining its call.
    pub fn check_may_act(&self, by: &Staff) -> Result<(), DonorQueryError> {
        match self {
            Open(_) | Closed(_) => check_may_act(self.holder(), by),
            Absent | Deleted(_) => Err(DonorQueryError::NotFound),
        }
    }
}

/// Staff act on what they hold and on what nobody holds; a super admin acts on everything.
fn check_may_act(holder: Option<&StaffRef>, by: &Staff) -> Result<(), DonorQueryError> {
    match holder {
        Some(holder) if holder.id != by.id && !by.is_super() => Err(DonorQueryError::NotHolder(holder.clone())),
        Some(_) | None => Ok(()),
    }
}
