//! Pictures come in as data URLs and are served under addresses that can be kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::app::{Answer, Client};
use crate::support::desk::desk;

const LARGEST: usize = 1024 * 1024;

fn data_url(kind: &str, beginning: &[u8], length: usize) -> String {
    let mut bytes = beginning.to_vec();
    bytes.resize(length, 7);
    format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))
}

fn png(length: usize) -> String {
    data_url("png", b"\x89PNG\r\n\x1a\n", length)
}

async fn post(client: &Client, avatar: &str) -> Answer {
    client.post("/api/v1/users/me/avatar", &json!({ "avatar": avatar })).await
}

async fn profile(client: &Client, body: Value) -> Answer {
    client.send(client.request(Method::PUT, "/api/v1/users/me/profile").json(&body)).await
}

async fn fetch(url: &str, known: Option<&str>) -> Response {
    let request = reqwest::Client::builder().build().unwrap().get(url);
    let request = known.map_or(request.try_clone().unwrap(), |tag| request.header("if-none-match", tag));
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_picture_of_a_mebibyte_is_served_to_whoever_was_told_its_address() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let avatar = post(&ada, &png(LARGEST)).await.expect(201).at("/avatar").as_str().unwrap().to_owned();
    assert!(avatar.starts_with("http://127.0.0.1:") && avatar.len() < 120, "{avatar}");
    let shown = fetch(&avatar, None).await;
    assert_eq!(shown.status(), 200);
    let header = |name: &str| shown.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("content-type"), header("x-content-type-options")), ("image/png".into(), "nosniff".into()));
    assert!(header("cache-control").contains("immutable"), "{:?}", shown.headers());
    let tag = header("etag");
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    assert_eq!(shown.bytes().await.unwrap().len(), LARGEST);
    let again = fetch(&avatar, Some(&tag)).await;
    assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
    assert_eq!(again.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn knowing_who_works_here_shows_nobodys_face() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let avatar = post(&ada, &png(100)).await.expect(201).at("/avatar").as_str().unwrap().to_owned();
    let bare = format!("/api/v1/users/{}/avatar", desk.id_of("ada"));
    desk.anonymous().get(&bare).await.expect(404);
    desk.anonymous().get(&format!("{bare}?v=00000000000000000000000000000000")).await.expect(404);
    assert!(ada.get(&bare).await.expect(200).header("cache-control").contains("no-cache"));
    ada.get(&format!("/api/v1/users/{}/avatar", desk.id_of("ben"))).await.expect(404);
    let next = post(&ada, &png(200)).await.expect(201).at("/avatar").as_str().unwrap().to_owned();
    assert_ne!(avatar, next);
    assert_eq!(fetch(&avatar, None).await.status(), 404, "the old picture is gone");
}

#[tokio::test]
async fn only_pictures_of_three_kinds_are_taken() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    for odd in [
        String::new(),
        "https://example.org/me.png".to_owned(),
        data_url("svg+xml", b"<svg onload=alert(1)>", 100),
        data_url("png", b"<script>alert(1)</script>", 100),
        "data:image/png;base64,not base64".to_owned(),
        png(LARGEST + 1),
    ] {
        let refused = post(&ada, &odd).await.expect(400);
        assert_eq!((refused.at("/error"), refused.at("/code")), (&json!("Bad Request"), &json!("malformed_avatar")));
    }
    ada.send(ada.request(Method::POST, "/api/v1/users/me/avatar")).await.expect(400);
    let long = json!({ "username": "x".repeat(110 * 1024) });
    desk.anonymous().post("/api/v1/auth/login", &long).await.expect(413);
}

#[tokio::test]
async fn a_profile_changes_in_parts() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let gif = data_url("gif", b"GIF89a", 90_000);
    let body = json!({ "name": "Ada L.", "email": "ada@example.org", "avatar": gif, "role": "SUPER_ADMIN" });
    let changed = profile(&ada, body).await.expect(200);
    assert_eq!((changed.at("/name"), changed.at("/email")), (&json!("Ada L."), &json!("ada@example.org")));
    assert_eq!(*changed.at("/role"), "ADMIN");
    let whole = profile(&ada, changed.body.clone()).await.expect(200);
    assert_eq!(whole.at("/avatar"), changed.at("/avatar"), "what was shown can be sent back");
    profile(&ada, json!({ "email": "nowhere" })).await.expect(400);
    profile(&ada, json!({ "avatar": "nothing" })).await.expect(400);
    profile(&ada, json!({ "name": "" })).await.expect(400);
    let none = profile(&ada, json!({ "avatar": null })).await.expect(200);
    assert_eq!((none.at("/avatar"), none.at("/name")), (&Value::Null, &json!("Ada L.")));
    assert_eq!(fetch(changed.at("/avatar").as_str().unwrap(), None).await.status(), 404);
}

#[tokio::test]
async fn a_picture_that_moved_in_from_the_old_system_is_still_shown() {
    let desk = desk().await;
    let url = png(50);
    sqlx::query("update users set avatar = $1 where username = 'ben'").bind(&url).execute(desk.pool()).await.unwrap();
    let ben = desk.staff("ben").await;
    let shown = async || ben.get("/api/v1/users/me").await.expect(200).at("/avatar").clone();
    crate::support::eventually::eventually(std::time::Duration::from_secs(10), shown, |avatar| *avatar == url).await;
}
