//! Looking a row up by its key takes less than planning how: on connections that do nothing else it is planned once, and
//! the plan that is kept stays good.

use aggregates::donor_query::DonorQueryEvent;
use aggregates::ids::{CallRequestId, MessageId, QueryId};
use aggregates::recorded::{Event, Position, RecordedEvent};
use aggregates::testing::{NOON, ada, edited_by, recorded, revised};
use aggregates::vocabulary::MessageType;
use projections::{Projection, messages, queries};
use proof_concierge::database::{self, Purpose};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::database::{TestDatabase, database};
use crate::support::node;

/// More often than PostgreSQL tries plans for single values before it thinks of keeping one.
const TIMES: i64 = 20;
/// How many queries there are when plans are made, and later, each with one message and one request.
const FEW: i64 = 3;
const MANY: i64 = 5_000;

/// Whatever an answer shows of one query.
async fn look_up(connection: &mut PgConnection, number: i64) {
    queries::each_of_ids(&mut *connection, &[QueryId::new(number)]).await.unwrap();
    messages::each_latest_of_queries(&mut *connection, &[QueryId::new(number)], 50).await.unwrap();
    messages::each_of_ids(&mut *connection, &[MessageId::new(number)]).await.unwrap();
}

async fn grow(owner: &PgPool, from: i64, to: i64) {
    for insert in [
        "insert into read.message_threads (query_id, donor_name, donor_id, position) \
         select number, 'somebody', 'd-' || number, number from generate_series($1, $2) as number",
        "insert into read.messages (message_id, query_id, content, message_type, sender_type, created_at, updated_at, \
         posted_position, position) \
         select number, number, 'words', 'CHAT', 'DONOR', now(), now(), number, number \
         from generate_series($1, $2) as number",
        "insert into read.requests (request_id, query_id, mode, status, message_id, created_at, updated_at, position) \
         select number, number, 'AUDIO', 'PENDING', number, now(), now(), number from generate_series($1, $2) as number",
    ] {
        sqlx::query(insert).bind(from).bind(to).execute(owner).await.unwrap();
    }
}

/// How many rows a connection has read lately.
async fn rows_read(connection: &mut PgConnection) -> i64 {
    let read =
        "select sum(seq_tup_read + idx_tup_fetch)::bigint from pg_stat_xact_user_tables where schemaname = 'read'";
    sqlx::query_scalar(read).fetch_one(connection).await.unwrap()
}

/// A connection to a desk of few queries, which PostgreSQL knows to be few.
async fn connect_to_few(database: &TestDatabase, purpose: Purpose) -> PgConnection {
    grow(&database.pool, 1, FEW).await;
    let analyze = "analyze read.messages, read.message_threads, read.requests";
    sqlx::raw_sql(analyze).execute(&database.pool).await.unwrap();
    let options = database::options(&node::config(database).database_url, purpose).unwrap();
    PgConnection::connect_with(&options).await.unwrap()
}

/// Statements that were executed several times, with how often by a plan that was kept, and by one made anew.
async fn plans(connection: &mut PgConnection) -> Vec<(i64, i64)> {
    let plans = "select generic_plans, custom_plans from pg_prepared_statements where generic_plans + custom_plans > 1";
    sqlx::query_as(plans).fetch_all(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_looked_up_by_plans_that_are_kept_and_read_no_others() {
    let database = database().await;
    let mut connection = connect_to_few(&database, Purpose::LookUp).await;
    for number in 1..=TIMES {
        look_up(&mut connection, number).await;
    }
    assert_eq!(plans(&mut connection).await, [(TIMES, 0); 3]);

    grow(&database.pool, FEW + 1, MANY).await;
    let mut transaction = connection.begin().await.unwrap();
    let before = rows_read(&mut transaction).await;
    look_up(&mut transaction, MANY).await;
    let read = rows_read(&mut transaction).await - before;
    assert_eq!(read, 4, "rows were read: a thread and a message, twice");
}

/// Changes a thread, a message and a request that are there.
async fn change(connection: &mut PgConnection, number: i64, position: i64) {
    let rejected =
        DonorQueryEvent::CallRequestRejected { request: CallRequestId::new(number), by: ada().as_ref(), at: NOON };
    let words = revised(MessageId::new(number), MessageType::Chat, "other words", None);
    let facts = [edited_by(&ada()), words, rejected].map(|event| RecordedEvent {
        query: QueryId::new(number),
        position: Position(position),
        ..recorded(Event::DonorQuery(event))
    });
    Projection::Messages.project(connection, &facts).await.unwrap();
    Projection::Requests.project(connection, &facts).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_changed_by_plans_that_are_kept_and_read_no_others() {
    let database = database().await;
    let mut connection = connect_to_few(&database, Purpose::Project).await;
    for turn in 1..=TIMES {
        change(&mut connection, 1, MANY + turn).await;
    }
    assert_eq!(plans(&mut connection).await, [(TIMES, 0); 3]);

    grow(&database.pool, FEW + 1, MANY).await;
    let mut transaction = connection.begin().await.unwrap();
    let before = rows_read(&mut transaction).await;
    change(&mut transaction, MANY, 2 * MANY).await;
    let read = rows_read(&mut transaction).await - before;
    assert_eq!(read, 3, "rows were read: a thread, a message and a request");
}
