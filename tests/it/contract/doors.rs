//! What a token that is not good means at each kind of door. The whole table of doors is walked in `people::doors`.

use serde_json::json;

use crate::support::desk::{PASSWORD, desk, query_of};

#[tokio::test]
async fn a_bad_token_opens_nothing_and_bars_nobody_from_starting_over() {
    let desk = desk().await;
    let stale = desk.anonymous().with_token("not.a.token");
    stale.get("/api/v1/users").await.expect(401);
    stale.get("/api/v1/donor-queries/user").await.expect(401);
    stale.get("/health/ping").await.expect(200);
    stale.get("/health").await.expect(200);
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    stale.post("/api/v1/auth/login", &credentials).await.expect(201);
    stale.post("/api/v1/donor-queries", &query_of("d-1")).await.expect(201);
}
