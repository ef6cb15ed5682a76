//! A donor asks for a call, and staff answer.

use serde_json::{Value, json};

use super::{call, claims, conversation, newest, post_nothing};
use crate::support::desk::desk;

#[tokio::test]
async fn a_request_is_accepted_without_a_body_and_both_sides_get_their_own_way_in() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let asked = donor.post(&call(&format!("{query}/request")), &json!({ "mode": "audio" })).await.expect(201);
    assert_eq!(
        (asked.at("/success"), asked.at("/data/callRequest/status"), asked.at("/data/callRequest/mode")),
        (&json!(true), &json!("PENDING"), &json!("AUDIO"))
    );
    assert_eq!(asked.at("/data/message/callRequest/id"), asked.at("/data/callRequest/id"));
    assert_eq!(*asked.at("/data/query/id"), json!(query));
    let shown = conversation(&ada, query).await;
    let request = newest(&shown, "SYSTEM");
    assert_eq!((&request["callMode"], &request["isFromAdmin"]), (&json!("AUDIO"), &json!(false)));
    assert_eq!(request["callRequestId"], *asked.at("/data/callRequest/id"));

    let accepted = post_nothing(&ada, &call(&format!("{query}/accept-request/0"))).await.expect(201);
    for pointer in ["/data/adminToken", "/data/tokens/admin", "/data/admin/roomToken", "/data/callSession/adminToken"] {
        assert_eq!(claims(accepted.at(pointer))["role"], "staff", "{pointer}");
    }
    for pointer in ["/data/userToken", "/data/tokens/user", "/data/user/roomToken", "/data/callSession/userToken"] {
        assert_eq!(*accepted.at(pointer), Value::Null, "{pointer}");
    }
    assert_eq!(accepted.at("/data/roomUrl"), accepted.at("/data/admin/roomUrl"));
    assert_eq!((accepted.at("/data/callType"), accepted.at("/data/mode")), (&json!("audio"), &json!("AUDIO")));
    assert_eq!(*accepted.at("/data/callRequest/status"), "ACCEPTED");
    assert_eq!(*accepted.at("/data/callSession/query/assignedToUser/name"), "Ada", "who answers takes the query");
    assert_eq!(*accepted.at("/data/room/provider"), "local");

    let told = conversation(&donor, query).await;
    let way_in = newest(&told, "SYSTEM");
    assert_eq!(claims(&way_in["userToken"])["role"], "donor");
    assert_eq!((&way_in["adminToken"], &way_in["callSession"]["adminToken"]), (&Value::Null, &Value::Null));
    assert_eq!(way_in["callSession"]["roomUrl"], *accepted.at("/data/roomUrl"));
    assert_eq!(way_in["roomName"], *accepted.at("/data/callSession/roomName"));
    assert!(way_in["content"].as_str().unwrap().contains("✅ ACCEPTED by Ada*"));
}

#[tokio::test]
async fn a_request_is_made_once_and_again_only_after_a_while() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let (ask, cancel) = (call(&format!("{query}/request")), call(&format!("{query}/cancel-request")));
    post_nothing(&donor, &ask).await.expect(201);
    assert_eq!(*post_nothing(&donor, &ask).await.expect(409).at("/code"), "call_request_pending");
    let cancelled = post_nothing(&donor, &cancel).await.expect(201);
    assert_eq!(*cancelled.at("/data/status"), "CANCELLED");
    let again = format!("{cancel}/{}", cancelled.at("/data/id"));
    assert_eq!(*post_nothing(&donor, &again).await.expect(201).at("/data/status"), "CANCELLED");
    let soon = post_nothing(&donor, &ask).await.expect(429);
    assert_eq!(*soon.at("/code"), "call_request_too_soon");
    assert!((1..=30).contains(&soon.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(*post_nothing(&donor, &cancel).await.expect(404).at("/code"), "call_request_not_found");
}

#[tokio::test]
async fn a_declined_request_is_gone_from_the_list_and_the_conversation_says_so() {
    let desk = desk().await;
    let (donor, query) = desk.donor("d-1").await;
    let ada = desk.staff("ada").await;
    let asked = post_nothing(&donor, &call(&format!("{query}/request"))).await.expect(201);
    let request = asked.at("/data/callRequest/id").as_i64().unwrap();
    let list = call(&format!("{query}/requests"));
    assert_eq!(*ada.get(&list).await.expect(200).at("/data/0/id"), json!(request));
    let reject = call(&format!("{query}/reject-request/{request}"));
    let rejected = post_nothing(&ada, &reject).await.expect(201);
    assert_eq!((rejected.at("/data/status"), rejected.at("/data/query/id")), (&json!("REJECTED"), &json!(query)));
    assert_eq!(*ada.get(&list).await.expect(200).at("/data"), json!([]));
    assert!(newest(&conversation(&donor, query).await, "SYSTEM")["content"].as_str().unwrap().contains("❌ REJECTED"));
    post_nothing(&ada, &reject).await.expect(404);
    post_nothing(&ada, &call(&format!("{query}/accept-request/{request}"))).await.expect(404);
}

#[tokio::test]
async fn a_request_of_another_query_is_not_answered_through_this_one() {
    let desk = desk().await;
    let (donor, asking) = desk.donor("d-1").await;
    let (_, own) = desk.donor("d-2").await;
    let (ada, ben) = (desk.staff("ada").await, desk.staff("ben").await);
    let asked = post_nothing(&donor, &call(&format!("{asking}/request"))).await.expect(201);
    let request = asked.at("/data/callRequest/id").as_i64().unwrap();
    ada.patch(&format!("/api/v1/donor-queries/{asking}/accept"), &json!({})).await.expect(200);
    ben.patch(&format!("/api/v1/donor-queries/{own}/accept"), &json!({})).await.expect(200);
    post_nothing(&ben, &call(&format!("{own}/reject-request/{request}"))).await.expect(404);
    post_nothing(&ben, &call(&format!("{own}/accept-request/{request}"))).await.expect(404);
    let held = post_nothing(&ben, &call(&format!("{asking}/reject-request/{request}"))).await.expect(403);
    assert_eq!((held.at("/code"), held.at("/assignedTo/name")), (&json!("not_holder"), &json!("Ada")));
    post_nothing(&ben, &call(&format!("{asking}/accept-request"))).await.expect(403);
    ben.get(&call(&format!("{asking}/requests"))).await.expect(403);
    desk.staff("sue").await.get(&call(&format!("{asking}/requests"))).await.expect(200);
}
