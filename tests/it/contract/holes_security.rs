//! Nobody learns or does what is not theirs. The numbers are those of [`super::holes`].

use reqwest::Method;
use serde_json::{Value, json};

use super::shape::insist;
use super::wire::Wire;
use crate::support::desk::{PASSWORD, desk, desk_with, query_of};

/// S1, S17: the old server answered with the row of the account, password hash and push token included.
#[tokio::test]
async fn a_donor_learns_the_name_of_who_helps_and_nothing_else() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (donor, id) = desk.donor("d-1").await;
    let push_token = "a-push-token-for-tests:17";
    ada.put("users/me/fcm-token", json!({ "fcmToken": push_token }), 200).await;
    ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
    ada.post(&format!("messages/admin/{id}"), json!({ "content": "Hello" }), 201).await;
    let path = format!("donor-queries/{id}/is-accepted");
    Wire(desk.anonymous()).get(&path, 401).await;
    let donor = Wire(donor);
    let accepted = donor.get(&path, 200).await;
    let expected = json!({ "id": desk.id_of("ada"), "name": "Ada", "avatar": null });
    assert_eq!(*accepted.at("/data/assignedToUser"), expected);
    for path in ["donor-queries/user?donorId=d-1".to_owned(), format!("messages/query/{id}")] {
        let told = donor.get(&path, 200).await.to_string();
        assert!(!told.contains("username") && !told.contains("\"email\""), "{told}");
    }
    let ben = Wire(desk.staff("ben").await);
    for path in ["users".to_owned(), "donor-queries/general".to_owned(), format!("messages/query/{id}")] {
        let told = ben.get(&path, 200).await.to_string();
        assert!(!told.contains(push_token) && !told.contains("argon2"), "{told}");
    }
}

/// S8: roles were written beside the routes and enforced on none of them.
#[tokio::test]
async fn only_the_holder_and_super_admins_move_a_query() {
    let desk = desk().await;
    let (ada, ben, sue) = (Wire(desk.staff("ada").await), Wire(desk.staff("ben").await), Wire(desk.staff("sue").await));
    let (donor, id) = desk.donor("d-1").await;
    let path = |step: &str| format!("donor-queries/{id}{step}");
    ada.ask(Method::PATCH, &path("/accept"), None, 200).await;
    let steps = [
        (Method::PATCH, "", json!({ "stage": "Lab" })),
        (Method::PATCH, "", json!({ "status": "RESOLVED" })),
        (Method::PATCH, "/transfer", json!({ "adminId": desk.id_of("sue") })),
        (Method::POST, "/pending-reply", json!({})),
        (Method::POST, "/in-progress", json!({})),
        (Method::PATCH, "/resolve", json!({})),
        (Method::DELETE, "", json!({})),
    ];
    for (method, step, body) in steps.clone() {
        ben.ask(method.clone(), &path(step), Some(body.clone()), 403).await;
        Wire(donor.clone()).ask(method, &path(step), Some(body), 403).await;
    }
    let untouched = ada.get(&path(""), 200).await;
    assert_eq!((untouched.at("/data/version"), untouched.at("/data/stage")), (&json!(5), &json!("Collection")));
    for (method, step, body) in steps {
        let status = if method == Method::POST { 201 } else { 200 };
        sue.ask(method, &path(step), Some(body), status).await;
        if sue.0.get(&format!("/api/v1/donor-queries/{id}")).await.body["data"]["status"] == "RESOLVED" {
            sue.ask(Method::POST, &path("/in-progress"), None, 201).await;
        }
    }
}

/// S10, S22: an id that was none stood for any: everybody's messages, and those of no query.
#[tokio::test]
async fn an_id_that_is_none_stands_for_nothing() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    desk.donor("d-1").await;
    for id in ["undefined", "null", "NaN", "abc", "0", "-1", "1.5", "1e3", "%20", "1;2"] {
        for path in ["messages/query", "messages/admin", "donor-queries", "communication/calls", "users"] {
            let refused = ada.get(&format!("{path}/{id}"), 400).await;
            assert_eq!(*refused.at("/code"), "malformed_id", "{refused}");
        }
        ada.post(&format!("messages/admin/{id}"), json!({ "content": "Hello" }), 400).await;
    }
    ada.get("messages/admin/999999", 404).await;
    ada.post("messages/admin/999999", json!({ "content": "Hello" }), 404).await;
}

/// S12: nothing limited how often a password could be tried, a query opened, a call asked for.
#[tokio::test]
async fn passwords_are_tried_and_queries_opened_only_so_often() {
    let desk = desk_with(|config| {
        config.limits.login_per_minute = 3;
        config.limits.open_per_minute = 2;
    })
    .await;
    let nobody = Wire(desk.anonymous());
    for attempt in 0..3 {
        nobody.post("auth/login", json!({ "username": "ada", "password": format!("guess {attempt}") }), 401).await;
    }
    let refused = nobody.post("auth/login", json!({ "username": "ada", "password": PASSWORD }), 429).await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1, "{refused}");
    for (donor, path, status) in
        [("d-1", "donor-queries", 201), ("d-2", "donor-queries/start-call", 201), ("d-3", "donor-queries", 429)]
    {
        nobody.post(path, query_of(donor), status).await;
    }
    nobody.post("donor-queries/start-call", query_of("d-4"), 429).await;
}

/// S19: errors told file names and query texts of the database layer, and repeated the values they refused.
#[tokio::test]
async fn an_error_tells_no_cause_and_repeats_no_value() {
    let desk = desk().await;
    let (nobody, ada) = (Wire(desk.anonymous()), Wire(desk.staff("ada").await));
    let secret = "s3cret-";
    let long = secret.repeat(300);
    let answers = [
        nobody.post("auth/login", json!({ "username": { "a": secret }, "password": secret }), 400).await,
        nobody.post("donor-queries", json!({ "donor": long, "test": [secret] }), 400).await,
        ada.get(&format!("donor-queries/general?date={secret}"), 400).await,
        ada.get(&format!("donor-queries/general?cursor={secret}"), 400).await,
        ada.get(&format!("messages?messageType={secret}"), 400).await,
        ada.get(&format!("donor-queries/status/{secret}"), 400).await,
        ada.put("users/me/profile", json!({ "email": secret }), 400).await,
        ada.put("users/me/password", json!({ "currentPassword": PASSWORD, "newPassword": "s3cret-" }), 400).await,
        ada.put("users/me/password", json!({ "currentPassword": "s3cret-s3cret", "newPassword": "long enough" }), 401)
            .await,
    ];
    for answer in answers {
        let told = answer.body.to_string();
        for word in [secret, PASSWORD, "src/", ".rs", "select ", "sqlx", "postgres", "invocation"] {
            assert!(!told.contains(word), "{word} in {answer}");
        }
    }
}

/// S20: anybody could read what machine it is, and have it call others.
#[tokio::test]
async fn strangers_learn_of_the_machine_only_that_it_works() {
    let desk = desk().await;
    let nobody = Wire(desk.anonymous());
    nobody.get("/health/advanced/detailed", 401).await;
    for path in ["/health", "/health/advanced"] {
        let told = nobody.get(path, 200).await;
        for word in ["usedPercentage", "totalSpace", "\"used\"", "queryCount", "platform", "127.0.0.1"] {
            assert!(!told.body.to_string().contains(word), "{word} in {told}");
        }
    }
    let known = Wire(desk.staff("ada").await).get("/health/advanced", 200).await;
    insist(known.at("/details"), &json!({ "memory_rss": { "used": "int" }, "donor_queries": { "queryCount": "int" } }));
}

/// S21: a new build emptied the database before it began.
#[tokio::test]
async fn starting_anew_keeps_every_row() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    let kept = || async { donor.get(&format!("/api/v1/messages/query/{id}")).await.expect(200).body };
    let before = kept().await;
    proof_concierge::migrate::run(desk.database_url().expose()).await.unwrap();
    assert_eq!(kept().await, before);
}

/// S21: what is in the log is never dropped, not even on purpose.
#[test]
fn no_migration_drops_what_is_for_ever() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        let is_migration = path.extension().is_some_and(|extension| extension == "sql");
        let for_ever = ["events", "donor_keys", "users"];
        let drops = text.lines().map(str::trim).find(|line| {
            let is_about = |what: &str| for_ever.iter().any(|table| line.starts_with(&format!("{what} {table}")));
            line.starts_with("truncate")
                || line.starts_with("drop schema")
                || is_about("drop table")
                || is_about("delete from")
        });
        assert!(!is_migration || drops.is_none(), "{drops:?} in {}", path.display());
    }
}

/// S2: a public route took anybody's word for who they were, and pushed to any device that the body named.
#[tokio::test]
async fn a_body_speaks_for_nobody() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    let claim = json!({
        "content": "I am staff", "queryId": id, "isFromAdmin": true, "senderId": desk.id_of("sue"), "senderType": "ADMIN",
        "recipientId": desk.id_of("ben"), "callSessionId": 1, "fcmToken": "a-push-token-for-tests:17",
    });
    let nobody = Wire(desk.anonymous());
    for path in ["messages".to_owned(), format!("messages/donor/{id}"), format!("messages/admin/{id}")] {
        nobody.post(&path, claim.clone(), 401).await;
    }
    for path in ["messages".to_owned(), format!("messages/donor/{id}")] {
        let said = Wire(donor.clone()).post(&path, claim.clone(), 201).await;
        for key in ["senderId", "recipientId", "callSessionId", "sender", "recipient", "fcmToken"] {
            assert_eq!(said.at("/data")[key], Value::Null, "{key} in {said}");
        }
        assert_eq!((said.at("/data/senderType"), said.at("/data/isFromAdmin")), (&json!("DONOR"), &json!(false)));
    }
}
