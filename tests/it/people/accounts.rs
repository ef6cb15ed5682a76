//! Super admins make, change and switch off accounts.

use std::collections::BTreeSet;

use aggregates::people::Role;
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::app::accounts::{Command, RoleName, carry_out};
use proof_concierge::database::{self, Purpose};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, Client};
use crate::support::database::database;
use crate::support::desk::{PASSWORD, desk};
use crate::support::node;

async fn put(client: &Client, path: &str, body: Value) -> Answer {
    client.send(client.request(Method::PUT, path).json(&body)).await
}

async fn delete(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::DELETE, path)).await
}

/// What the dashboard sends.
fn newcomer() -> Value {
    json!({ "username": "cleo", "password": PASSWORD, "name": "Cleo", "email": "", "role": "ADMIN" })
}

#[tokio::test]
async fn a_super_admin_makes_an_account_that_can_log_in() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let made = boss.post("/api/v1/users", &newcomer()).await.expect(201);
    let keys: BTreeSet<_> = made.body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["id", "username", "name", "email", "role", "avatar", "isActive", "createdAt", "updatedAt", "fcmToken"];
    assert_eq!(keys, BTreeSet::from(expected), "{made}");
    assert_eq!(
        (made.at("/email"), made.at("/role"), made.at("/isActive")),
        (&Value::Null, &json!("ADMIN"), &json!(true))
    );
    let cleo = desk.staff("cleo").await;
    cleo.post("/api/v1/users", &newcomer()).await.expect(403);
    let again = boss.post("/api/v1/users", &newcomer()).await.expect(409);
    assert_eq!(
        (again.at("/code"), again.at("/message")),
        (&json!("username_taken"), &json!("username is already taken"))
    );
}

#[tokio::test]
async fn only_what_an_account_has_can_be_written() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let mut body = newcomer();
    for (key, value) in
        [("id", json!(1)), ("version", json!(99)), ("fcmToken", json!("x")), ("createdAt", json!("1970"))]
    {
        body[key] = value;
    }
    body.as_object_mut().unwrap().remove("role");
    let made = boss.post("/api/v1/users", &body).await.expect(201);
    assert_ne!(*made.at("/id"), json!(1));
    assert_eq!(*made.at("/role"), "ADMIN");
    let id = made.at("/id").as_i64().unwrap();
    put(&boss, &format!("/api/v1/users/{id}"), json!({ "id": 1, "createdAt": "1970", "version": 0 })).await.expect(200);
    desk.staff("cleo").await;
}

#[tokio::test]
async fn a_bad_value_is_named_and_not_repeated() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    for (key, value) in [
        ("username", json!("")),
        ("username", json!("cleo\nroot")),
        ("username", json!("c\u{7}leo")),
        ("username", json!("x".repeat(65))),
        ("password", json!("7 chars")),
        ("password", json!("")),
        ("name", json!("")),
        ("email", json!("not an address")),
        ("role", json!("OWNER")),
    ] {
        let mut body = newcomer();
        body[key] = value.clone();
        let refused = boss.post("/api/v1/users", &body).await.expect(400);
        assert_eq!(*refused.at("/errors/0/property"), key, "{refused}");
        assert!(value == "" || !refused.body.to_string().contains(value.as_str().unwrap()), "{refused}");
    }
    boss.post("/api/v1/users", &json!({})).await.expect(400);
    put(&boss, "/api/v1/users/999999", json!({ "name": "Nobody" })).await.expect(404);
    put(&boss, "/api/v1/users/abc", json!({ "name": "Nobody" })).await.expect(400);
    delete(&boss, "/api/v1/users/999999").await.expect(404);
    put(&boss, "/api/v1/users/1", json!({ "isActive": "perhaps" })).await.expect(400);
}

#[tokio::test]
async fn an_account_changes_in_parts() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let path = format!("/api/v1/users/{}", desk.id_of("ada"));
    let changed = put(&boss, &path, json!({ "email": "ada@example.org", "name": "Ada L." })).await.expect(200);
    assert_eq!((changed.at("/email"), changed.at("/name")), (&json!("ada@example.org"), &json!("Ada L.")));
    let changed = put(&boss, &path, json!({ "email": "", "password": "" })).await.expect(200);
    assert_eq!((changed.at("/email"), changed.at("/username")), (&Value::Null, &json!("ada")));
    put(&boss, &path, json!({ "username": "ben" })).await.expect(409);
    let ada = desk.staff("ada").await;
    put(&boss, &path, json!({ "password": "a password of another kind" })).await.expect(200);
    ada.get("/api/v1/users/me").await.expect(401);
    let credentials = json!({ "username": "ada", "password": "a password of another kind" });
    desk.anonymous().post("/api/v1/auth/login", &credentials).await.expect(201);
}

#[tokio::test]
async fn a_deleted_account_is_locked_out_and_still_known() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let id = desk.id_of("ben");
    for _ in 0..2 {
        let deleted = delete(&boss, &format!("/api/v1/users/{id}")).await.expect(200);
        assert_eq!(deleted.body, json!({ "id": id }));
    }
    let credentials = json!({ "username": "ben", "password": PASSWORD });
    desk.anonymous().post("/api/v1/auth/login", &credentials).await.expect(401);
    assert_eq!(*boss.get(&format!("/api/v1/users/{id}")).await.expect(200).at("/isActive"), false);
}

#[tokio::test]
async fn the_last_super_admin_stays() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let own = format!("/api/v1/users/{}", desk.id_of("sue"));
    for refused in [
        put(&boss, &own, json!({ "role": "ADMIN" })).await,
        put(&boss, &own, json!({ "isActive": false })).await,
        delete(&boss, &own).await,
    ] {
        assert_eq!(*refused.expect(409).at("/code"), "last_super_admin");
    }
    put(&boss, &own, json!({ "name": "Susan", "role": "SUPER_ADMIN" })).await.expect(200);
}

#[tokio::test]
async fn super_admins_who_demote_each_other_at_once_leave_one() {
    let desk = desk().await;
    let boss = desk.staff("sue").await;
    let ada = format!("/api/v1/users/{}", desk.id_of("ada"));
    let sue = format!("/api/v1/users/{}", desk.id_of("sue"));
    for _ in 0..5 {
        put(&boss, &ada, json!({ "role": "SUPER_ADMIN", "isActive": true })).await.expect(200);
        let other = desk.staff("ada").await;
        let (one, two) = tokio::join!(delete(&other, &ada), put(&boss, &sue, json!({ "role": "ADMIN" })));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        if two.status == 200 {
            return;
        }
    }
}

#[tokio::test]
async fn the_command_line_holds_to_the_same_terms() {
    let database = database().await;
    let config = node::config(&database);
    for (username, why) in [("", "should not be empty"), ("cleo\u{1b}[2J", "must not contain control characters")] {
        let command = Command::Create { username: username.to_owned(), name: None, email: None, role: RoleName::Admin };
        let refused = carry_out(command, &config).await.unwrap_err().to_string();
        assert_eq!(refused, format!("the user name {why}"));
    }
}

#[tokio::test]
async fn the_command_line_leaves_a_desk_somebody_to_manage_it() {
    let database = database().await;
    let config = node::config(&database);
    let pool = database::pool(&config.database_url, Purpose::Read, 1).unwrap();
    let accounts = Accounts::open(pool, &config.jwt_secret).await.unwrap();
    seed(&accounts, &[("sue", "Sue", Role::SuperAdmin, PASSWORD)]).await.unwrap();
    let refused = carry_out(Command::Deactivate { username: "sue".to_owned() }, &config).await.unwrap_err();
    assert!(refused.to_string().contains("last active super admin"), "{refused}");
}
