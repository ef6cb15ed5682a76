//! Logging in, and accounts: bare answers with every key that the old clients know.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::shape::{insist, user, with};
use super::wire::Wire;
use crate::support::desk::{PASSWORD, desk};

/// A picture of a few bytes.
const PICTURE: &str = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

#[tokio::test]
async fn whoever_logs_in_gets_a_token_with_the_claims_of_both_generations() {
    let desk = desk().await;
    let nobody = Wire(desk.anonymous());
    let credentials = json!({ "username": "ada", "password": PASSWORD });
    let as_json = nobody.post("auth/login", credentials.clone(), 201).await;
    let form = desk.anonymous().request(Method::POST, "/API/V1/Auth/Login/").form(&credentials);
    let as_form = desk.anonymous().send(form).await.expect(201);
    for answer in [&as_json, &as_form] {
        insist(&answer.body, &json!({ "access_token": "str", "user": user() }));
        let payload = answer.at("/access_token").as_str().unwrap().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        insist(&claims, &json!({ "sub": "int", "userId": "int", "username": "str", "role": "role", "iat": "int" }));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_400);
        assert_eq!((&claims["sub"], &claims["userId"]), (&json!(desk.id_of("ada")), &json!(desk.id_of("ada"))));
    }
    for wrong in [
        json!({ "username": "ada", "password": "wrong" }),
        json!({ "username": "nobody", "password": "wrong" }),
        json!({ "username": "ada" }),
        json!({}),
    ] {
        assert_eq!(*nobody.post("auth/login", wrong, 401).await.at("/message"), "Unauthorized");
    }
    nobody.ask(Method::POST, "auth/login", None, 401).await;
}

#[tokio::test]
async fn every_answer_about_an_account_is_the_bare_account() {
    let desk = desk().await;
    let (sue, ada) = (Wire(desk.staff("sue").await), Wire(desk.staff("ada").await));
    let newcomer = json!({ "username": "cleo", "password": PASSWORD, "name": "Cleo", "email": "", "role": "ADMIN" });
    let made = sue.post("users", newcomer, 201).await;
    let path = format!("users/{}", made.at("/id"));
    let avatar = json!({ "avatar": PICTURE });
    for answer in [
        made,
        sue.put(&path, json!({ "name": "Cleo C.", "password": "" }), 200).await,
        ada.get(&path, 200).await,
        ada.get("users/me", 200).await,
        ada.put("users/me/profile", json!({ "name": "Ada", "email": "ada@example.org" }), 200).await,
        ada.put("users/me/profile", avatar.clone(), 200).await,
        ada.post("users/me/avatar", avatar, 201).await,
        ada.put("users/me/fcm-token", json!({ "fcmToken": "a-push-token-for-tests:17" }), 200).await,
        ada.put("users/me/fcm-token", json!({ "fcmToken": null }), 200).await,
        ada.ask(Method::PUT, "users/me/fcm-token", None, 200).await,
    ] {
        insist(&answer.body, &user());
    }
    for list in ["users", "users?role=ADMIN"] {
        let listed = ada.get(list, 200).await;
        insist(&listed.body, &json!([user()]));
        assert_eq!(listed.body.as_array().unwrap().len(), 4, "the old server knew no filter either");
    }
    let deleted = sue.ask(Method::DELETE, &path, None, 200).await;
    assert_eq!(deleted.body, json!({ "id": deleted.at("/id") }));
    let words = json!({ "currentPassword": PASSWORD, "newPassword": "another password of tests" });
    let changed = ada.put("users/me/password", words, 200).await;
    insist(&changed.body, &with(user(), &json!({ "access_token": "str" })));
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_told_in_the_shapes_of_the_old_errors() {
    let desk = desk().await;
    let (sue, ada) = (Wire(desk.staff("sue").await), Wire(desk.staff("ada").await));
    let newcomer = json!({ "username": "ada", "password": PASSWORD, "name": "Another Ada" });
    assert_eq!(*ada.post("users", newcomer.clone(), 403).await.at("/message"), "Forbidden resource");
    sue.post("users", newcomer, 409).await;
    let missing = sue.post("users", json!({}), 400).await;
    assert_eq!(*missing.at("/message"), "Validation failed");
    assert!(missing.at("/errors").as_array().unwrap().len() >= 3, "{missing}");
    for (path, status) in [("users/999999", 404), ("users/abc", 400)] {
        ada.get(path, status).await;
        sue.put(path, json!({ "name": "Nobody" }), status).await;
        sue.ask(Method::DELETE, path, None, status).await;
    }
    let current = |current: &str, new: &str| json!({ "currentPassword": current, "newPassword": new });
    ada.put("users/me/password", current("wrong", "another password"), 401).await;
    ada.put("users/me/password", current(PASSWORD, PASSWORD), 400).await;
    let short = ada.put("users/me/password", current(PASSWORD, "short"), 400).await;
    assert_eq!(*short.at("/errors/0/property"), "newPassword");
    let mail = ada.put("users/me/profile", json!({ "email": "nowhere" }), 400).await;
    assert_eq!(*mail.at("/errors/0/property"), "email");
    ada.post("users/me/avatar", json!({ "avatar": "data:image/svg+xml;base64,AAAA" }), 400).await;
    ada.ask(Method::POST, "users/me/avatar", None, 400).await;
}
