//! Gathers what a note or a letter is written from, at the time of sending.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{MessageId, QueryId, UserId};
use aggregates::people::StaffRef;
use aggregates::policy::{Alert, Letter};
use aggregates::recorded::{Event, Position};
use chrono::{DateTime, Utc};
use projections::messages::{self, MessageRow, SenderType};
use projections::queries::QueryRow;

use super::carry::Carrier;
use super::plan::Matter;
use crate::integrations::{MessageFacts, QueryFacts};

/// What a delivery about a query is written from.
pub(super) async fn facts(
    carrier: &Carrier,
    matter: &Matter,
    at: DateTime<Utc>,
    query: &QueryRow,
    position: Position,
) -> Result<QueryFacts, sqlx::Error> {
    let message = match matter {
        Matter::Push(Alert::MessagePosted { message }) => message_facts(carrier, *message, None).await?,
        Matter::Push(_) | Matter::Mail(_) | Matter::Room(_) => None,
    };
    Ok(QueryFacts {
        query: query.query_id,
        donor_id: query.donor_id.clone(),
        donor: query.donor.clone(),
        test: query.test.clone(),
        stage: query.stage.clone(),
        device: query.device.clone(),
        status: query.standing.status,
        at,
        words: words(carrier, matter, query, position).await,
        message,
    })
}

/// The words that go with a fact: the donor's question, the note of a transfer, the text of a call request.
async fn words(carrier: &Carrier, matter: &Matter, query: &QueryRow, position: Position) -> Option<String> {
    match matter {
        Matter::Push(Alert::QueryTransferred { .. } | Alert::QueryReminded { .. })
        | Matter::Mail(Letter::QueryTransferred { .. } | Letter::QueryReminded { .. }) => query.transfer_note.clone(),
        Matter::Push(Alert::QueryOpened | Alert::CallRequested { .. })
        | Matter::Mail(Letter::QueryOpened | Letter::CallRequested { .. }) => {
            said_next(carrier, query.query_id, position).await
        }
        Matter::Push(_) | Matter::Mail(Letter::CallAttached { .. }) | Matter::Room(_) => None,
    }
}

/// The message that was said in the same breath as a fact. A letter without it is better than none.
async fn said_next(carrier: &Carrier, query: QueryId, position: Position) -> Option<String> {
    let stored = carrier.log.read_after(position, 1).await.ok()?.pop().filter(|stored| stored.query == query)?;
    let fact = carrier.log.open(&stored).await.ok()?;
    match fact.event {
        Event::DonorQuery(DonorQueryEvent::MessagePosted { content, .. }) => content.get().cloned(),
        Event::DonorQuery(_) | Event::CallSession(_) | Event::StaffChat(_) => None,
    }
}

/// What a note about a message is written from; about one of a chat, for one of its members.
pub(super) async fn message_facts(
    carrier: &Carrier,
    message: MessageId,
    reader: Option<UserId>,
) -> Result<Option<MessageFacts>, sqlx::Error> {
    Ok(messages::find(&carrier.reads, message, reader).await?.map(|row| MessageFacts {
        author: author(&row),
        content: row.content,
        message_type: row.message_type,
    }))
}

fn author(row: &MessageRow) -> Author {
    match (row.sender_type, row.sender_id) {
        (SenderType::Admin, Some(id)) => {
            Author::Staff(StaffRef { id, name: row.sender_name.clone().unwrap_or_default() })
        }
        (SenderType::Donor, _) => Author::Donor,
        (SenderType::System, _) | (SenderType::Admin, None) => Author::System,
    }
}
