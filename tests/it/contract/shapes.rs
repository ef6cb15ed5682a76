//! Envelopes, errors, spelling of paths, bodies.

use reqwest::Method;
use serde_json::json;

use crate::support::desk::{desk, query_of};

#[tokio::test]
async fn every_error_has_a_status_a_message_and_a_code() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let unknown = nobody.get("/api/v1/nowhere").await.expect(404);
    assert_eq!(*unknown.at("/message"), "Cannot GET /api/v1/nowhere");
    assert_eq!((unknown.at("/statusCode"), unknown.at("/error")), (&json!(404), &json!("Not Found")));
    assert_eq!(unknown.at("/requestId").as_str(), Some(unknown.header("x-request-id")));
    let unauthorized = nobody.get("/api/v1/users/me").await.expect(401);
    assert_eq!((unauthorized.at("/message"), unauthorized.at("/statusCode")), (&json!("Unauthorized"), &json!(401)));
    nobody.send(nobody.request(Method::PUT, "/api/v1/auth/login")).await.expect(405);
    let text = nobody.request(Method::POST, "/api/v1/auth/login").header("content-type", "text/plain").body("hello");
    nobody.send(text).await.expect(415);
    let broken =
        nobody.request(Method::POST, "/api/v1/auth/login").header("content-type", "application/json").body("{");
    nobody.send(broken).await.expect(400);
    let long = json!({ "username": "x".repeat(200_000), "password": "x" });
    assert_eq!(*nobody.post("/api/v1/auth/login", &long).await.expect(413).at("/code"), "payload_too_large");
}

#[tokio::test]
async fn the_feed_refuses_in_the_same_shape_however_its_path_is_spelled() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    for (path, status) in [
        ("/api/v1/events?limit=abc", 400),
        ("/api/v1/events?after=1&after=2", 400),
        ("/api/v1/Events/?limit=0", 400),
        ("/API/v1/WS/", 400),
        ("/api/v1/events/Stream/?ticket=spent", 401),
    ] {
        let refused = ada.get(path).await.expect(status);
        for key in ["statusCode", "status", "error", "message", "code", "requestId"] {
            assert!(refused.body.get(key).is_some(), "{key} is missing: {refused}");
        }
        assert_eq!(refused.at("/requestId").as_str(), Some(refused.header("x-request-id")));
    }
    ada.get("/api/v1/EVENTS/").await.expect(200);
}

#[tokio::test]
async fn a_validation_error_lists_every_broken_rule_and_no_value() {
    let desk = desk().await;
    let mut body = query_of("d-1");
    body["donor"] = json!("");
    body["stage"] = json!("s3cret".repeat(100));
    let refused = desk.anonymous().post("/api/v1/donor-queries", &body).await.expect(400);
    assert_eq!(*refused.at("/message"), "Validation failed");
    let properties: Vec<_> = refused.at("/errors").as_array().unwrap().iter().map(|e| e["property"].clone()).collect();
    assert_eq!(properties, [json!("donor"), json!("stage")]);
    assert!(!refused.to_string().contains("s3cret"));
}

#[tokio::test]
async fn a_query_opens_with_a_call_type_of_the_contract_whatever_version_was_seen() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let open = |donor_id: &str, call_type: &str| {
        let mut body = query_of(donor_id);
        body["callType"] = json!(call_type);
        let request = nobody.request(Method::POST, "/api/v1/donor-queries").header("if-match", "\"17\"");
        nobody.send(request.json(&body))
    };
    for (donor, good) in [("d-1", "video"), ("d-2", "AUDIO"), ("d-3", "Screen")] {
        open(donor, good).await.expect(201);
    }
    assert_eq!(*open("d-4", "pigeon").await.expect(400).at("/errors/0/property"), "callType");
}

#[tokio::test]
async fn log_in_takes_json_and_forms_and_never_a_query_string() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let form = nobody.request(Method::POST, "/API/V1/Auth/Login/");
    let form = form.form(&[("username", "ada"), ("password", "a password that only tests use")]);
    let answer = nobody.send(form).await.expect(201);
    assert_eq!(*answer.at("/user/username"), "ada");
    assert!(answer.body.pointer("/user/password").is_none());
    let wrong = json!({ "username": "ada", "password": "wrong" });
    let unknown = json!({ "username": "nobody", "password": "wrong" });
    let (wrong, unknown) =
        (nobody.post("/api/v1/auth/login", &wrong).await, nobody.post("/api/v1/auth/login", &unknown).await);
    assert_eq!(
        (wrong.expect(401).at("/message"), unknown.expect(401).at("/message")),
        (&json!("Unauthorized"), &json!("Unauthorized"))
    );
    let query = "/api/v1/auth/login?username=ada&password=a+password+that+only+tests+use";
    nobody.send(nobody.request(Method::POST, query)).await.expect(401);
}

#[tokio::test]
async fn the_desk_says_how_it_is_without_telling_strangers_why() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    assert_eq!(*nobody.get("/health").await.expect(200).at("/status"), "ok");
    assert_eq!(*nobody.get("/health/ping").await.expect(200).at("/status"), "ok");
    nobody.get("/health/ready").await.expect(200);
    nobody.get("/health/live").await.expect(200);
    nobody.get("/health/advanced/detailed").await.expect(401);
    let ada = desk.staff("ada").await;
    let detailed = ada.get("/health/advanced/detailed").await.expect(200);
    assert!(detailed.at("/memory/rss").as_u64() > Some(0), "{detailed}");
    assert!(detailed.at("/os/totalMemory").as_u64() > Some(0), "{detailed}");
    assert!(detailed.at("/cpu/user").as_f64() > Some(0.0), "{detailed}");
    assert_eq!(*detailed.at("/environment"), "production");
    let health = ada.get("/health").await.expect(200);
    assert!(health.at("/details/memory_rss/used").as_u64() > Some(0));
    assert!(health.at("/details/storage/details/totalSpace").as_u64() > Some(0));
    let told = nobody.get("/health?min_position=999999").await.expect(200);
    assert_eq!(*told.at("/details/email_service/message"), "not configured");
    assert!(told.at("/details/memory_rss").get("used").is_none(), "{told}");
    assert_eq!(*ada.get("/health/advanced").await.expect(200).at("/details/donor_queries/queryCount"), json!(0));
    assert!(nobody.get("/metrics").await.expect(200).to_string().contains("http_requests_total"));
    let page = nobody.send(nobody.request(Method::GET, "/health").header("accept", "text/html")).await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let desk = desk().await;
    let nobody = desk.anonymous();
    let ask = |origin: &str| {
        let request = nobody.request(Method::OPTIONS, "/api/v1/users/me").header("origin", origin);
        let request = request.header("access-control-request-method", "PATCH");
        nobody.send(request.header("access-control-request-headers", "authorization,if-match,x-app-version"))
    };
    let listed = ask("http://localhost:3000").await.expect(204);
    assert_eq!(listed.header("access-control-allow-origin"), "http://localhost:3000");
    assert_eq!(listed.header("access-control-allow-headers"), "authorization,if-match,x-app-version");
    assert_eq!(listed.header("access-control-allow-credentials"), "true");
    assert!(ask("http://evil.example").await.headers.get("access-control-allow-origin").is_none());
}
