//! Everybody may change their own password, and nobody learns one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Client};
use crate::support::desk::{PASSWORD, desk, desk_with};

const NEW: &str = "another password for tests";

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    let body = json!({ "currentPassword": current, "newPassword": new });
    client.send(client.request(Method::PUT, "/api/v1/users/me/password").json(&body)).await
}

#[tokio::test]
async fn a_new_password_ends_every_session_but_the_one_it_begins() {
    let desk = desk().await;
    let (here, elsewhere) = (desk.staff("ada").await, desk.staff("ada").await);
    let renewed = change(&here, PASSWORD, NEW).await.expect(200);
    assert_eq!((renewed.at("/username"), renewed.at("/fcmToken")), (&json!("ada"), &Value::Null));
    for old in [&here, &elsewhere] {
        old.get("/api/v1/users/me").await.expect(401);
    }
    let fresh = desk.anonymous().with_token(renewed.at("/access_token").as_str().unwrap());
    fresh.get("/api/v1/users/me").await.expect(200);
    let login = |password: &str| json!({ "username": "ada", "password": password });
    desk.anonymous().post("/api/v1/auth/login", &login(PASSWORD)).await.expect(401);
    desk.anonymous().post("/api/v1/auth/login", &login(NEW)).await.expect(201);
}

#[tokio::test]
async fn a_password_changes_only_for_who_knows_it_and_only_for_another_one() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let wrong = change(&ada, "not my password", NEW).await.expect(401);
    assert_eq!((wrong.at("/error"), wrong.at("/statusCode")), (&json!("Unauthorized"), &json!(401)));
    assert_eq!(*wrong.at("/message"), "Current password is incorrect");
    let same = change(&ada, PASSWORD, PASSWORD).await.expect(400);
    assert_eq!((same.at("/error"), same.at("/code")), (&json!("Bad Request"), &json!("same_password")));
    let short = change(&ada, PASSWORD, "7 chars").await.expect(400);
    assert_eq!(*short.at("/errors/0/property"), "newPassword");
    assert!(!short.body.to_string().contains("7 chars"), "{short}");
    ada.send(ada.request(Method::PUT, "/api/v1/users/me/password")).await.expect(400);
    ada.get("/api/v1/users/me").await.expect(200);
}

#[tokio::test]
async fn whoever_found_an_open_session_cannot_try_passwords() {
    let desk = desk_with(|config| config.limits.login_per_minute = 3).await;
    let ada = desk.staff("ada").await;
    let mut refused = 0;
    for _ in 0..4 {
        refused = change(&ada, "not my password", NEW).await.status.as_u16();
    }
    assert_eq!(refused, 429);
}

#[tokio::test]
async fn credentials_in_the_address_are_not_read() {
    let desk = desk().await;
    let path = format!("/api/v1/auth/login?username=ada&password={}", PASSWORD.replace(' ', "%20"));
    desk.anonymous().post(&path, &json!({})).await.expect(401);
}
