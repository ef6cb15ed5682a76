//! Every route against every character: the table of routes is what the service does.

use reqwest::{Method, StatusCode};
use serde_json::json;
use utoipa::openapi::OpenApi;

use crate::support::desk::{PASSWORD, desk, query_of};

#[tokio::test]
async fn every_route_admits_whom_the_description_says() {
    let desk = desk().await;
    // The feed has doors, and tests, of its own.
    let document = serde_json::to_value(proof_concierge::http::openapi(OpenApi::default())).unwrap();
    let (donor, _) = desk.donor("d-1").await;
    let (nobody, staff) = (desk.anonymous(), desk.staff("ada").await);
    // The feed's routes check their tokens themselves; their tests are beside them.
    let paths = document["paths"].as_object().unwrap().iter();
    for (path, item) in paths.filter(|(path, _)| !path.starts_with("/api/v1/events") && *path != "/api/v1/ws") {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let schemes: Vec<_> = operation["security"].as_array().into_iter().flatten().collect();
            let admits = |scheme: &str| schemes.iter().any(|needed| needed.get(scheme).is_some());
            let is_for_super_admins = method == Method::DELETE && !path.starts_with("/api/v1/communication/");
            let is_open = schemes.is_empty() || schemes.iter().any(|needed| **needed == json!({}));
            let called = path.replace("{donorId}", "d-1").replace("{email}", "x");
            let called = called
                .replace("{status}", "RESOLVED")
                .replace("{id}", "999999")
                .replace("{one}", "1")
                .replace("{other}", "2");
            for (name, client, expected) in [
                ("anonymous", &nobody, is_open),
                ("donor", &donor, is_open || admits("donor")),
                ("staff", &staff, (is_open || admits("staff")) && !is_for_super_admins),
            ] {
                let answer = client.send(client.request(method.clone(), &called)).await;
                let is_admitted = !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                    || called.ends_with("/auth/login");
                assert_eq!(is_admitted, expected, "{name}: {answer}");
                let denied = if name == "anonymous" { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
                assert!(is_admitted || answer.status == denied, "{name}: {answer}");
            }
        }
    }
}

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

#[tokio::test]
async fn a_deactivated_account_and_a_new_role_count_at_once() {
    let desk = desk().await;
    let (ada, sue) = (desk.staff("ada").await, desk.staff("sue").await);
    let id = |name: &str| aggregates::ids::UserId::new(desk.id_of(name));
    desk.accounts.set_active(id("ada"), false).await.unwrap();
    ada.get("/api/v1/users/me").await.expect(401);
    desk.accounts.set_role(id("sue"), aggregates::people::Role::Admin).await.unwrap();
    sue.send(sue.request(Method::DELETE, "/api/v1/donor-queries/1")).await.expect(403);
    assert_eq!(*sue.get("/api/v1/users/me").await.expect(200).at("/role"), "ADMIN");
}
