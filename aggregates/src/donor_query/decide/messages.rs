//! What may be said, and what saying it does to the status.

use chrono::{DateTime, Utc};

use super::Decision;
use crate::donor_query::command::MessageAuthor;
use crate::donor_query::event::Author;
use crate::donor_query::state::Phase;
use crate::donor_query::{DonorQuery, DonorQueryError, DonorQueryEvent};
use crate::ids::{MessageId, UserId};
use crate::people::Actor;
use crate::personal::Personal;
use crate::vocabulary::MessageType;

/// Stores what was said; a question or an answer then moves the status of a query that is open and not handed over.
pub(super) fn post(
    query: &DonorQuery,
    message: MessageId,
    author: MessageAuthor,
    recipient: Option<UserId>,
    message_type: MessageType,
    content: Personal<String>,
    at: DateTime<Utc>,
) -> Decision {
    if !may_say(&author, message_type) {
        return Err(DonorQueryError::ReservedMessageType(message_type));
    }
    let moved = match message_type {
        MessageType::Query => status_after(query, &author, at),
        MessageType::Chat | MessageType::System | MessageType::CallStarted | MessageType::CallEnded => None,
    };
    let author = match author {
        MessageAuthor::Staff(staff) => Author::Staff(staff.as_ref()),
        MessageAuthor::Donor => Author::Donor,
        MessageAuthor::System => Author::System,
    };
    let said = DonorQueryEvent::MessagePosted {
        message,
        author,
        recipient,
        message_type,
        content,
        call: None,
        request: None,
        at,
    };
    Ok(std::iter::once(said).chain(moved).collect())
}

/// What the desk itself tells the conversation.
pub(super) fn notice(message: MessageId, text: String, at: DateTime<Utc>) -> DonorQueryEvent {
    DonorQueryEvent::MessagePosted {
        message,
        author: Author::System,
        recipient: None,
        message_type: MessageType::System,
        content: Personal::Known(text),
        call: None,
        request: None,
        at,
    }
}

/// People ask, answer and chat; the desk may also announce. What looks like a call comes from a call.
fn may_say(author: &MessageAuthor, message_type: MessageType) -> bool {
    match (message_type, author) {
        (MessageType::Query | MessageType::Chat, _) | (MessageType::System, MessageAuthor::System) => true,
        (MessageType::System, MessageAuthor::Staff(_) | MessageAuthor::Donor)
        | (MessageType::CallStarted | MessageType::CallEnded, _) => false,
    }
}

/// The donor's question waits for an answer, a staff member's answer ends the wait.
fn status_after(query: &DonorQuery, author: &MessageAuthor, at: DateTime<Utc>) -> Option<DonorQueryEvent> {
    let DonorQuery::Open(open) = query else { return None };
    match (author, open.phase) {
        (MessageAuthor::Donor, Phase::InProgress) => {
            Some(DonorQueryEvent::QueryMarkedPendingReply { by: open.origin.donor(), at })
        }
        (MessageAuthor::Staff(staff), Phase::PendingReply) => {
            Some(DonorQueryEvent::QueryMarkedInProgress { by: Actor::Staff(staff.as_ref()), at })
        }
        (MessageAuthor::Donor, Phase::PendingReply | Phase::Transferred)
        | (MessageAuthor::Staff(_), Phase::InProgress | Phase::Transferred)
        | (MessageAuthor::System, _) => None,
    }
}
