//! What staff see of deliveries.

use serde_json::json;

use super::{data, desk};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn staff_read_deliveries_page_by_page_newest_first() {
    let desk = desk().await;
    let node = desk.node().await;
    let (first, second) = (node.opened_by("d-1").await, node.opened_by("d-2").await);
    desk.settled().await;
    let ada = node.ada().await;
    let all = ada.get("/api/v1/deliveries").await.expect(200);
    let ids: Vec<_> = data(&all).iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 6);
    assert!(ids.is_sorted_by(|one, other| one > other));
    assert_eq!(*all.at("/nextCursor"), json!(null));
    let page = ada.get("/api/v1/deliveries?limit=4").await.expect(200);
    let rest = ada.get(&format!("/api/v1/deliveries?limit=4&cursor={}", page.at("/nextCursor"))).await.expect(200);
    let paged: Vec<_> = data(&page).iter().chain(&data(&rest)).map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(paged, ids);
    let mail = ada.get(&format!("/api/v1/deliveries?channel=MAIL&state=sent&queryId={second}")).await.expect(200);
    assert_eq!(data(&mail).len(), 1);
    let row = &data(&mail)[0];
    assert_eq!(
        (&row["queryId"], &row["kind"], &row["state"]),
        (&json!(second.get()), &json!("query_opened"), &json!("sent"))
    );
    assert_eq!(row["target"], format!("mailbox:{}", desk.ada.id));
    assert!(row["providerId"].is_string());
    let text = all.body.to_string();
    for private in ["ada@example.org", "ada-0123456789", "Dora Donor", "Where does the sample go?"] {
        assert!(!text.contains(private), "{private} in {text}");
    }
    assert_eq!(data(&ada.get(&format!("/api/v1/deliveries?queryId={first}")).await.expect(200)).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_what_failed_is_tried_again() {
    let desk = desk().await;
    let node = desk.node().await;
    node.opened_by("d-1").await;
    desk.settled().await;
    let ada = node.ada().await;
    let id = ada.get("/api/v1/deliveries").await.expect(200).at("/data/0/id").as_i64().unwrap();
    let refused = ada.post(&format!("/api/v1/deliveries/{id}/redeliver"), &json!({})).await.expect(409);
    assert_eq!(refused.at("/code"), "delivery_not_dead");
    desk.execute("update deliveries set state = 'dead', expires_at = now() - interval '1 second'").await;
    let refused = ada.post(&format!("/api/v1/deliveries/{id}/redeliver"), &json!({})).await.expect(409);
    assert_eq!(refused.at("/code"), "delivery_too_late");
    ada.post("/api/v1/deliveries/999999/redeliver", &json!({})).await.expect(404);
    ada.get("/api/v1/deliveries?state=lost").await.expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deliveries_are_for_staff() {
    let desk = desk().await;
    let node = desk.node().await;
    let opened = node.client.post("/api/v1/donor-queries", &crate::support::desk::query_of("d-1")).await.expect(201);
    let donor = node.client.with_token(opened.at("/data/donorToken").as_str().unwrap());
    for (caller, status) in [(&node.client, 401), (&donor, 403)] {
        caller.get("/api/v1/deliveries").await.expect(status);
        caller.post("/api/v1/deliveries/1/redeliver", &json!({})).await.expect(status);
    }
}
