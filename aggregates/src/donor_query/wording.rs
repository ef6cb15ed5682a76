//! What the desk writes into a conversation by itself.
//!
//! The old dashboard reads these texts: a call request holds `requested a` and the mode before `call`, an accepted one
//! `✅ ACCEPTED by` with the name up to a `*` and a link that begins with `Click here to join`. Reword around those.

use crate::people::Actor;
use crate::vocabulary::CallMode;

pub(super) const LONG_CALL: &str = "This call has exceeded the standard duration of 60 minutes";

pub(super) const CLOSED_BY_DONOR: &str = "Query closed by the donor";

pub(super) fn accepted(by: &str) -> String {
    format!("Query accepted by {by}")
}

pub(super) fn transferred(to: &str) -> String {
    format!("Query transferred to {to}")
}

pub(super) fn reminder(to: &str) -> String {
    format!("Reminder: this query was transferred to {to} and waits to be taken up")
}

pub(super) fn resolved(by: &str) -> String {
    format!("Query resolved by {by}")
}

/// What a donor's wish for a call reads like, as long as nobody answered it.
pub fn call_requested(mode: CallMode) -> String {
    format!("Donor requested a {mode} call")
}

pub(super) fn request_accepted(asked: CallMode, by: &str, mode: CallMode, room_url: &str) -> String {
    let accepted = accepted_request(asked, by);
    format!("{accepted}\n\n**Join the {mode} call: [Click here to join]({room_url})**")
}

pub(super) fn request_rejected(asked: CallMode, by: &str) -> String {
    format!("{}\n\n**❌ REJECTED by {by}**", call_requested(asked))
}

/// Leaves the words of the request out, or the old dashboard would go on offering to accept it.
pub(super) fn request_cancelled(asked: CallMode, by: &Actor) -> String {
    format!("Request for a {asked} call\n\n**🚫 CANCELLED by {}**", name(by))
}

pub(super) fn call_started(mode: CallMode, by: &Actor) -> String {
    format!("{mode} call started by {}", name(by))
}

pub(super) fn call_ended(mode: CallMode) -> String {
    format!("{mode} call ended")
}

/// Keeps who accepted and drops the link, which leads nowhere now.
pub(super) fn accepted_call_ended(asked: CallMode, by: &str, mode: CallMode) -> String {
    format!("{}\n\n**{}**", accepted_request(asked, by), call_ended(mode))
}

fn accepted_request(asked: CallMode, by: &str) -> String {
    format!("{}\n\n**✅ ACCEPTED by {by}**", call_requested(asked))
}

fn name(actor: &Actor) -> &str {
    match actor {
        Actor::Staff(staff) => &staff.name,
        Actor::Donor { .. } => "the donor",
        Actor::System => "the desk",
    }
}
