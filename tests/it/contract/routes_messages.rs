//! Messages: every route that says something and every route that reads.

use reqwest::Method;
use serde_json::{Value, json};

use super::shape::{donor_message, enveloped, insist, message, message_created, message_view, query, with};
use super::wire::Wire;
use crate::support::desk::desk;

#[tokio::test]
async fn everybody_says_something_by_their_own_route_and_by_the_oldest_one() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (donor, id) = desk.donor("d-1").await;
    let donor = Wire(donor);
    // What the old routes took from the body and believed.
    let claims = json!({
        "content": "Hello", "queryId": id, "senderId": 1, "isFromAdmin": true, "donorId": "d-1", "donorName": "Nobody",
        "fcmToken": "a-push-token-for-tests:17", "userToken": "x", "adminToken": "x", "callMode": "VIDEO",
        "roomName": "x", "callSessionId": 1, "callRequestId": 1,
    });
    for (who, path, sender_type, message_type) in [
        (&donor, "messages".to_owned(), "DONOR", "QUERY"),
        (&donor, format!("messages/donor/{id}"), "DONOR", "QUERY"),
        (&ada, "messages".to_owned(), "ADMIN", "QUERY"),
        (&ada, format!("messages/admin/{id}"), "ADMIN", "CHAT"),
        (&ada, format!("messages/system/{id}"), "SYSTEM", "SYSTEM"),
    ] {
        let said = who.post(&path, claims.clone(), 201).await;
        insist(&said.body, &enveloped(&if sender_type == "DONOR" { donor_message() } else { message_created() }));
        assert_eq!(
            (said.at("/data/senderType"), said.at("/data/messageType")),
            (&json!(sender_type), &json!(message_type))
        );
        let is_staff = sender_type == "ADMIN";
        let sender = if is_staff { json!(desk.id_of("ada")) } else { Value::Null };
        assert_eq!((said.at("/data/senderId"), said.at("/data/isFromAdmin")), (&sender, &json!(is_staff)), "{path}");
        for key in ["roomName", "userToken", "adminToken", "callSessionId", "callRequestId", "fcmToken"] {
            assert_eq!(said.at("/data")[key], Value::Null, "{key} is nothing that a message can claim");
        }
        let named = (sender_type == "DONOR").then_some("Dora Donor");
        assert_eq!(*said.at("/data/donorName"), json!(named));
    }
    for message_type in ["QUERY", "CHAT"] {
        for (who, path) in [(&donor, format!("messages/donor/{id}")), (&ada, format!("messages/admin/{id}"))] {
            let said = who.post(&path, json!({ "content": "Hi", "messageType": message_type }), 201).await;
            assert_eq!(*said.at("/data/messageType"), message_type);
        }
    }
}

#[tokio::test]
async fn conversations_are_read_from_every_side_newest_first() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (donor, id) = desk.donor("d-1").await;
    let donor = Wire(donor);
    for number in 0..55 {
        ada.0
            .post(&format!("/api/v1/messages/admin/{id}"), &json!({ "content": number.to_string() }))
            .await
            .expect(201);
    }
    let to_ben = json!({ "content": "between us", "recipientId": desk.id_of("ben") });
    ada.post(&format!("messages/admin/{id}"), to_ben, 201).await;

    let first = ada.get(&format!("messages/query/{id}?limit=50&offset=0"), 200).await;
    insist(&first.body, &enveloped(&json!([message_view()])));
    assert_eq!((first.at("/data").as_array().unwrap().len(), first.at("/data/0/content")), (50, &json!("between us")));
    let rest = ada.get(&format!("messages/query/{id}?limit=50&offset=50"), 200).await;
    assert_eq!(rest.at("/data").as_array().unwrap().len(), 7, "what is older than fifty messages is reached: {rest}");
    let told = donor.get(&format!("messages/query/{id}"), 200).await;
    insist(&told.body, &enveloped(&json!([donor_message()])));
    assert_eq!(*told.at("/data/0/content"), "54");

    let page = ada.get(&format!("messages/admin/{id}?limit=2&offset=1"), 200).await;
    let counted = json!({ "messages": [message_view()], "total": "int", "limit": "int", "offset": "int" });
    insist(&page.body, &enveloped(&counted));
    assert_eq!(
        (page.at("/data/total"), page.at("/data/limit"), page.at("/data/offset")),
        (&json!(57), &json!(2), &json!(1))
    );

    let of_donor = ada.get("messages/donor/d-1", 200).await;
    let about = json!({ "id": "int", "status": "query status", "donor": "str", "test": "str", "stage": "str" });
    insist(&of_donor.body, &enveloped(&json!([with(message(), &json!({ "query?": about }))])));

    let between = ada.get(&format!("messages/between/{}/{}", desk.id_of("ada"), desk.id_of("ben")), 200).await;
    let person = json!({ "id": "int", "name": "str", "username": "str", "avatar?": "str", "role": "role" });
    insist(&between.body, &enveloped(&json!([with(message(), &json!({ "sender?": person, "recipient?": person }))])));
    assert_eq!(between.at("/data").as_array().unwrap().len(), 1);

    let ada_id = desk.id_of("ada");
    for (filter, count) in [
        ("limit=3".to_owned(), 3),
        (format!("queryId={id}&senderId={ada_id}&limit=100"), 56),
        (format!("recipientId={}", desk.id_of("ben")), 1),
        ("messageType=QUERY&senderType=DONOR".to_owned(), 1),
        ("donorId=d-1&limit=200".to_owned(), 57),
        ("donorId=d-2".to_owned(), 0),
    ] {
        let list = ada.get(&format!("messages?{filter}"), 200).await;
        insist(&list.body, &enveloped(&json!([message_view()])));
        assert_eq!(list.at("/data").as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn what_cannot_be_said_or_read_is_refused_with_a_reason() {
    let desk = desk().await;
    let (ada, nobody) = (Wire(desk.staff("ada").await), Wire(desk.anonymous()));
    let (donor, id) = desk.donor("d-1").await;
    let donor = Wire(donor);
    let hello = json!({ "content": "Hello", "queryId": id });
    nobody.post("messages", hello.clone(), 401).await;
    nobody.post(&format!("messages/donor/{id}"), hello.clone(), 401).await;
    nobody.get(&format!("messages/query/{id}"), 401).await;
    donor.post(&format!("messages/admin/{id}"), hello.clone(), 403).await;
    donor.post(&format!("messages/system/{id}"), hello.clone(), 403).await;
    for (who, path) in [
        (&donor, format!("messages/donor/{id}")),
        (&ada, format!("messages/admin/{id}")),
        (&ada, format!("messages/system/{id}")),
    ] {
        for wrong in [
            None,
            Some(json!({})),
            Some(json!({ "content": "" })),
            Some(json!({ "content": "x", "messageType": "FAX" })),
        ] {
            let refused = who.ask(Method::POST, &path, wrong, 400).await;
            assert_eq!(*refused.at("/message"), "Validation failed");
        }
    }
    ada.post("messages/admin/999999", hello.clone(), 404).await;
    ada.post("messages/admin/abc", hello, 400).await;
    ada.post("messages", json!({ "content": "about nothing" }), 422).await;
    for message_type in ["SYSTEM", "CALL_STARTED", "CALL_ENDED"] {
        let claim = json!({ "content": "It rings", "messageType": message_type });
        let refused = donor.post(&format!("messages/donor/{id}"), claim, 422).await;
        assert_eq!(*refused.at("/code"), "reserved_message_type");
    }
    for path in
        ["messages/query/abc", "messages/admin/abc", "messages/between/1/x", "messages?queryId=abc", "messages?limit=x"]
    {
        ada.get(path, 400).await;
    }
    for path in ["messages/query/999999", "messages/admin/999999"] {
        ada.get(path, 404).await;
    }
    insist(&ada.get(&format!("donor-queries/{id}"), 200).await.body, &enveloped(&query()));
}

#[tokio::test]
async fn staff_write_to_a_colleague_without_a_query() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    let (from, to) = (desk.id_of("ada"), desk.id_of("ben"));
    let said = ada.post("messages", json!({ "content": "Lunch?", "recipientId": to }), 201).await;
    insist(&said.body, &enveloped(&message_view()));
    assert_eq!((said.at("/data/queryId"), said.at("/data/messageType")), (&Value::Null, &json!("CHAT")));
    let bare = ada.post("chat/messages", json!({ "content": "At one?", "recipientId": to }), 201).await;
    insist(&bare.body, &message_view());
    for (path, shape) in [
        ("messages".to_owned(), enveloped(&json!([message_view()]))),
        (format!("messages/between/{from}/{to}"), enveloped(&json!([message_view()]))),
        (format!("chat/messages/between/{to}/{from}"), json!([message_view()])),
    ] {
        let read = ada.get(&path, 200).await;
        insist(&read.body, &shape);
        assert_eq!(read.to_string().matches("Lunch?").count(), 1, "{path}");
    }
}
