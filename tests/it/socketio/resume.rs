//! A client that lost its connection comes back with the position it saw last, and has missed nothing.

use serde_json::{Value, json};

use super::{listen, names};
use crate::support::desk::{desk, desk_with};
use crate::support::socketio::connect;

#[tokio::test]
async fn staff_come_back_to_what_they_missed_in_order() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let mut socket = listen(&desk, &ada).await;
    let (donor, query) = desk.donor("d-1").await;
    let after = socket.event("newQuery").await["position"].clone();
    socket.cut().await;
    ada.patch(&format!("/api/v1/donor-queries/{query}/accept"), &json!({})).await.expect(200);
    donor.post(&format!("/api/v1/messages/donor/{query}"), &json!({ "content": "Hello?" })).await.expect(201);

    let auth = json!({ "token": ada.token(), "after": after.to_string(), "queries": [query] });
    let mut socket = connect(ada.base_url(), &auth).await;
    let missed = socket.until("resumed").await;
    let heard = names(&missed);
    assert_eq!(heard.iter().filter(|name| **name == "queryAssigned").count(), 1);
    assert!(missed.iter().any(|(name, told)| name == "newMessage" && told["content"] == "Hello?"), "{missed:?}");
    let positions: Vec<_> = missed.iter().map(|(_, told)| told["position"].as_i64().unwrap()).collect();
    assert!(positions.is_sorted() && positions[0] > after.as_i64().unwrap(), "{positions:?} after {after}");
    let (_, resumed) = missed.last().unwrap();
    assert_eq!((&resumed["from"], &resumed["to"]), (&after, &resumed["position"]));

    ada.post(&format!("/api/v1/messages/admin/{query}"), &json!({ "content": "Hi" })).await.expect(201);
    let live = socket.event("newMessage").await;
    assert_eq!(live["content"], "Hi");
    assert!(live["position"].as_i64() > resumed["position"].as_i64());
}

#[tokio::test]
async fn a_donor_comes_back_to_own_queries() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, query) = desk.donor("d-1").await;
    let (_, foreign) = desk.donor("d-2").await;
    for query in [foreign, query] {
        let said = json!({ "content": format!("about {query}") });
        ada.post(&format!("/api/v1/messages/admin/{query}"), &said).await.expect(201);
    }
    let mut socket = connect(donor.base_url(), &json!({ "token": donor.token(), "after": 0 })).await;
    let missed = socket.until("resumed").await;
    let said: Vec<&Value> = missed.iter().filter_map(|(_, told)| told.get("content")).collect();
    assert!(said.contains(&&json!(format!("about {query}"))), "{missed:?}");
    assert!(!said.contains(&&json!(format!("about {foreign}"))), "{missed:?}");
}

#[tokio::test]
async fn who_missed_too_much_is_told_to_read_again() {
    let desk = desk_with(|config| config.replay_limit = 3).await;
    let ada = desk.staff("ada").await;
    for donor in ["d-1", "d-2", "d-3"] {
        desk.donor(donor).await;
    }
    for after in [1, 1_000_000] {
        let mut socket = connect(ada.base_url(), &json!({ "token": ada.token(), "after": after })).await;
        let heard = socket.until("position").await;
        assert_eq!(names(&heard), ["resync"]);
        assert_eq!(heard[0].1["head"], heard[1].1["position"]);
    }
}
