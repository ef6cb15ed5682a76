//! Facts to rows of `messages`, and to `message_threads`: whose conversation it is, which no message says by itself.
//!
//! Everything here either begins a row or overwrites columns with values that the fact itself carries, so that nothing has
//! to be read before it is written.

use std::collections::BTreeMap;

use aggregates::donor_query::DonorQueryEvent;
use aggregates::donor_query::event::Author;
use aggregates::ids::{CallId, CallRequestId, DonorId, MessageId, QueryId, UserId};
use aggregates::people::StaffRef;
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Position, RecordedEvent};
use aggregates::staff_chat::StaffChatEvent;
use aggregates::vocabulary::MessageType;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::row::SenderType;

/// Applies a batch: one statement for each of the four kinds of change that is in it.
pub(crate) async fn project(conn: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
    let changes = Changes::of(events);
    insert_threads(conn, &changes.opened).await?;
    update_threads(conn, &changes.threads).await?;
    insert_messages(conn, &changes.posted).await?;
    update_messages(conn, &changes.revised).await
}

/// What a batch comes to.
#[derive(Default)]
struct Changes<'a> {
    opened: Vec<Opened<'a>>,
    threads: BTreeMap<QueryId, ThreadChange<'a>>,
    posted: Vec<Posted<'a>>,
    revised: BTreeMap<MessageId, Revised<'a>>,
}

struct Opened<'a> {
    query: QueryId,
    donor: &'a str,
    donor_id: &'a DonorId,
    position: Position,
}

#[derive(Default)]
struct ThreadChange<'a> {
    donor: Option<&'a str>,
    deleted: bool,
    position: Position,
}

struct Posted<'a> {
    message: MessageId,
    /// None if it belongs to a chat of two staff members.
    query: Option<QueryId>,
    content: &'a str,
    message_type: MessageType,
    sender_type: SenderType,
    staff: Option<&'a StaffRef>,
    recipient: Option<UserId>,
    call: Option<CallId>,
    request: Option<CallRequestId>,
    at: DateTime<Utc>,
    position: Position,
}

struct Revised<'a> {
    content: &'a str,
    message_type: MessageType,
    call: Option<CallId>,
    at: DateTime<Utc>,
    position: Position,
}

impl<'a> Changes<'a> {
    fn of(events: &'a [RecordedEvent]) -> Self {
        let mut changes = Self::default();
        for recorded in events {
            match &recorded.event {
                Event::DonorQuery(event) => changes.add(recorded, event),
                Event::StaffChat(event) => changes.add_chat(recorded, event),
                Event::CallSession(_) => {}
            }
        }
        changes
    }

    fn add(&mut self, recorded: &RecordedEvent, event: &'a DonorQueryEvent) {
        let RecordedEvent { query, position, .. } = *recorded;
        match event {
            DonorQueryEvent::QueryOpened { donor, donor_id, .. } => {
                self.opened.push(Opened { query, donor: donor.as_str(), donor_id, position });
            }
            DonorQueryEvent::QueryEdited { donor, .. } => {
                let thread = self.threads.entry(query).or_default();
                thread.donor = donor.as_ref().map(Personal::as_str).or(thread.donor);
                thread.position = position;
            }
            DonorQueryEvent::QueryDeleted { .. } => {
                let thread = self.threads.entry(query).or_default();
                thread.deleted = true;
                thread.position = position;
            }
            DonorQueryEvent::MessagePosted { message, author, recipient, message_type, content, call, request, at } => {
                self.posted.push(Posted {
                    message: *message,
                    query: Some(query),
                    content: content.as_str(),
                    message_type: *message_type,
                    sender_type: SenderType::from(author),
                    staff: staff(author),
                    recipient: *recipient,
                    call: *call,
                    request: *request,
                    at: *at,
                    position,
                });
            }
            DonorQueryEvent::MessageRevised { message, message_type, content, call, at } => {
                let content = content.as_str();
                let revised = Revised { content, message_type: *message_type, call: *call, at: *at, position };
                self.revised.insert(*message, revised);
            }
            DonorQueryEvent::QueryAccepted { .. }
            | DonorQueryEvent::QueryMarkedPendingReply { .. }
            | DonorQueryEvent::QueryMarkedInProgress { .. }
            | DonorQueryEvent::QueryTransferred { .. }
            | DonorQueryEvent::QueryReminded { .. }
            | DonorQueryEvent::QueryResolved { .. }
            | DonorQueryEvent::QueryClosedByDonor { .. }
            | DonorQueryEvent::QueryReopened { .. }
            | DonorQueryEvent::CallRequested { .. }
            | DonorQueryEvent::CallRequestAccepted { .. }
            | DonorQueryEvent::CallRequestRejected { .. }
            | DonorQueryEvent::CallRequestCancelled { .. }
            | DonorQueryEvent::CallAttached { .. }
            | DonorQueryEvent::CallDetached { .. } => {}
        }
    }

    fn add_chat(&mut self, recorded: &RecordedEvent, event: &'a StaffChatEvent) {
        match event {
            StaffChatEvent::ChatMessagePosted { message, by, to, content, at } => self.posted.push(Posted {
                message: *message,
                query: None,
                content: content.as_str(),
                message_type: MessageType::Chat,
                sender_type: SenderType::Admin,
                staff: Some(by),
                recipient: Some(to.id),
                call: None,
                request: None,
                at: *at,
                position: recorded.position,
            }),
        }
    }
}

fn staff(author: &Author) -> Option<&StaffRef> {
    match author {
        Author::Staff(staff) => Some(staff),
        Author::Donor | Author::System => None,
    }
}

async fn insert_threads(conn: &mut PgConnection, opened: &[Opened<'_>]) -> Result<(), sqlx::Error> {
    if opened.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into message_threads (query_id, donor_name, donor_id, position)
         select * from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
         on conflict (query_id) do nothing",
    )
    .bind(opened.iter().map(|thread| thread.query.get()).collect::<Vec<_>>())
    .bind(opened.iter().map(|thread| thread.donor).collect::<Vec<_>>())
    .bind(opened.iter().map(|thread| thread.donor_id.as_str()).collect::<Vec<_>>())
    .bind(opened.iter().map(|thread| thread.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn update_threads(
    conn: &mut PgConnection,
    threads: &BTreeMap<QueryId, ThreadChange<'_>>,
) -> Result<(), sqlx::Error> {
    if threads.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update message_threads as t
         set donor_name = coalesce(c.donor_name, t.donor_name),
             deleted = t.deleted or c.deleted,
             position = c.position
         from unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[])
             as c (query_id, donor_name, deleted, position)
         where t.query_id = c.query_id
           and t.query_id = any($1)
           and t.position < c.position",
    )
    .bind(threads.keys().map(|query| query.get()).collect::<Vec<_>>())
    .bind(threads.values().map(|thread| thread.donor).collect::<Vec<_>>())
    .bind(threads.values().map(|thread| thread.deleted).collect::<Vec<_>>())
    .bind(threads.values().map(|thread| thread.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_messages(conn: &mut PgConnection, posted: &[Posted<'_>]) -> Result<(), sqlx::Error> {
    if posted.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into messages (
             message_id, query_id, content, message_type, sender_type, sender_id, staff_name, recipient_id,
             call_id, call_request_id, created_at, updated_at, posted_position, position
         )
         select message_id, query_id, content, message_type, sender_type, sender_id, staff_name, recipient_id,
                call_id, call_request_id, at, at, position, position
         from unnest(
             $1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
             $9::bigint[], $10::bigint[], $11::timestamptz[], $12::bigint[]
         ) as m (
             message_id, query_id, content, message_type, sender_type, sender_id, staff_name, recipient_id,
             call_id, call_request_id, at, position
         )
         on conflict (message_id) do nothing",
    )
    .bind(posted.iter().map(|message| message.message.get()).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.query.map(QueryId::get)).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.content).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.message_type.as_str()).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.sender_type.as_str()).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.staff.map(|staff| staff.id.get())).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.staff.map(|staff| staff.name.as_str())).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.recipient.map(UserId::get)).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.call.map(CallId::get)).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.request.map(CallRequestId::get)).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.at).collect::<Vec<_>>())
    .bind(posted.iter().map(|message| message.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn update_messages(
    conn: &mut PgConnection,
    revised: &BTreeMap<MessageId, Revised<'_>>,
) -> Result<(), sqlx::Error> {
    if revised.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update messages as m
         set content = r.content,
             message_type = r.message_type,
             call_id = r.call_id,
             updated_at = r.at,
             position = r.position
         from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::bigint[])
             as r (message_id, content, message_type, call_id, at, position)
         where m.message_id = r.message_id
           and m.message_id = any($1)
           and m.position < r.position",
    )
    .bind(revised.keys().map(|message| message.get()).collect::<Vec<_>>())
    .bind(revised.values().map(|message| message.content).collect::<Vec<_>>())
    .bind(revised.values().map(|message| message.message_type.as_str()).collect::<Vec<_>>())
    .bind(revised.values().map(|message| message.call.map(CallId::get)).collect::<Vec<_>>())
    .bind(revised.values().map(|message| message.at).collect::<Vec<_>>())
    .bind(revised.values().map(|message| message.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
