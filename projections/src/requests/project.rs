//! Facts to rows of `requests`: a request is made once and answered once.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{CallId, CallRequestId, MessageId, QueryId, UserId};
use aggregates::people::Actor;
use aggregates::recorded::{Position, RecordedEvent};
use aggregates::vocabulary::{CallMode, CallRequestStatus};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::facts_of_queries;

/// Applies a batch: one insert and one update, if there is anything to insert or update.
pub(crate) async fn project(conn: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), sqlx::Error> {
    let mut requested = Vec::new();
    let mut answered = Vec::new();
    for (recorded, event) in facts_of_queries(events) {
        match Change::of(recorded, event) {
            Some(Change::Requested(request)) => requested.push(request),
            Some(Change::Answered(answer)) => answered.push(answer),
            None => {}
        }
    }
    insert(conn, &requested).await?;
    update(conn, &answered).await
}

enum Change {
    Requested(Request),
    Answered(Answer),
}

struct Request {
    id: CallRequestId,
    query: QueryId,
    mode: CallMode,
    message: MessageId,
    at: DateTime<Utc>,
    position: Position,
}

struct Answer {
    id: CallRequestId,
    status: CallRequestStatus,
    admin: Option<UserId>,
    call: Option<CallId>,
    at: DateTime<Utc>,
    position: Position,
}

impl Change {
    fn of(recorded: &RecordedEvent, event: &DonorQueryEvent) -> Option<Self> {
        let RecordedEvent { query, position, .. } = *recorded;
        let answered = |id, status, admin, call, at| Self::Answered(Answer { id, status, admin, call, at, position });
        match event {
            DonorQueryEvent::CallRequested { request, mode, message, at } => {
                let (id, mode, message, at) = (*request, *mode, *message, *at);
                Some(Self::Requested(Request { id, query, mode, message, at, position }))
            }
            DonorQueryEvent::CallRequestAccepted { request, call, by, at } => {
                Some(answered(*request, CallRequestStatus::Accepted, Some(by.id), Some(*call), *at))
            }
            DonorQueryEvent::CallRequestRejected { request, by, at } => {
                Some(answered(*request, CallRequestStatus::Rejected, Some(by.id), None, *at))
            }
            DonorQueryEvent::CallRequestCancelled { request, by, at } => {
                Some(answered(*request, CallRequestStatus::Cancelled, staff(by), None, *at))
            }
            DonorQueryEvent::QueryOpened { .. }
            | DonorQueryEvent::QueryAccepted { .. }
            | DonorQueryEvent::QueryMarkedPendingReply { .. }
            | DonorQueryEvent::QueryMarkedInProgress { .. }
            | DonorQueryEvent::QueryTransferred { .. }
            | DonorQueryEvent::QueryReminded { .. }
            | DonorQueryEvent::QueryResolved { .. }
            | DonorQueryEvent::QueryClosedByDonor { .. }
            | DonorQueryEvent::QueryReopened { .. }
            | DonorQueryEvent::QueryEdited { .. }
            | DonorQueryEvent::QueryDeleted { .. }
            | DonorQueryEvent::MessagePosted { .. }
            | DonorQueryEvent::MessageRevised { .. }
            | DonorQueryEvent::CallAttached { .. }
            | DonorQueryEvent::CallDetached { .. } => None,
        }
    }
}

fn staff(actor: &Actor) -> Option<UserId> {
    match actor {
        Actor::Staff(staff) => Some(staff.id),
        Actor::Donor { .. } | Actor::System => None,
    }
}

async fn insert(conn: &mut PgConnection, requested: &[Request]) -> Result<(), sqlx::Error> {
    if requested.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into requests (request_id, query_id, mode, status, message_id, created_at, updated_at, position)
         select request_id, query_id, mode, 'PENDING', message_id, at, at, position
         from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::bigint[])
             as r (request_id, query_id, mode, message_id, at, position)
         on conflict (request_id) do nothing",
    )
    .bind(requested.iter().map(|request| request.id.get()).collect::<Vec<_>>())
    .bind(requested.iter().map(|request| request.query.get()).collect::<Vec<_>>())
    .bind(requested.iter().map(|request| request.mode.as_str()).collect::<Vec<_>>())
    .bind(requested.iter().map(|request| request.message.get()).collect::<Vec<_>>())
    .bind(requested.iter().map(|request| request.at).collect::<Vec<_>>())
    .bind(requested.iter().map(|request| request.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

async fn update(conn: &mut PgConnection, answered: &[Answer]) -> Result<(), sqlx::Error> {
    if answered.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update requests as r
         set status = a.status,
             admin_id = a.admin_id,
             call_id = a.call_id,
             updated_at = a.at,
             position = a.position
         from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[])
             as a (request_id, status, admin_id, call_id, at, position)
         where r.request_id = a.request_id
           and r.request_id = any($1)
           and r.position < a.position",
    )
    .bind(answered.iter().map(|answer| answer.id.get()).collect::<Vec<_>>())
    .bind(answered.iter().map(|answer| answer.status.as_str()).collect::<Vec<_>>())
    .bind(answered.iter().map(|answer| answer.admin.map(UserId::get)).collect::<Vec<_>>())
    .bind(answered.iter().map(|answer| answer.call.map(CallId::get)).collect::<Vec<_>>())
    .bind(answered.iter().map(|answer| answer.at).collect::<Vec<_>>())
    .bind(answered.iter().map(|answer| answer.position.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
