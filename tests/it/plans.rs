//! Looking a row up by its key takes less than planning how: on connections that do nothing else it is planned once, and
//! the plan that is kept stays good.

use aggregates::ids::{MessageId, QueryId};
use projections::{messages, queries};
use proof_concierge::database::{self, Purpose};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::database::database;
use crate::support::node;

/// More often than PostgreSQL tries plans for single values before it thinks of keeping one.
const TIMES: i64 = 20;
/// How many queries there are when plans are made, and later, each with one message.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_looked_up_by_plans_that_are_kept_and_read_no_others() {
    let database = database().await;
    let options = database::options(&node::config(&database).database_url, Purpose::LookUp).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    grow(&database.pool, 1, FEW).await;
    sqlx::raw_sql("analyze read.messages, read.message_threads").execute(&database.pool).await.unwrap();
    for number in 1..=TIMES {
        look_up(&mut connection, number).await;
    }
    let plans: Vec<(i64, i64)> = sqlx::query_as(
        "select generic_plans, custom_plans from pg_prepared_statements where generic_plans + custom_plans > 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(plans, [(TIMES, 0); 3], "kept, made anew");

    grow(&database.pool, FEW + 1, MANY).await;
    let mut transaction = connection.begin().await.unwrap();
    let before = rows_read(&mut transaction).await;
    look_up(&mut transaction, MANY).await;
    let read = rows_read(&mut transaction).await - before;
    assert_eq!(read, 4, "rows were read: a thread and a message, twice");
}
