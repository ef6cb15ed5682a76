//! Every route of the table against every kind of caller, over real HTTP.

use std::fmt::Write;

use futures_util::{SinkExt, StreamExt};
use proof_concierge::http::routes::{Access, ROUTES};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use utoipa::openapi::OpenApi;

use crate::support::app::Client;
use crate::support::desk::{Desk, desk};

/// A path of the table with values in it that name nothing.
fn named(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{donorId}" | "{name}" | "{roomName}" | "{room}" | "{filename}" => "d-1",
        "{email}" => "somebody@example.org",
        "{status}" => "RESOLVED",
        "{type}" => "all",
        value if value.starts_with('{') => "999999",
        word => word,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Whom a door lets in: nobody, a donor, an admin, a super admin.
fn lets_in(access: Access) -> [bool; 4] {
    match access {
        Access::Public | Access::Anybody => [true; 4],
        Access::Donor => [false, true, false, false],
        Access::DonorOrStaff => [false, true, true, true],
        Access::Staff => [false, false, true, true],
        Access::SuperAdmin => [false, false, false, true],
    }
}

/// What the door said, if it did not let the caller in. A log-in without a password is answered as if by the door.
async fn turned_away(client: &Client, method: &Method, path: &str) -> Option<StatusCode> {
    let answer = client.send(client.request(method.clone(), &named(path))).await;
    let said = answer.body.get("code").and_then(Value::as_str).unwrap_or_default();
    let by_the_door = matches!(said, "unauthorized" | "forbidden") && !path.ends_with("/auth/login");
    by_the_door.then_some(answer.status)
}

async fn change(desk: &Desk, boss: &Client, username: &str, changes: Value) {
    let request = boss.request(Method::PUT, &format!("/api/v1/users/{}", desk.id_of(username))).json(&changes);
    boss.send(request).await.expect(200);
}

#[tokio::test]
async fn every_route_lets_in_whom_its_line_says() {
    let desk = desk().await;
    let (donor, _) = desk.donor("d-1").await;
    let boss = desk.staff("sue").await;
    let (deactivated, demoted) = (desk.staff("ben").await, {
        change(&desk, &boss, "ada", json!({ "role": "SUPER_ADMIN" })).await;
        desk.staff("ada").await
    });
    change(&desk, &boss, "ben", json!({ "isActive": false })).await;
    change(&desk, &boss, "ada", json!({ "role": "ADMIN" })).await;
    let admin = desk.staff("ada").await;
    let mut wrong = String::new();
    for route in ROUTES {
        let [nobody_in, donor_in, admin_in, super_in] = lets_in(route.access);
        let is_open = nobody_in;
        for (name, client, is_in, otherwise) in [
            ("nobody", &desk.anonymous(), nobody_in, StatusCode::UNAUTHORIZED),
            ("a donor", &donor, donor_in, StatusCode::FORBIDDEN),
            ("an admin", &admin, admin_in, StatusCode::FORBIDDEN),
            ("a super admin", &boss, super_in, StatusCode::FORBIDDEN),
            ("a deactivated admin", &deactivated, is_open, StatusCode::UNAUTHORIZED),
            ("a demoted super admin", &demoted, is_open, StatusCode::UNAUTHORIZED),
        ] {
            let expected = (!is_in).then_some(otherwise);
            let found = turned_away(client, &route.method, route.path).await;
            if found != expected {
                writeln!(wrong, "{} {}: {name} met {found:?}, not {expected:?}", route.method, route.path).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_description_says_who_may_call_what() {
    let document = serde_json::to_value(proof_concierge::http::openapi(OpenApi::default())).unwrap();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let schemes: Vec<_> = operation["security"].as_array().into_iter().flatten().collect();
        let has = |scheme: &str| schemes.iter().any(|needed| needed.get(scheme).is_some());
        let is_open = schemes.is_empty() || schemes.iter().any(|needed| **needed == json!({}));
        let described = [is_open, is_open || has("donor"), is_open || has("staff")];
        let [nobody, donor, admin, super_admin] = lets_in(route.access);
        assert_eq!(described, [nobody, donor, admin || super_admin], "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn whoever_is_demoted_or_deactivated_loses_tokens_and_sockets_at_once() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    for (username, changes) in [("ada", json!({ "role": "SUPER_ADMIN" })), ("ben", json!({ "isActive": false }))] {
        let staff = desk.staff(username).await;
        let (mut socket, _) = tokio_tungstenite::connect_async(desk.socket_url()).await.unwrap();
        let hello = json!({ "type": "hello", "token": staff.token() });
        socket.send(Message::text(hello.to_string())).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(answer.contains("\"hello\""), "{answer}");
        change(&desk, &boss, username, changes).await;
        staff.get("/api/v1/users/me").await.expect(401);
        let code = loop {
            if let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() {
                break u16::from(frame.code);
            }
        };
        assert_eq!(code, 4401, "{username}");
    }
    change(&desk, &boss, "ben", json!({ "isActive": true })).await;
    desk.staff("ben").await.get("/api/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn a_name_of_its_own_changes_nothing_about_a_session() {
    let desk = desk().await;
    let (boss, ada) = (desk.staff("sue").await, desk.staff("ada").await);
    change(&desk, &boss, "ada", json!({ "name": "Ada L.", "role": "ADMIN", "isActive": true })).await;
    assert_eq!(*ada.get("/api/v1/users/me").await.expect(200).at("/name"), "Ada L.");
}
