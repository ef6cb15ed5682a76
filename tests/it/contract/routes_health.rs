//! The root and the health reports, for machines and for people.

use reqwest::Method;
use serde_json::{Value, json};

use super::shape::insist;
use super::wire::Wire;
use crate::support::desk::desk;

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
