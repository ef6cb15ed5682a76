//! Questions about messages, newest first unless said otherwise. Messages of deleted queries are not found, and those of a
//! chat only by its two members: [`select`] sees to both.

use aggregates::ids::{CallId, DonorId, MessageId, QueryId, UserId};
use aggregates::vocabulary::MessageType;
use sqlx::{PgExecutor, Postgres, QueryBuilder};

use super::row::{MessageRow, SenderType};
use crate::Each;
use crate::columns::{each, push};
use crate::page::{MAX_LIMIT, Page};

const COLUMNS: &str = "
    m.message_id, m.query_id, m.content, m.message_type, m.sender_type, m.sender_id,
    case when m.sender_type = 'DONOR' then t.donor_name else m.staff_name end as sender_name,
    m.recipient_id, t.donor_id, t.donor_name, m.call_id, m.call_request_id,
    m.created_at, m.updated_at, m.posted_position, m.position";

/// Which messages a list shows. What is absent does not narrow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// About this query.
    pub query_id: Option<QueryId>,
    /// Of this type.
    pub message_type: Option<MessageType>,
    /// Said by this kind of somebody.
    pub sender_type: Option<SenderType>,
    /// Said by this staff member.
    pub sender_id: Option<UserId>,
    /// Meant for this staff member.
    pub recipient_id: Option<UserId>,
    /// About a query of this donor.
    pub donor_id: Option<DonorId>,
}

/// The message with this id, if it is not of a chat in which `reader` has no part.
pub async fn find(
    db: impl PgExecutor<'_>,
    message: MessageId,
    reader: Option<UserId>,
) -> Result<Option<MessageRow>, sqlx::Error> {
    let mut sql = select(reader);
    sql.push(" and m.message_id = ").push_bind(message.get());
    sql.build_query_as().fetch_optional(db).await
}

/// The messages about queries with these ids, in no particular order; absent ones are left out.
pub async fn each_of_ids(
    db: impl PgExecutor<'_>,
    messages: &[MessageId],
) -> Result<Each<MessageId, MessageRow>, sqlx::Error> {
    // The limit keeps the two tables apart: the plan is kept, and one that was made while both were small must not read all
    // threads later.
    let rows = sqlx::query(&format!(
        "select {COLUMNS}
         from messages as m
         cross join lateral (
             select * from message_threads where query_id = m.query_id and not deleted limit 1
         ) as t
         where m.message_id = any($1)"
    ))
    .bind(messages.iter().map(|message| message.get()).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    each(&rows, "message_id", MessageId::new)
}

/// The conversation about a query; a page may begin after (that is, with what was said before) one of its messages.
pub async fn of_query(
    db: impl PgExecutor<'_>,
    query: QueryId,
    page: &Page<MessageId>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    list(db, &ListFilter { query_id: Some(query), ..ListFilter::default() }, None, page).await
}

/// The last `per` messages of each of some queries, in the order they were said.
pub async fn latest_of_queries(
    db: impl PgExecutor<'_>,
    queries: &[QueryId],
    per: i64,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    each_latest_of_queries(db, queries, per).await?.into_iter().map(|(_, row)| row).collect()
}

/// The same, each on its own, with its query.
pub async fn each_latest_of_queries(
    db: impl PgExecutor<'_>,
    queries: &[QueryId],
    per: i64,
) -> Result<Each<QueryId, MessageRow>, sqlx::Error> {
    // Saying twice which threads are wanted keeps a plan that was made while there were few from reading all of them later.
    let rows = sqlx::query(&format!(
        "select {COLUMNS}
         from unnest($1::bigint[]) as wanted (query_id)
         join message_threads as t on t.query_id = wanted.query_id and t.query_id = any($1) and not t.deleted
         cross join lateral (
             select * from messages where query_id = wanted.query_id order by posted_position desc limit {per}
         ) as m
         order by m.query_id, m.posted_position"
    ))
    .bind(queries.iter().map(|query| query.get()).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    each(&rows, "query_id", QueryId::new)
}

/// What the desk itself told the conversation about a query, calls above all.
pub async fn notices_of_query(
    db: impl PgExecutor<'_>,
    query: QueryId,
    page: &Page<MessageId>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    let mut sql = select(None);
    sql.push(" and m.query_id = ").push_bind(query.get());
    sql.push(" and m.message_type in ('CALL_STARTED', 'CALL_ENDED', 'SYSTEM')");
    push_page(&mut sql, page);
    sql.build_query_as().fetch_all(db).await
}

/// The messages about a call of a query, in the order they were said, at most [`MAX_LIMIT`].
pub async fn of_call(db: impl PgExecutor<'_>, query: QueryId, call: CallId) -> Result<Vec<MessageRow>, sqlx::Error> {
    let mut sql = select(None);
    sql.push(" and m.query_id = ").push_bind(query.get());
    sql.push(" and m.call_id = ").push_bind(call.get());
    sql.push(format!(" order by m.posted_position limit {MAX_LIMIT}"));
    sql.build_query_as().fetch_all(db).await
}

/// What was said about all queries of a donor.
pub async fn of_donor(
    db: impl PgExecutor<'_>,
    donor: &DonorId,
    page: &Page<MessageId>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    list(db, &ListFilter { donor_id: Some(donor.clone()), ..ListFilter::default() }, None, page).await
}

/// What two staff members said to each other in chat about queries, and if `reader` is one of them, about none.
pub async fn between(
    db: impl PgExecutor<'_>,
    one: UserId,
    other: UserId,
    reader: UserId,
    page: &Page<MessageId>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    let mut sql = select(Some(reader));
    sql.push(" and m.message_type = 'CHAT' and ((m.sender_id = ").push_bind(one.get());
    sql.push(" and m.recipient_id = ").push_bind(other.get());
    sql.push(") or (m.sender_id = ").push_bind(other.get());
    sql.push(" and m.recipient_id = ").push_bind(one.get()).push("))");
    push_page(&mut sql, page);
    sql.build_query_as().fetch_all(db).await
}

/// The messages that a filter lets through; of chats, those in which `reader` has a part.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &ListFilter,
    reader: Option<UserId>,
    page: &Page<MessageId>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    let mut sql = select(reader);
    push(&mut sql, " and m.query_id = ", filter.query_id.map(QueryId::get));
    push(&mut sql, " and m.message_type = ", filter.message_type.map(MessageType::as_str));
    push(&mut sql, " and m.sender_type = ", filter.sender_type.map(SenderType::as_str));
    push(&mut sql, " and m.sender_id = ", filter.sender_id.map(UserId::get));
    push(&mut sql, " and m.recipient_id = ", filter.recipient_id.map(UserId::get));
    push(&mut sql, " and t.donor_id = ", filter.donor_id.as_ref().map(DonorId::as_str));
    push_page(&mut sql, page);
    sql.build_query_as().fetch_all(db).await
}

/// The messages that somebody may read at all: a message without a query belongs to its sender and its recipient.
fn select<'a>(reader: Option<UserId>) -> QueryBuilder<'a, Postgres> {
    let mut sql = QueryBuilder::new(format!(
        "select {COLUMNS} from messages as m left join message_threads as t using (query_id)
         where (not t.deleted or m.query_id is null and "
    ));
    sql.push_bind(reader.map(UserId::get)).push(" in (m.sender_id, m.recipient_id))");
    sql
}

fn push_page(sql: &mut QueryBuilder<'_, Postgres>, page: &Page<MessageId>) {
    if let Some(message) = page.cursor() {
        sql.push(" and m.posted_position < (select posted_position from messages where message_id = ");
        sql.push_bind(message.get()).push(")");
    }
    sql.push(format!(" order by m.posted_position desc limit {}", page.limit()));
    push(sql, " offset ", Some(page.offset()).filter(|offset| *offset > 0));
}
