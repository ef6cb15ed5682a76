//! Who is let in: paths, transports, namespaces and tokens.

use aggregates::ids::UserId;
use proof_concierge::config::DonorAccess;
use reqwest::Method;
use serde_json::json;

use super::listen;
use crate::support::desk::{desk, desk_with};
use crate::support::socketio::{Connected, PATH, attempt, attempt_with};

#[tokio::test]
async fn clients_of_both_generations_find_it_over_either_transport() {
    let desk = desk().await;
    let (ada, nobody) = (desk.staff("ada").await, desk.anonymous());
    let auth = json!({ "token": ada.token() });
    for path in [PATH, "/socket.io", "/socket.io/", "/api/v1/socket.io/"] {
        for transports in [&["websocket"][..], &["polling"], &["polling", "websocket"]] {
            let (mut socket, connected) = attempt(nobody.base_url(), path, transports, &auth).await;
            let Connected::With(transport) = connected else { panic!("{connected:?} at {path}") };
            assert!(transports.contains(&transport.as_str()), "{transport} at {path}");
            assert!(socket.event("position").await["position"].is_number(), "at {path} over {transports:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_with_the_reason() {
    let desk = desk().await;
    let expired = json!({
        "sub": 1, "userId": 1, "username": "sue", "role": "SUPER_ADMIN", "ver": 1, "iat": 1_000_000, "exp": 1_000_001,
    });
    let secret = jsonwebtoken::EncodingKey::from_secret(b"a secret that only tests use, 32 bytes");
    let expired = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &expired, &secret).unwrap();
    for (auth, reason) in [
        (json!({}), "unauthorized"),
        (json!({ "token": "" }), "unauthorized"),
        (json!({ "token": "nonsense" }), "unauthorized: invalid token"),
        (json!({ "token": { "not": "a token" } }), "unauthorized: invalid token"),
        (json!({ "token": expired }), "unauthorized: token has expired"),
    ] {
        for transports in [["websocket"], ["polling"]] {
            let (_, connected) = attempt(desk.anonymous().base_url(), PATH, &transports, &auth).await;
            assert_eq!(connected, Connected::Refused(reason.to_owned()), "with {auth}");
        }
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let desk = desk().await;
    let auth = json!({ "token": desk.staff("ada").await.token(), "after": "soon" });
    let (_, connected) = attempt(desk.anonymous().base_url(), PATH, &["websocket"], &auth).await;
    assert_eq!(connected, Connected::Refused("after must be a position: a whole number".to_owned()));
}

#[tokio::test]
async fn the_token_may_be_in_the_header_of_the_handshake() {
    let desk = desk().await;
    for who in [desk.staff("ada").await, desk.donor("d-1").await.0] {
        let headers = json!({ "authorization": format!("Bearer {}", who.token()) });
        let options = json!({ "path": PATH, "transports": ["polling"], "extraHeaders": headers });
        let (mut socket, connected) = attempt_with(who.base_url(), "/notifications", &options).await;
        assert_eq!(connected, Connected::With("polling".to_owned()));
        socket.event("position").await;
    }
}

#[tokio::test]
async fn other_namespaces_do_not_exist() {
    let desk = desk().await;
    let options = json!({ "path": PATH, "transports": ["websocket"] });
    for namespace in ["/", "/admin"] {
        let (_, connected) = attempt_with(desk.anonymous().base_url(), namespace, &options).await;
        assert_eq!(connected, Connected::Refused("Invalid namespace".to_owned()), "{namespace}");
    }
}

#[tokio::test]
async fn an_account_that_is_switched_off_loses_its_sockets() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let mut socket = listen(&desk, &ada).await;
    desk.accounts.set_active(UserId::new(desk.id_of("ada")), false).await.unwrap();
    let closing = socket.event("closing").await;
    assert_eq!((&closing["reason"], &closing["resumeAfter"]), (&json!("token is no longer valid"), &json!(null)));
    assert!(closing["position"].is_number(), "{closing}");
    assert_eq!(socket.disconnected().await, "io server disconnect");
    let (_, again) = attempt(ada.base_url(), PATH, &["websocket"], &json!({ "token": ada.token() })).await;
    assert_eq!(again, Connected::Refused("unauthorized: token is no longer valid".to_owned()));
}

#[tokio::test]
async fn pages_of_listed_origins_may_listen_and_others_may_not() {
    let desk = desk_with(|config| config.cors_origins = vec!["https://desk.example".to_owned()]).await;
    let page = desk.anonymous();
    let handshake = |origin: &str| {
        page.send(page.request(Method::GET, "/socket.io/?EIO=4&transport=polling").header("origin", origin))
    };
    let answer = handshake("https://desk.example").await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://desk.example");
    let answer = handshake("https://elsewhere.example").await.expect(200);
    assert!(!answer.headers.contains_key("access-control-allow-origin"), "{answer}");
}

#[tokio::test]
async fn donor_apps_without_a_token_come_in_only_where_donors_need_none() {
    let desk = desk_with(|config| config.donor_access = DonorAccess::Open).await;
    let (_, connected) = attempt(desk.anonymous().base_url(), PATH, &["websocket"], &json!({})).await;
    assert_eq!(connected, Connected::With("websocket".to_owned()));
    let (_, connected) =
        attempt(desk.anonymous().base_url(), PATH, &["websocket"], &json!({ "token": "nonsense" })).await;
    assert_eq!(connected, Connected::Refused("unauthorized: invalid token".to_owned()));
}
