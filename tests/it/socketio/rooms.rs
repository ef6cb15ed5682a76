//! Who may join which query, and what joining changes.

use proof_concierge::config::DonorAccess;
use serde_json::{Value, json};

use super::{listen, names};
use crate::support::desk::{desk, desk_with};
use crate::support::socketio::connect;

#[tokio::test]
async fn a_donor_joins_own_queries_and_no_others() {
    let desk = desk().await;
    let (donor, own) = desk.donor("d-1").await;
    let (_, foreign) = desk.donor("d-2").await;
    let mut socket = listen(&desk, &donor).await;
    for event in ["joinQueryRoom", "leaveQueryRoom"] {
        let answer = socket.ask(event, &[json!({ "queryId": own.to_string(), "donorId": "d-1" })]).await;
        assert_eq!((&answer["success"], &answer["queryId"]), (&json!(true), &json!(own)), "{answer}");
    }
    let refused = json!({ "success": false, "message": "query not found" });
    for query in [json!({ "queryId": foreign, "donorId": "d-2" }), json!({ "queryId": 999_999 })] {
        assert_eq!(socket.ask("joinQueryRoom", &[query]).await, refused);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_answered_and_never_an_exception() {
    let desk = desk().await;
    let mut socket = listen(&desk, &desk.staff("ada").await).await;
    let nonsense: [&[Value]; 8] = [
        &[],
        &[json!(null)],
        &[json!("17")],
        &[json!([17])],
        &[json!({})],
        &[json!({ "queryId": null })],
        &[json!({ "queryId": 1.5 })],
        &[json!({ "queryId": -1 }), json!("and more")],
    ];
    for args in nonsense {
        for event in ["joinQueryRoom", "leaveQueryRoom"] {
            let answer = socket.ask(event, args).await;
            let expected = json!({ "success": false, "message": "queryId must be the number of a query" });
            assert_eq!(answer, expected, "{event} with {args:?}");
        }
    }
}

#[tokio::test]
async fn staff_hear_a_conversation_while_they_are_in_its_room() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, query) = desk.donor("d-1").await;
    ada.patch(&format!("/api/v1/donor-queries/{query}/accept"), &json!({})).await.expect(200);
    let mut socket = listen(&desk, &ada).await;
    let path = format!("/api/v1/messages/donor/{query}");
    donor.post(&path, &json!({ "content": "nobody listens" })).await.expect(201);
    socket.join(query).await;
    socket.join(query).await;
    donor.post(&path, &json!({ "content": "somebody listens" })).await.expect(201);
    assert_eq!(socket.event("newMessage").await["content"], "somebody listens");

    let left = socket.ask("leaveQueryRoom", &[json!({ "queryId": query })]).await;
    assert_eq!(left["success"], true);
    donor.post(&path, &json!({ "content": "nobody listens" })).await.expect(201);
    ada.patch(&format!("/api/v1/donor-queries/{query}/resolve"), &json!({})).await.expect(200);
    let rest = socket.until("queryResolved").await;
    assert!(!names(&rest).contains(&"newMessage"), "{rest:?}");
}

#[tokio::test]
async fn a_donor_without_a_token_joins_by_naming_the_right_donor() {
    let desk = desk_with(|config| config.donor_access = DonorAccess::Open).await;
    let (_, own) = desk.donor("d-1").await;
    let (_, foreign) = desk.donor("d-2").await;
    let ada = desk.staff("ada").await;
    let mut socket = connect(ada.base_url(), &json!({})).await;
    for (request, message) in [
        (json!({ "queryId": own }), "donorId must say whose query it is"),
        (json!({ "queryId": own, "donorId": "d-2" }), "query not found"),
        (json!({ "queryId": 999_999, "donorId": "d-1" }), "query not found"),
    ] {
        let answer = socket.ask("joinQueryRoom", &[request]).await;
        assert_eq!(answer, json!({ "success": false, "message": message }));
    }
    let answer = socket.ask("joinQueryRoom", &[json!({ "queryId": own, "donorId": "d-1" })]).await;
    assert_eq!(answer["success"], true, "{answer}");
    socket.event("position").await;
    let answer = socket.ask("joinQueryRoom", &[json!({ "queryId": foreign, "donorId": "d-2" })]).await;
    assert_eq!(answer, json!({ "success": false, "message": "this socket speaks for another donor" }));

    for query in [foreign, own] {
        ada.post(&format!("/api/v1/messages/admin/{query}"), &json!({ "content": "Hi" })).await.expect(201);
    }
    assert_eq!(socket.event("newMessage").await["queryId"], own);
}
