//! What two staff members say to each other without any query.

mod live;
mod log;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Client};
use crate::support::desk::{Desk, desk};
use crate::support::eventually::eventually;

const LIMIT: Duration = Duration::from_secs(30);

/// What only the two of them may read.
const WORDS: &str = "Lunch at one?";

/// Says it to somebody.
async fn say(by: &Client, to: i64) -> Answer {
    by.post("/api/v1/messages", &json!({ "content": WORDS, "recipientId": to })).await
}

fn between(desk: &Desk) -> String {
    format!("/api/v1/messages/between/{}/{}", desk.id_of("ada"), desk.id_of("ben"))
}

#[tokio::test]
async fn two_colleagues_talk_by_the_paths_of_every_generation() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let (ada_id, ben_id) = (desk.id_of("ada"), desk.id_of("ben"));
    let asked = json!({ "content": WORDS, "receiverId": ben_id, "senderId": 999, "queryId": null });
    let asked = ada.post("/api/v1/messages", &asked).await.expect(201);
    assert_eq!((asked.at("/data/messageType"), asked.at("/data/senderType")), (&json!("CHAT"), &json!("ADMIN")));
    assert_eq!((asked.at("/data/senderId"), asked.at("/data/recipientId")), (&json!(ada_id), &json!(ben_id)));
    assert_eq!((asked.at("/data/queryId"), asked.at("/data/query")), (&Value::Null, &Value::Null));
    assert_eq!((asked.at("/data/sender/name"), asked.at("/data/recipient/name")), (&json!("Ada"), &json!("Ben")));
    let bare = json!({ "content": "Gladly.", "recipientId": ada_id, "messageType": "chat" });
    let answered = ben.post("/api/v1/chat/messages", &bare).await.expect(201);
    assert_eq!(*answered.at("/senderId"), ben_id);
    for (reader, path) in [(&ada, between(&desk)), (&ben, "/api/v1/messages?messageType=CHAT".to_owned())] {
        let read = reader.get(&path).await.expect(200);
        let said: Vec<_> = read.at("/data").as_array().unwrap().iter().map(|said| said["content"].clone()).collect();
        assert_eq!(said, ["Gladly.", WORDS], "newest first at {path}");
    }
    let bare = ben.get(&format!("/api/v1/chat/messages/between/{ben_id}/{ada_id}")).await.expect(200);
    assert_eq!(*bare.at("/1/content"), WORDS);
}

#[tokio::test]
async fn nobody_else_reads_it_whatever_they_ask() {
    let desk = desk().await;
    let (ada, ben, sue) = (desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await);
    let (donor, query) = desk.donor("d-1").await;
    let position = say(&ada, desk.id_of("ben")).await.expect(201).header("concierge-position").to_owned();
    let [ada_id, ben_id] = [desk.id_of("ada"), desk.id_of("ben")];
    let everywhere = [
        "/api/v1/messages".to_owned(),
        format!("/api/v1/messages?senderId={ada_id}"),
        format!("/api/v1/messages?recipientId={ben_id}"),
        between(&desk),
        format!("/api/v1/messages/between/{ben_id}/{ada_id}"),
        "/api/v1/chat/messages".to_owned(),
        format!("/api/v1/chat/messages/between/{ada_id}/{ben_id}"),
        "/api/v1/events?after=0".to_owned(),
        format!("/api/v1/messages/query/{query}"),
        "/api/v1/messages/donor/d-1".to_owned(),
        "/api/v1/logs/search/all?query=ChatMessagePosted".to_owned(),
        "/api/v1/deliveries".to_owned(),
    ];
    for path in &everywhere {
        let read = sue.get(path).await.expect(200).to_string();
        assert!(!read.contains(WORDS), "a super admin reads a chat of others: {read}");
    }
    for path in ["/api/v1/events?after=0".to_owned(), format!("/api/v1/messages/query/{query}")] {
        let read = donor.get(&path).await.expect(200).to_string();
        assert!(!read.contains(WORDS) && !read.contains("ChatMessagePosted"), "a donor reads a chat: {read}");
    }
    for path in &everywhere[..8] {
        let read = ben.get(path).await.expect(200).to_string();
        assert!(read.contains(WORDS), "{position}: {read}");
    }
    let done = sue.get("/api/v1/logs/search/all?query=ChatMessagePosted").await.expect(200);
    let done = done.at("/logs/0").to_string();
    assert!(done.contains("ChatMessagePosted"), "that somebody wrote is no secret: {done}");
    assert!(!done.contains("queryId"), "a chat is no query: {done}");
}

#[tokio::test]
async fn a_note_of_it_tells_nobody_else_what_was_said_or_to_whom() {
    let desk = desk().await;
    let (ada, ben, sue) = (desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await);
    let telephone = ben.request(Method::PUT, "/api/v1/users/me/fcm-token");
    ben.send(telephone.json(&json!({ "fcmToken": "bens-telephone:".repeat(8) }))).await.expect(200);
    say(&ada, desk.id_of("ben")).await.expect(201);
    let kept = async || sue.get("/api/v1/local/outbox").await.expect(200);
    let kept = eventually(LIMIT, kept, |kept| *kept.at("/data/push") != json!([])).await;
    assert_eq!(*kept.at("/data/push/0/title"), "New message from Ada");
    assert!(!kept.to_string().contains(WORDS), "a super admin reads a chat of others: {kept}");
    let told = async || sue.get("/api/v1/deliveries?channel=push&state=sent").await.expect(200);
    let told = eventually(LIMIT, told, |told| *told.at("/data") != json!([])).await;
    assert_eq!(*told.at("/data/0/kind"), "chat_message_posted");
    assert_eq!((told.at("/data/0/target"), told.at("/data/0/queryId")), (&json!("staff-device"), &Value::Null));
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_with_a_reason() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, _) = desk.donor("d-1").await;
    let ben = desk.id_of("ben");
    donor.post("/api/v1/chat/messages", &json!({ "content": WORDS, "recipientId": ben })).await.expect(403);
    say(&donor, ben).await.expect(403);
    say(&desk.anonymous(), ben).await.expect(401);
    let to =
        |to: Value, message_type: &str| json!({ "content": WORDS, "recipientId": to, "messageType": message_type });
    for (body, status, code) in [
        (json!({ "content": WORDS }), 422, "recipient_required"),
        (to(json!(desk.id_of("ada")), "CHAT"), 422, "own_recipient"),
        (to(json!(999_999), "CHAT"), 404, "not_found"),
        (to(json!(ben), "QUERY"), 422, "query_required"),
        (to(json!(ben), "SYSTEM"), 422, "query_required"),
        (to(json!(ben), "CALL_STARTED"), 422, "query_required"),
        (to(json!(ben), "FAX"), 400, "validation_failed"),
        (json!({ "content": " ", "recipientId": ben }), 400, "validation_failed"),
        (json!({ "content": "x".repeat(10_001), "recipientId": ben }), 400, "validation_failed"),
    ] {
        for path in ["/api/v1/messages", "/api/v1/chat/messages"] {
            let refused = ada.post(path, &body).await.expect(status);
            assert_eq!(*refused.at("/code"), code, "{body}");
        }
    }
    let sue = desk.staff("sue").await;
    let path = format!("/api/v1/users/{ben}");
    let gone = sue.request(Method::PUT, &path).json(&json!({ "isActive": false }));
    sue.send(gone).await.expect(200);
    assert_eq!(*say(&ada, ben).await.expect(422).at("/code"), "user_inactive");
    assert!(!ada.get("/api/v1/messages").await.expect(200).to_string().contains(WORDS), "nothing was said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_first_words_at_once_begin_one_chat_and_all_are_heard() {
    let desk = desk().await;
    let people = [(desk.staff("ada").await, desk.id_of("ben")), (desk.staff("ben").await, desk.id_of("ada"))];
    let said = join_all((0..50).map(|turn| say(&people[turn % 2].0, people[turn % 2].1))).await;
    let said: BTreeSet<_> = said.into_iter().map(|said| said.expect(201).at("/data/id").as_i64().unwrap()).collect();
    let read = people[0].0.get(&format!("{}?limit=100", between(&desk))).await.expect(200);
    let heard: BTreeSet<_> =
        read.at("/data").as_array().unwrap().iter().map(|said| said["id"].as_i64().unwrap()).collect();
    assert_eq!((said.len(), heard), (50, said));
    let streams = "select count(distinct aggregate_id), count(*) from events where aggregate_type = 'StaffChat'";
    let streams: (i64, i64) = sqlx::query_as(streams).fetch_one(desk.pool()).await.unwrap();
    assert_eq!(streams, (1, 50));
}

#[tokio::test]
async fn the_same_key_says_it_once() {
    let desk = desk().await;
    let (ada, ben) = (desk.staff("ada").await, desk.id_of("ben"));
    let post = |content: &str, prefer: &str| {
        let request = ada.request(Method::POST, "/api/v1/messages").header("Idempotency-Key", "say-1");
        ada.send(request.header("Prefer", prefer).json(&json!({ "content": content, "recipientId": ben })))
    };
    let later = post(WORDS, "respond-async").await.expect(202);
    let answers = join_all((0..20).map(|_| post(WORDS, "wait=5"))).await;
    for answer in answers {
        let answer = answer.expect(201);
        assert_eq!(answer.header("idempotent-replayed"), "true");
        assert_eq!((answer.at("/data/id"), answer.at("/data/content")), (later.at("/data/id"), &json!(WORDS)));
    }
    assert_eq!(*post("Dinner?", "wait=5").await.expect(422).at("/code"), "idempotency_key_reused");
    assert_eq!(ada.get(&between(&desk)).await.expect(200).at("/data").as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn counters_and_lists_of_queries_know_nothing_of_it() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (_, query) = desk.donor("d-1").await;
    let path = format!("/api/v1/donor-queries/{query}");
    let before = ada.get(&path).await.expect(200).body;
    let list = ada.get("/api/v1/donor-queries").await.expect(200).body;
    let board = "select jsonb_agg(to_jsonb(b) order by counter, holder) from read.board b";
    let counters: Value = sqlx::query_scalar(board).fetch_one(desk.pool()).await.unwrap();
    say(&ada, desk.id_of("ben")).await.expect(201);
    assert_eq!(ada.get(&path).await.expect(200).body, before);
    assert_eq!(ada.get("/api/v1/donor-queries").await.expect(200).body, list);
    assert_eq!(sqlx::query_scalar::<_, Value>(board).fetch_one(desk.pool()).await.unwrap(), counters);
}
