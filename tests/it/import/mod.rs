//! A desk of the old system moves in: with its ids, its times and its passwords, once.

use argon2::password_hash::PasswordHasher;
use proof_concierge::app::import::{self, Options};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::app::Client;
use crate::support::database::{TestDatabase, database};
use crate::support::desk::{Desk, PASSWORD, query_of, serve};
use crate::support::node;
use crate::support::servers::servers;

const LATER: &str = include_str!("later.sql");
const EARLIER: &str = include_str!("earlier.sql");

/// A database of the old system; its address.
async fn old_desk(script: &str) -> String {
    let name = format!("old_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&servers().database_url("postgres")).await.unwrap();
    connection.execute(format!("create database {name}").as_str()).await.unwrap();
    let url = servers().database_url(&name);
    let hash = argon2::Argon2::default().hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let mut old = PgConnection::connect(&url).await.unwrap();
    old.execute(script.replace("{hash}", &hash).as_str()).await.unwrap();
    url
}

async fn import(old: &str, database: &TestDatabase) -> anyhow::Result<()> {
    import::carry_out(&Options { from: old.to_owned() }, &node::config(database)).await
}

async fn facts(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("select count(*) from events").fetch_one(&database.pool).await.unwrap()
}

/// A desk that an old one moved into, and shows it.
async fn moved(script: &str, username: &str) -> (Desk, Client) {
    let database = database().await;
    import(&old_desk(script).await, &database).await.unwrap();
    let (config, last) = (node::config(&database), facts(&database).await);
    let desk = serve(database, config).await;
    let staff = desk.staff(username).await;
    staff.get(&format!("/api/v1/donor-queries?limit=1&min_position={last}")).await.expect(200);
    (desk, staff)
}

async fn query(staff: &Client, id: i64) -> Value {
    staff.get(&format!("/api/v1/donor-queries/{id}")).await.expect(200).at("/data").clone()
}

#[tokio::test]
async fn a_desk_of_the_later_generation_moves_in() {
    let (desk, otto) = moved(LATER, "otto").await;
    let resolved = query(&otto, 11).await;
    assert_eq!(resolved["status"], "RESOLVED");
    assert_eq!(resolved["createdAt"], "2025-03-01T10:00:00.000Z");
    assert_eq!((&resolved["assignedToId"], &resolved["resolvedById"]), (&json!(7), &json!(7)));
    assert_eq!(query(&otto, 12).await["status"], "PENDING_REPLY");
    assert_eq!(query(&otto, 13).await["status"], "IN_PROGRESS");
    let handed_over = query(&otto, 14).await;
    assert_eq!(handed_over["status"], "TRANSFERRED");
    assert_eq!(
        (&handed_over["transferredToUserId"], &handed_over["transferNote"]),
        (&json!(3), &json!("Speaks Dutch"))
    );
    let closed = query(&otto, 15).await;
    assert_eq!((&closed["status"], &closed["resolvedById"]), (&json!("RESOLVED"), &json!(null)));

    let said = otto.get("/api/v1/messages/query/11").await.expect(200);
    let said: Vec<_> = said.at("/data").as_array().unwrap().iter().rev().cloned().collect();
    let ids: Vec<_> = said.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [41, 42, 43, 44, 45]);
    assert_eq!((&said[0]["senderType"], &said[0]["createdAt"]), (&json!("DONOR"), &json!("2025-03-01T10:00:00.100Z")));
    assert_eq!((&said[2]["isFromAdmin"], &said[2]["messageType"]), (&json!(true), &json!("CHAT")));
    assert!(!said.iter().any(|message| message.to_string().contains("secret")), "{said:?}");

    // The donor's newest open query is the one that counts, and new ids follow the old ones.
    let nobody = desk.anonymous();
    nobody.post("/api/v1/donor-queries", &query_of("d-1")).await.expect(409);
    let opened = nobody.post("/api/v1/donor-queries", &query_of("d-9")).await.expect(201);
    assert!(opened.at("/data/id").as_i64().unwrap() > 15, "{opened}");
    // The target of the transfer takes it up here.
    let olga = desk.staff("olga").await;
    olga.patch("/api/v1/donor-queries/14/accept", &json!({})).await.expect(200);
    let gone = json!({ "username": "gone", "password": PASSWORD });
    nobody.post("/api/v1/auth/login", &gone).await.expect(401);
}

#[tokio::test]
async fn a_desk_of_the_earlier_generation_moves_in() {
    let (_desk, ella) = moved(EARLIER, "ella").await;
    assert_eq!(query(&ella, 1).await["assignedToId"], 1);
    let said = ella.get("/api/v1/messages/query/1").await.expect(200);
    let from_admin: Vec<_> =
        said.at("/data").as_array().unwrap().iter().rev().map(|message| message["isFromAdmin"].clone()).collect();
    assert_eq!(from_admin, [json!(false), json!(true), json!(false)]);
}

/// What may happen at the old desk between two imports.
const PROGRESS: &str = "
    insert into \"DonorQuery\" (id, donor, \"donorId\", test, stage, device, \"createdAt\", \"updatedAt\")
    values (16, 'Duna', 'd-4', 'Swab', 'Start', 'iPad', '2025-03-05', '2025-03-05'),
        (17, 'Dirk', 'd-2', 'Swab', 'Start', 'iPad', '2025-03-06', '2025-03-06');
    insert into \"CallSession\" (id, \"queryId\", \"adminId\", \"roomName\", status, \"createdAt\", \"updatedAt\")
    values (23, 12, 3, 'room-23', 'STARTED', '2025-03-02T10:06:00', '2025-03-02T10:06:00');
    update \"CallRequest\" set status = 'ACCEPTED', \"adminId\" = 3, \"updatedAt\" = '2025-03-02T10:06:00' where id = 32;
    update \"Message\" set content = content || ' ✅ ACCEPTED by Olga', \"callSessionId\" = 23 where id = 47;
    insert into \"Message\" (id, content, \"isFromAdmin\", \"createdAt\", \"updatedAt\", \"queryId\", \"senderId\")
    values (50, 'We call you', true, '2025-03-02T10:07:00', '2025-03-02T10:07:00', 12, 3);
    update \"DonorQuery\" set status = 'IN_PROGRESS', \"updatedAt\" = '2025-03-02T10:07:00' where id = 12;
    update \"DonorQuery\" set \"assignedToId\" = 7, \"updatedAt\" = '2025-03-06' where id = 13;
    update \"DonorQuery\" set status = 'RESOLVED', \"resolvedById\" = 3, device = 'Fairphone', \"updatedAt\" = '2025-03-09'
        where id = 14;
    update \"DonorQuery\" set status = 'IN_PROGRESS', \"updatedAt\" = '2025-03-09' where id = 15;
    update \"User\" set name = 'Olga New', \"isActive\" = false where id = 3;";

#[tokio::test]
async fn an_import_that_is_run_again_brings_the_desk_up_to_date_and_repeats_nothing() {
    let database = database().await;
    let old = old_desk(LATER).await;
    import(&old, &database).await.unwrap();
    let before = facts(&database).await;
    import(&old, &database).await.unwrap();
    assert_eq!(facts(&database).await, before);

    PgConnection::connect(&old).await.unwrap().execute(PROGRESS).await.unwrap();
    import(&old, &database).await.unwrap();
    let after = facts(&database).await;
    assert!(after > before);
    import(&old, &database).await.unwrap();
    assert_eq!(facts(&database).await, after);

    let config = node::config(&database);
    let desk = serve(database, config).await;
    let otto = desk.staff("otto").await;
    otto.get(&format!("/api/v1/donor-queries?limit=1&min_position={after}")).await.expect(200);
    for (id, status, holder) in [
        (12, "IN_PROGRESS", json!(3)),
        (13, "IN_PROGRESS", json!(7)),
        (14, "RESOLVED", json!(3)),
        (15, "IN_PROGRESS", json!(0)),
        (16, "IN_PROGRESS", json!(null)),
    ] {
        let query = query(&otto, id).await;
        assert_eq!((&query["status"], &query["assignedToId"]), (&json!(status), &holder), "{id}");
    }
    assert_eq!(query(&otto, 14).await["device"], "Fairphone");
    let said = otto.get("/api/v1/messages/query/12").await.expect(200);
    assert_eq!((said.at("/data/0/content"), said.at("/data/0/senderId")), (&json!("We call you"), &json!(3)));
    let asked = said.at("/data").as_array().unwrap().iter().find(|message| message["id"] == 47).unwrap();
    assert_eq!((&asked["callSessionId"], &asked["callRequestId"]), (&json!(23), &json!(32)));
    assert!(asked["content"].as_str().unwrap().contains("✅ ACCEPTED"));
    // The claim of the donor went from the resolved query to the newer one.
    let nobody = desk.anonymous();
    nobody.post("/api/v1/donor-queries", &query_of("d-2")).await.expect(409);
    otto.patch("/api/v1/donor-queries/17/accept", &json!({})).await.expect(200);
    otto.patch("/api/v1/donor-queries/17/resolve", &json!({})).await.expect(200);
    nobody.post("/api/v1/donor-queries", &query_of("d-2")).await.expect(201);
    // Whoever was locked out of the old desk does not come in here.
    nobody.post("/api/v1/auth/login", &json!({ "username": "olga", "password": PASSWORD })).await.expect(401);
}

#[tokio::test]
async fn a_desk_that_was_in_use_takes_nobody_in() {
    let database = database().await;
    let log = node::log(&database);
    log.append(crate::log::facts(17, 0, [aggregates::testing::opened()])).await.unwrap();
    let error = import(&old_desk(EARLIER).await, &database).await.unwrap_err();
    assert!(error.to_string().contains("in use before"), "{error}");
}

#[tokio::test]
async fn what_is_not_the_old_system_is_refused() {
    let database = database().await;
    let error = import(&servers().database_url("postgres"), &database).await.unwrap_err();
    assert!(error.to_string().contains("no table \"User\""), "{error}");
}

/// What two of the old desk said to each other, and what looks like it.
const CHATS: &str = "
    insert into \"Message\" (id, content, \"isFromAdmin\", \"createdAt\", \"updatedAt\", \"senderId\", \"recipientId\", \"messageType\")
    values (60, 'Lunch?', true, '2025-03-02', '2025-03-02', 7, 3, 'CHAT'),
        (61, 'Gladly', true, '2025-03-03', '2025-03-03', 3, 7, 'CHAT'),
        (62, 'To myself', true, '2025-03-03', '2025-03-03', 3, 3, 'CHAT'),
        (63, 'No chat', true, '2025-03-03', '2025-03-03', 3, 7, 'QUERY'),
        (64, 'To nobody', true, '2025-03-03', '2025-03-03', 3, null, 'CHAT');";

#[tokio::test]
async fn chats_move_in_once_and_go_on_here() {
    let (database, old) = (database().await, old_desk(LATER).await);
    let mut connection = PgConnection::connect(&old).await.unwrap();
    connection.execute(CHATS).await.unwrap();
    import(&old, &database).await.unwrap();
    let before = facts(&database).await;
    connection.execute("update \"Message\" set id = 65, \"senderId\" = 8 where id = 62").await.unwrap();
    import(&old, &database).await.unwrap();
    assert_eq!(facts(&database).await, before + 1);

    let config = node::config(&database);
    let desk = serve(database, config).await;
    let otto = desk.staff("otto").await;
    otto.get(&format!("/api/v1/donor-queries?limit=1&min_position={}", before + 1)).await.expect(200);
    let said = json!({ "content": "At one?", "recipientId": 3 });
    otto.post("/api/v1/messages", &said).await.expect(201);
    let read = otto.get("/api/v1/messages/between/3/7").await.expect(200);
    let read: Vec<_> = read.at("/data").as_array().unwrap().iter().map(|said| said["content"].clone()).collect();
    assert_eq!(read, ["At one?", "Gladly", "Lunch?"]);
    let seen = desk.staff("olga").await.get("/api/v1/messages?recipientId=3").await.expect(200);
    assert_eq!((seen.at("/data/1/id"), seen.at("/data/1/senderName")), (&json!(65), &json!("Gone Old")));
    assert_eq!((seen.at("/data/2/id"), seen.at("/data/2/createdAt")), (&json!(60), &json!("2025-03-02T00:00:00.000Z")));
    let streams = "select count(distinct aggregate_id) from events where aggregate_type = 'StaffChat'";
    assert_eq!(sqlx::query_scalar::<_, i64>(streams).fetch_one(desk.pool()).await.unwrap(), 2);
}
