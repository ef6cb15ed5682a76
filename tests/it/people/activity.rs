//! Super admins see who did what, and nothing that anybody wrote.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Client};
use crate::support::desk::{PASSWORD, desk};
use crate::support::eventually::eventually;

const LIMIT: Duration = Duration::from_secs(20);
const SECRET: &str = "words that only Dora and Ada know";

async fn search(client: &Client, what: &str) -> Answer {
    client.get(&format!("/api/v1/logs/search/{what}")).await.expect(200)
}

/// Waits until a search finds so many lines.
async fn found(client: &Client, what: &str, count: usize) -> Vec<Value> {
    let lines = async || search(client, what).await.at("/logs").as_array().unwrap().clone();
    eventually(LIMIT, lines, |lines| lines.len() == count).await
}

#[tokio::test]
async fn what_staff_did_is_told_with_person_time_place_and_query() {
    let desk = desk().await;
    let (_, query) = desk.donor("somebody").await;
    let (ada, boss) = (desk.staff("ada").await, desk.staff("sue").await);
    let accept = ada.request(Method::PATCH, &format!("/api/v1/donor-queries/{query}/accept"));
    let accept = accept.header("user-agent", "Dashboard 7").header("x-request-id", "accept-1");
    ada.send(accept).await.expect(200);
    ada.post(&format!("/api/v1/messages/admin/{query}"), &json!({ "content": SECRET })).await.expect(201);

    let id = desk.id_of("ada");
    let lines = found(&boss, &format!("user-activity?userId={id}&query=queryaccepted"), 1).await;
    let line = &lines[0];
    assert_eq!((&line["userId"], &line["userName"], &line["queryId"]), (&json!(id), &json!("Ada"), &json!(query)));
    assert_eq!((&line["ip"], &line["userAgent"]), (&json!("127.0.0.1"), &json!("Dashboard 7")));
    assert_eq!((&line["type"], &line["requestId"]), (&json!("staff_action"), &json!("accept-1")));
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(line["message"], format!("QueryAccepted on query {query}"));

    let all = search(&boss, "all?limit=1000").await;
    for personal in [SECRET, "Dora", "somebody", "Where does the sample go?", PASSWORD] {
        assert!(!all.body.to_string().contains(personal), "{all}");
    }
    assert!(all.body.to_string().contains("MessagePosted"), "{all}");
}

#[tokio::test]
async fn log_ins_changes_of_accounts_and_refusals_are_remembered() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let guess = json!({ "username": "ada", "password": "a guess that is wrong" });
    desk.anonymous().post("/api/v1/auth/login?password=leaked", &guess).await.expect(401);
    let (ada, (donor, _)) = (desk.staff("ada").await, desk.donor("d-1").await);
    ada.get("/api/v1/logs").await.expect(403);
    desk.anonymous().with_token("not a token").get("/api/v1/events?after=0&ticket=leaked").await.expect(401);
    donor.get("/api/v1/donor-queries/donor/d-1").await.expect(200);
    donor.get("/api/v1/donor-queries/user/somebody@example.org").await.expect(403);
    let path = format!("/api/v1/users/{}", desk.id_of("ben"));
    boss.send(boss.request(Method::PUT, &path).json(&json!({ "name": "Benjamin" }))).await.expect(200);

    let failed = found(&boss, "errors?query=log_in", 1).await;
    let expected = (json!(401), json!(desk.id_of("ada")), json!("warn"));
    assert_eq!((failed[0]["statusCode"].clone(), failed[0]["targetId"].clone(), failed[0]["level"].clone()), expected);
    assert_eq!(failed[0].get("userId"), None, "nobody logged in");
    let changed = found(&boss, "user-activity?query=account", 1).await;
    assert_eq!((&changed[0]["userName"], &changed[0]["targetId"]), (&json!("Sue"), &json!(desk.id_of("ben"))));
    let refused = found(&boss, "errors?query=refused", 3).await;
    assert_eq!(refused[0]["path"], "/api/v1/donor-queries/user/{email}");
    assert_eq!(refused[1]["path"], "/api/v1/events");
    assert_eq!((&refused[2]["userName"], &refused[2]["path"]), (&json!("Ada"), &json!("/api/v1/logs")));
    let entered = found(&boss, &format!("user-activity?query=log_in&userId={}", desk.id_of("ada")), 1).await;
    assert_eq!(entered[0]["statusCode"], 201);
    let all = search(&boss, "all").await;
    for personal in ["guess", "leaked", "somebody@example.org", "Benjamin"] {
        assert!(!all.body["logs"].to_string().contains(personal), "{all}");
    }
}

#[tokio::test]
async fn whatever_a_line_shows_finds_it() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let (ada, boss) = (desk.staff("ada").await, desk.staff("sue").await);
    ada.patch(&format!("/api/v1/donor-queries/{query}/accept"), &json!({})).await.expect(200);
    ada.get("/api/v1/logs").await.expect(403);
    found(&boss, "errors?query=ADA", 1).await;
    let lines = search(&boss, &format!("all?userId={}", desk.id_of("ada"))).await.at("/logs").clone();
    let lines = lines.as_array().unwrap();
    for kind in ["staff_action", "log_in", "refused"] {
        assert!(lines.iter().any(|line| line["type"] == kind), "{lines:#?}");
    }
    for line in lines {
        for (_, shown) in line.as_object().unwrap().iter().filter(|(key, _)| !is_time(key)) {
            let text = shown.as_str().map_or_else(|| shown.to_string(), str::to_owned);
            let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let all = search(&boss, &format!("all?limit=1000&query={text}")).await;
            assert!(all.at("/logs").as_array().unwrap().contains(line), "{text} does not find {line}");
        }
    }
}

/// Whether a key of a line tells a time, which is asked for otherwise.
fn is_time(key: &str) -> bool {
    ["timestamp", "durationMs"].contains(&key)
}

#[tokio::test]
async fn a_day_reads_like_a_file() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    for _ in 0..5 {
        desk.anonymous().get("/api/v1/users").await.expect(401);
    }
    found(&boss, "errors", 5).await;
    let files = boss.get("/api/v1/logs").await.expect(200);
    let file = |journal: &str| {
        let mut files = files.at("/logFiles").as_array().unwrap().iter();
        files.find(|file| file["name"].as_str().unwrap().starts_with(journal)).unwrap().clone()
    };
    let errors = file("errors");
    assert!(errors["size"].as_i64().unwrap() > 0 && errors["sizeFormatted"].is_string(), "{errors}");
    assert!(errors["created"].as_str() <= errors["modified"].as_str(), "{errors}");
    let name = errors["name"].as_str().unwrap();
    let page = boss.get(&format!("/api/v1/logs/{name}?lines=2&page=2")).await.expect(200);
    let numbers = ["/page", "/linesPerPage", "/totalLines", "/totalPages"].map(|key| page.at(key).as_i64().unwrap());
    assert_eq!((numbers, page.at("/content").as_array().unwrap().len()), ([2, 2, 5, 3], 2));
    let line: Value = serde_json::from_str(page.at("/content/0").as_str().unwrap()).unwrap();
    assert_eq!((&line["code"], &line["path"]), (&json!("unauthorized"), &json!("/api/v1/users")));
    let searched = boss.get(&format!("/api/v1/logs/{name}?search=UNAUTHORIZED&lines=3")).await.expect(200);
    assert_eq!((searched.at("/searchTerm"), searched.at("/lines")), (&json!("UNAUTHORIZED"), &json!(3)));
    let stats = boss.get("/api/v1/logs/stats/overview").await.expect(200);
    assert_eq!((stats.at("/stats/errorCount"), stats.at("/stats/todayErrors")), (&json!(5), &json!(5)));
    assert!(stats.at("/stats/totalLogs").as_i64() > stats.at("/stats/userActivities").as_i64(), "{stats}");
    assert!(stats.at("/stats/spaceUsage").as_str().unwrap().contains('B'), "{stats}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_nothing_is_executed() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    for missing in [
        "..%2Ferrors-2025-04-04.log",
        "..%2F..%2Fetc%2Fpasswd",
        "errors-2025-04-04.log%3Bid",
        "$(id).log",
        "errors-2025-99-04.log",
        "logs-backup",
    ] {
        boss.get(&format!("/api/v1/logs/{missing}")).await.expect(404);
    }
    for wrong in [
        "errors-2025-04-04.log?lines=0",
        "errors-2025-04-04.log?lines=1001",
        "errors-2025-04-04.log?lines=10%3Bid",
        "errors-2025-04-04.log?page=-1",
        "search/all?limit=abc",
        "search/all?limit=100000",
        "search/all?userId=ada",
        "search/all?from=yesterday",
        "search/all?to=2025-13-01",
    ] {
        boss.get(&format!("/api/v1/logs/{wrong}")).await.expect(400);
    }
    let harmless =
        search(&boss, "all?query=%27%3B%20drop%20table%20users%3B--%25_&from=2025-04-04&to=2025-04-04").await;
    assert_eq!(harmless.at("/count"), &json!(0));
    let empty = boss.get("/api/v1/logs/errors-2025-04-04.log").await.expect(200);
    assert_eq!((empty.at("/totalLines"), empty.at("/totalPages")), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn old_requests_are_forgotten() {
    let desk = desk().await;
    sqlx::query(
        "insert into request_audit (at, level, kind, request_id, method, status, took_ms)
         values (now() - interval '31 days', 'warn', 'refused', 'old', 'GET', 401, 1), (now(), 'warn', 'refused', 'new', 'GET', 401, 1)",
    )
    .execute(desk.pool())
    .await
    .unwrap();
    let (_recorder, noted) = proof_concierge::activity::recorder();
    let stop = tokio_util::sync::CancellationToken::new();
    let keeper = tokio::spawn(proof_concierge::activity::keep(desk.pool().clone(), noted, stop.clone()));
    let kept = async || {
        let ids = sqlx::query_scalar("select request_id from request_audit where request_id in ('old', 'new')");
        ids.fetch_all(desk.pool()).await.unwrap()
    };
    eventually(LIMIT, kept, |ids: &Vec<String>| *ids == ["new"]).await;
    stop.cancel();
    keeper.await.unwrap();
}
