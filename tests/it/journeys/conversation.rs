//! What is said, by whom, and who reads it.

use serde_json::json;
use sqlx::Executor;

use crate::support::desk::desk;

#[tokio::test]
async fn both_sides_talk_and_the_status_follows() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
    let said = donor.post(&format!("/api/v1/messages/donor/{id}"), &json!({ "content": "Hello?" })).await.expect(201);
    assert_eq!((said.at("/data/senderType"), said.at("/data/donorId")), (&json!("DONOR"), &json!("d-1")));
    assert_eq!(*said.at("/data/query/status"), "PENDING_REPLY");
    let answered = ada
        .post(&format!("/api/v1/messages/admin/{id}"), &json!({ "content": "Hi.", "messageType": "QUERY" }))
        .await
        .expect(201);
    assert_eq!(*answered.at("/data/senderId"), json!(desk.id_of("ada")));
    assert_eq!(*answered.at("/data/query/status"), "IN_PROGRESS");

    let read = donor.get(&format!("/api/v1/messages/query/{id}")).await.expect(200);
    assert_eq!(*read.at("/data/0/content"), "Hi.");
    assert!(read.body.pointer("/data/0/sender/username").is_none(), "{read}");
    let read = ada.get(&format!("/api/v1/messages/admin/{id}?limit=2&offset=1")).await.expect(200);
    assert_eq!((read.at("/data/limit"), read.at("/data/offset")), (&json!(2), &json!(1)));
    assert_eq!(*read.at("/data/messages/0/content"), "Hello?");
}

#[tokio::test]
async fn the_credential_says_who_speaks_and_not_the_body() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    let claim = json!({ "content": "I am staff", "queryId": id, "isFromAdmin": true, "senderId": desk.id_of("sue") });
    let said = donor.post("/api/v1/messages", &claim).await.expect(201);
    assert_eq!((said.at("/data/isFromAdmin"), said.at("/data/senderId")), (&json!(false), &json!(null)));
    desk.anonymous().post("/api/v1/messages", &claim).await.expect(401);
    let ada = desk.staff("ada").await;
    ada.post(&format!("/api/v1/messages/donor/{id}"), &json!({ "content": "I am the donor" })).await.expect(403);
    let nowhere = ada.post("/api/v1/messages", &json!({ "content": "Hi" })).await.expect(422);
    assert_eq!(*nowhere.at("/code"), "recipient_required");
    let call = json!({ "content": "It rings", "messageType": "CALL_STARTED" });
    ada.post(&format!("/api/v1/messages/admin/{id}"), &call).await.expect(422);
}

#[tokio::test]
async fn what_colleagues_say_to_each_other_is_not_for_the_donor() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    for route in ["admin", "system"] {
        let whisper = json!({ "content": "a difficult person", "recipientId": desk.id_of("ben") });
        ada.post(&format!("/api/v1/messages/{route}/{id}"), &whisper).await.expect(201);
    }
    for path in [format!("/api/v1/messages/query/{id}"), "/api/v1/donor-queries/donor/d-1".to_owned()] {
        let read = donor.get(&path).await.expect(200).to_string();
        assert!(!read.contains("difficult"), "{read}");
    }
    assert!(ada.get(&format!("/api/v1/messages/query/{id}")).await.expect(200).to_string().contains("difficult"));
    for recipient in [desk.id_of("ben"), 999_999] {
        let said = json!({ "content": "Hello", "recipientId": recipient });
        let said = donor.post(&format!("/api/v1/messages/donor/{id}"), &said).await.expect(201);
        assert_eq!(*said.at("/data/recipientId"), json!(null));
    }
}

#[tokio::test]
async fn a_reminder_to_a_colleague_is_not_for_the_donor() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{id}");
    ada.patch(&format!("{path}/accept"), &json!({})).await.expect(200);
    let transfer = json!({ "transferredToUserId": desk.id_of("ben"), "transferNote": "a secret between colleagues" });
    ada.post(&format!("{path}/transfer"), &transfer).await.expect(201);
    ada.post(&format!("{path}/send-reminder"), &json!({ "message": "hurry up, Ben" })).await.expect(201);
    for path in [format!("/api/v1/messages/query/{id}"), "/api/v1/donor-queries/donor/d-1".to_owned()] {
        let read = donor.get(&path).await.expect(200).to_string();
        assert!(!read.contains("hurry up") && !read.contains("a secret"), "{read}");
        assert!(!read.contains("username") && !read.contains("email"), "{read}");
    }
    assert!(ada.get(&format!("/api/v1/messages/query/{id}")).await.expect(200).to_string().contains("hurry up"));
}

/// Makes what an answer shows unreadable for the moment, and for nobody else.
const AWAY: &str = "
    create function read.away() returns boolean language plpgsql as $$
    begin
        if current_query() like '%from messages as m%' or current_query() like '%where request_id = $1' then
            raise exception 'not now' using errcode = 'lock_not_available';
        end if;
        return true;
    end
    $$;
    alter table read.messages enable row level security, force row level security;
    create policy away on read.messages using (read.away()) with check (true);
    alter table read.requests enable row level security, force row level security;
    create policy away on read.requests using (read.away()) with check (true)";

#[tokio::test]
async fn a_command_that_took_effect_does_not_fail_because_its_answer_cannot_be_read() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    desk.pool().execute(AWAY).await.unwrap();
    let said = donor.post(&format!("/api/v1/messages/donor/{id}"), &json!({ "content": "Hello?" })).await.expect(202);
    assert!(said.at("/position").is_i64());
    ada.get(&format!("/api/v1/messages/query/{id}")).await.expect(503);
    let asked = donor.post(&format!("/api/v1/communication/call/{id}/request"), &json!({ "mode": "VIDEO" })).await;
    assert!(asked.expect(202).at("/position").is_i64());
    let applied = "select (select count(*) from read.messages where content = 'Hello?'), count(*) from read.requests";
    let applied: (i64, i64) = sqlx::query_as(applied).fetch_one(desk.pool()).await.unwrap();
    assert_eq!(applied, (1, 1), "nothing was behind");
}
