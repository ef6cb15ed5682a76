//! Push tokens come in by three doors and leave by none.

use aggregates::ids::{DonorId, UserId};
use proof_concierge::accounts::devices::Devices;
use proof_concierge::database::{self, Purpose};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::desk::{Desk, desk, query_of};

const TOKEN: &str = "dGhlIHRva2Vu:APA91b-push_token_0001";
const OTHER: &str = "dGhlIHRva2Vu:APA91b-push_token_0002";

impl Desk {
    fn devices(&self) -> Devices {
        Devices::new(database::pool(&self.database_url(), Purpose::Read, 1).unwrap())
    }

    async fn devices_of_staff(&self, username: &str) -> usize {
        self.devices().of_staff(&[UserId::new(self.id_of(username))]).await.unwrap().len()
    }
}

#[tokio::test]
async fn staff_register_devices_and_forget_them() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let put = async |body: Option<Value>| {
        let request = ada.request(Method::PUT, "/api/v1/users/me/fcm-token");
        ada.send(body.map_or(request.try_clone().unwrap(), |body| request.json(&body))).await
    };
    for token in [TOKEN, OTHER, TOKEN] {
        let answer = put(Some(json!({ "fcmToken": token }))).await.expect(200);
        assert_eq!((answer.at("/username"), answer.at("/fcmToken")), (&json!("ada"), &Value::Null));
    }
    put(None).await.expect(200);
    put(Some(json!({}))).await.expect(200);
    let refused = put(Some(json!({ "fcmToken": "too short" }))).await.expect(400);
    assert_eq!(*refused.at("/errors/0/property"), "fcmToken");
    assert_eq!(desk.devices_of_staff("ada").await, 2);
    put(Some(json!({ "fcmToken": null }))).await.expect(200);
    assert_eq!(desk.devices_of_staff("ada").await, 0);
}

#[tokio::test]
async fn a_donors_device_is_known_from_the_first_question() {
    let desk = desk().await;
    let mut body = query_of("d-1");
    body["fcmToken"] = json!(TOKEN);
    let opened = desk.anonymous().post("/api/v1/donor-queries", &body).await.expect(201);
    assert_eq!(*opened.at("/data/fcmToken"), Value::Null);
    let id = opened.at("/data/id").as_i64().unwrap();
    let donor = desk.anonymous().with_token(opened.at("/data/donorToken").as_str().unwrap());
    let path = format!("/api/v1/donor-queries/{id}");
    donor.patch(&path, &json!({ "fcmToken": OTHER })).await.expect(200);
    donor.patch(&path, &json!({ "fcmToken": OTHER, "test": "Another" })).await.expect(403);
    donor.patch(&path, &json!({})).await.expect(403);
    donor.patch(&path, &json!({ "fcmToken": "odd" })).await.expect(400);
    let (stranger, _) = desk.donor("d-2").await;
    stranger.patch(&path, &json!({ "fcmToken": OTHER })).await.expect(404);
    let session: uuid::Uuid =
        sqlx::query_scalar("select distinct donor_session from devices").fetch_one(desk.pool()).await.unwrap();
    let asked = [(&DonorId::new("d-1"), aggregates::people::DonorSession(session))];
    let devices = desk.devices().of_donors(&asked).await;
    assert_eq!(devices.unwrap().len(), 2);
    let staff = desk.staff("ada").await;
    for path in [path, "/api/v1/users".to_owned(), "/api/v1/events?after=0".to_owned()] {
        let shown = staff.get(&path).await.expect(200);
        assert!(!shown.body.to_string().contains("APA91b"), "{shown}");
    }
    let facts: i64 = sqlx::query_scalar("select count(*) from events where payload::text like '%APA91b%'")
        .fetch_one(desk.pool())
        .await
        .unwrap();
    assert_eq!(facts, 0);
}

#[tokio::test]
async fn nobody_is_turned_away_for_an_odd_push_token() {
    let desk = desk().await;
    let mut body = query_of("d-1");
    body["fcmToken"] = json!("test");
    desk.anonymous().post("/api/v1/donor-queries", &body).await.expect(201);
}

#[tokio::test]
async fn staff_may_note_the_device_of_a_donor() {
    let desk = desk().await;
    let (_, id) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let path = format!("/api/v1/donor-queries/{id}");
    ada.patch(&path, &json!({ "fcmToken": TOKEN })).await.expect(200);
    ada.patch(&path, &json!({ "fcmToken": "odd", "test": "Another" })).await.expect(400);
    assert_eq!(*ada.get(&path).await.expect(200).at("/data/test"), "Cheek swab");
    ada.patch("/api/v1/donor-queries/999999", &json!({ "fcmToken": TOKEN })).await.expect(404);
    let count: i64 =
        sqlx::query_scalar("select count(*) from devices where donor_id = 'd-1'").fetch_one(desk.pool()).await.unwrap();
    assert_eq!(count, 1);
}
