//! The root and the health reports, for machines and for people.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor;

use super::shape::insist;
use super::wire::Wire;
use crate::support::desk::{desk, query_of};
use crate::support::eventually::eventually;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_reports_have_the_keys_that_monitors_look_at() {
    let desk = desk().await;
    let (nobody, ada) = (Wire(desk.anonymous()), Wire(desk.staff("ada").await));
    let part = json!({ "status": "str" });
    let parts =
        json!({ "database": part, "storage": part, "memory_heap": part, "memory_rss": part, "email_service": part });
    let report = json!({ "status": "str", "info": "object", "error": "object", "details": parts });
    for who in [&nobody, &ada] {
        insist(&who.get("/health", 200).await.body, &report);
        let advanced = who.get("/health/advanced", 200).await;
        insist(&advanced.body, &report);
        insist(advanced.at("/details"), &json!({ "firebase": part, "frontend": part, "donor_queries": part }));
        let ping = who.get("/health/ping", 200).await;
        let links = json!({ "self": "str", "health": "str", "advanced": "str", "detailed": "str" });
        insist(&ping.body, &json!({ "status": "str", "timestamp": "time", "message": "str", "links": links }));
        assert_eq!(*ping.at("/status"), "ok");
    }
    let detailed = ada.get("/health/advanced/detailed", 200).await;
    insist(
        &detailed.body,
        &json!({
            "timestamp": "time", "uptime": "int", "environment": "str", "versions": "object",
            "memory": { "rss": "int" }, "cpu": { "user": "number", "system": "number" },
            "os": { "platform": "str", "release": "str", "type": "str", "totalMemory": "int", "freeMemory": "int", "loadAvg": ["number"], "cpus": [{ "model": "str" }] },
        }),
    );
    nobody.get("/health/advanced/detailed", 401).await;
}

#[tokio::test]
async fn a_fact_that_cannot_be_applied_takes_no_node_off_the_air() {
    let desk = desk().await;
    let (_, query) = desk.donor("d-1").await;
    let (nobody, ada) = (desk.anonymous(), desk.staff("ada").await);
    // As if a bug had lost the row: the read model cannot apply what follows.
    desk.pool().execute("delete from read.queries").await.unwrap();
    ada.patch(&format!("/api/v1/donor-queries/{query}/accept"), &json!({})).await.expect(202);
    let health = async || nobody.get("/health").await.expect(200);
    let report = eventually(LIMIT, health, |report| *report.at("/status") == "error").await;
    assert_eq!(report.at("/error"), &json!({ "projector": { "status": "down" } }));
    let ready = nobody.get("/health/ready").await.expect(200);
    assert_eq!((ready.at("/status"), ready.at("/error")), (&json!("warning"), &json!({})));
    assert_eq!(ready.at("/info/projector/status"), "warning");
    let open = json!({ "content": "Still there?", "messageType": "QUERY" });
    ada.post(&format!("/api/v1/messages/admin/{query}"), &open).await.expect(202);
    nobody.post("/api/v1/donor-queries", &query_of("d-2")).await.expect(201);
}

#[tokio::test]
async fn people_get_pages_where_machines_get_json() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    for path in ["/", "/health", "/health/advanced", "/Health/"] {
        let request = nobody.request(Method::GET, path).header("accept", "text/html,*/*;q=0.8");
        let page = nobody.send(request).await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"), "{page}");
    }
    for path in ["/", "/health", "/health/ping"] {
        let head = nobody.send(nobody.request(Method::HEAD, path)).await.expect(200);
        assert_eq!(head.body, Value::String(String::new()));
    }
}
