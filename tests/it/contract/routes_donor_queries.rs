//! Queries: every route, in the words of every generation of clients.

use reqwest::Method;
use serde_json::{Value, json};

use super::shape::{
    donor_call, donor_query, enveloped, insist, listed, message, query, staff_member, staff_query,
    staff_query_with_messages, with,
};
use super::wire::Wire;
use crate::support::desk::{Desk, desk, query_of};

/// Staff, and one query in each status.
struct Stock {
    desk: Desk,
    ada: Wire,
    ben: Wire,
    donor: Wire,
    unassigned: i64,
    in_progress: i64,
    pending: i64,
    transferred: i64,
    resolved: i64,
}

async fn stock() -> Stock {
    let desk = desk().await;
    let (ada, ben) = (Wire(desk.staff("ada").await), Wire(desk.staff("ben").await));
    let open = async |donor: &str| {
        let (client, id) = desk.donor(donor).await;
        (Wire(client), id)
    };
    let accepted = async |donor: &str| {
        let (_, id) = open(donor).await;
        ada.ask(Method::PATCH, &format!("donor-queries/{id}/accept"), None, 200).await;
        id
    };
    let (_, unassigned) = open("d-unassigned").await;
    let (donor, resolved) = open("d-resolved").await;
    ada.ask(Method::PATCH, &format!("donor-queries/{resolved}/accept"), None, 200).await;
    ada.ask(Method::PATCH, &format!("donor-queries/{resolved}/resolve"), None, 200).await;
    let (in_progress, pending) = (accepted("d-in-progress").await, accepted("d-pending").await);
    ada.post(&format!("donor-queries/{in_progress}/in-progress"), json!({}), 201).await;
    ada.post(&format!("donor-queries/{pending}/pending-reply"), json!({}), 201).await;
    let transferred = accepted("d-transferred").await;
    let to = json!({ "adminId": desk.id_of("ben"), "transferNote": "knows the lab" });
    ada.patch(&format!("donor-queries/{transferred}/transfer"), to, 200).await;
    Stock { desk, ada, ben, donor, unassigned, in_progress, pending, transferred, resolved }
}

fn ids(rows: &Value) -> Vec<i64> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_list_holds_the_rows_it_is_named_after_in_its_envelope() {
    let stock = stock().await;
    let Stock { unassigned, in_progress, pending, transferred, resolved, .. } = stock;
    // `general` is older than assignment: the dashboard shows who holds what in it.
    for (path, expected) in [
        ("donor-queries", vec![unassigned, resolved, in_progress, pending, transferred]),
        ("donor-queries/general", vec![unassigned, in_progress, pending]),
        ("donor-queries/unassigned", vec![unassigned]),
        ("donor-queries/my-queries", vec![in_progress, pending]),
        ("donor-queries/in-progress", vec![in_progress]),
        ("donor-queries/pending-reply", vec![unassigned, pending]),
        ("donor-queries/resolved", vec![resolved]),
        ("donor-queries/transferred", vec![transferred]),
        ("donor-queries/status/RESOLVED", vec![resolved]),
        ("donor-queries/filtered/statuses", vec![unassigned, resolved, in_progress, pending, transferred]),
        ("donor-queries/filtered/statuses?statuses=IN_PROGRESS", vec![in_progress]),
        ("donor-queries/filtered/statuses?statuses=RESOLVED,TRANSFERRED", vec![resolved, transferred]),
        ("donor-queries/filtered/statuses?statuses=RESOLVED&statuses=TRANSFERRED", vec![resolved, transferred]),
        ("donor-queries/user/Dora%20Donor", vec![unassigned, resolved, in_progress, pending, transferred]),
    ] {
        let list = stock.ada.get(path, 200).await;
        insist(&list.body, &listed(&staff_query_with_messages()));
        let mut found = ids(list.at("/data"));
        found.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "{path}");
        assert_eq!(*list.at("/total"), json!(expected.len()), "{path}");
    }
    let mine = stock.ben.get("donor-queries/transferred-to-me", 200).await;
    insist(&mine.body, &listed(&staff_query_with_messages()));
    assert_eq!((ids(mine.at("/data")), mine.at("/data/0/transferNote")), (vec![transferred], &json!("knows the lab")));
    assert_eq!(*stock.ada.get("donor-queries/transferred-to-me", 200).await.at("/data"), json!([]));
}

#[tokio::test]
async fn one_query_is_read_enveloped_and_bare_and_by_its_donor() {
    let stock = stock().await;
    let id = stock.transferred;
    let one = stock.ada.get(&format!("donor-queries/{id}"), 200).await;
    insist(&one.body, &enveloped(&staff_query_with_messages()));
    let bare = stock.ada.get(&format!("donor-queries/admin/{id}"), 200).await;
    insist(&bare.body, &staff_query_with_messages());
    assert_eq!(one.at("/data"), &bare.body);
    let by_query = stock.donor.get("donor-queries/user?donorId=d-resolved", 200).await;
    insist(&by_query.body, &json!([donor_query()]));
    let by_path = stock.donor.get("donor-queries/donor/d-resolved", 200).await;
    insist(&by_path.body, &enveloped(&json!([donor_query()])));
    assert_eq!(&by_query.body, by_path.at("/data"));
    assert_eq!((ids(&by_query.body), by_query.at("/0/resolvedByUser/name")), (vec![stock.resolved], &json!("Ada")));
    let accepted = json!({ "isAccepted": "bool", "assignedToUser?": staff_member(), "status": "query status" });
    for (id, is_accepted) in
        [(stock.unassigned, false), (stock.in_progress, true), (stock.pending, true), (stock.transferred, false)]
    {
        let answer = stock.ada.get(&format!("donor-queries/{id}/is-accepted"), 200).await;
        insist(&answer.body, &enveloped(&accepted));
        assert_eq!(*answer.at("/data/isAccepted"), json!(is_accepted), "{answer}");
    }
}

#[tokio::test]
async fn a_query_opens_with_the_body_of_either_generation() {
    let desk = desk().await;
    let nobody = Wire(desk.anonymous());
    let opened = with(donor_query(), &json!({ "donorToken": "str" }));
    // The first generation sent along what the server fills in; the second how the donor would like to talk.
    let earlier = json!({ "transferredTo": null, "resolvedById": 17, "transferredToUserId": 1, "transferNote": "x" });
    let later = json!({ "callType": "audio", "fcmToken": "a-push-token-for-tests:17" });
    for (donor, more) in [("d-1", earlier), ("d-2", later)] {
        let answer = nobody.post("donor-queries", with(query_of(donor), &more), 201).await;
        insist(&answer.body, &enveloped(&opened));
        assert_eq!(*answer.at("/data/status"), "PENDING_REPLY", "the answer is not behind the row");
        assert_eq!(*answer.at("/data/messages/0/content"), "Where does the sample go?");
        assert_eq!((answer.at("/data/resolvedById"), answer.at("/data/transferNote")), (&Value::Null, &Value::Null));
    }
    let form = desk.anonymous().request(Method::POST, "/api/v1/donor-queries").form(&query_of("d-3"));
    nobody.send(Method::POST, "donor-queries", form, 201).await;
    let mut silent = query_of("d-4");
    silent.as_object_mut().unwrap().remove("content");
    silent["test"] = json!(5);
    let answer = nobody.post("donor-queries", silent, 201).await;
    assert_eq!((answer.at("/data/status"), answer.at("/data/messages")), (&json!("IN_PROGRESS"), &json!([])));
    assert_eq!(*answer.at("/data/test"), "5", "numbers pass for text");

    let call = nobody.post("donor-queries/start-call", query_of("d-5"), 201).await;
    insist(&call.body, &enveloped(&json!({ "query": opened, "call": donor_call() })));
    assert_eq!(*call.at("/data/call/callType"), "video");

    let twice = nobody.post("donor-queries", query_of("d-1"), 409).await;
    assert!(twice.at("/message").as_str().unwrap().contains("already has an open query"));
    for path in ["donor-queries", "donor-queries/start-call"] {
        for wrong in [None, Some(json!({})), Some(with(query_of("d-6"), &json!({ "donor": "", "callType": "fax" })))] {
            let refused = nobody.ask(Method::POST, path, wrong, 400).await;
            assert_eq!(*refused.at("/message"), "Validation failed", "{refused}");
        }
    }
}

#[tokio::test]
async fn a_query_moves_by_the_methods_and_words_of_every_generation() {
    let desk = desk().await;
    let (ada, ben) = (Wire(desk.staff("ada").await), Wire(desk.staff("ben").await));
    let (donor, id) = desk.donor("d-1").await;
    let path = |step: &str| format!("donor-queries/{id}/{step}");
    let (to_ben, to_ada) = (desk.id_of("ben"), desk.id_of("ada"));
    let by_text = json!({ "adminId": to_ada.to_string() });
    let as_of_old = json!({ "transferredToUserId": to_ben, "transferredTo": "somebody", "transferNote": "n" });
    let reason = json!({ "message": "moving on" });
    for (who, method, step, body, status, becomes) in [
        (&ada, Method::PATCH, "accept", None, 200, "IN_PROGRESS"),
        (&ada, Method::POST, "pending-reply", Some(reason.clone()), 201, "PENDING_REPLY"),
        (&ada, Method::POST, "pending-reply", None, 201, "PENDING_REPLY"),
        (&ada, Method::POST, "in-progress", Some(reason.clone()), 201, "IN_PROGRESS"),
        (&ada, Method::PATCH, "transfer", Some(json!({ "adminId": to_ben })), 200, "TRANSFERRED"),
        (&ada, Method::POST, "send-reminder", None, 201, "TRANSFERRED"),
        (&ada, Method::POST, "send-reminder", Some(json!({ "message": "" })), 201, "TRANSFERRED"),
        (&ada, Method::POST, "send-reminder", Some(json!({ "message": "Please" })), 201, "TRANSFERRED"),
        (&ben, Method::POST, "in-progress", None, 201, "IN_PROGRESS"),
        (&ben, Method::POST, "transfer", Some(by_text), 201, "TRANSFERRED"),
        (&ada, Method::PATCH, "accept", Some(json!({})), 200, "IN_PROGRESS"),
        (&ada, Method::POST, "transfer", Some(as_of_old), 201, "TRANSFERRED"),
        (&ben, Method::PATCH, "accept", None, 200, "IN_PROGRESS"),
        (&ben, Method::PATCH, "resolve", Some(reason), 200, "RESOLVED"),
        (&ben, Method::POST, "resolve", None, 201, "RESOLVED"),
        (&ada, Method::POST, "in-progress", None, 201, "IN_PROGRESS"),
        (&ben, Method::POST, "resolve", None, 201, "RESOLVED"),
    ] {
        let answer = who.ask(method, &path(step), body, status).await;
        insist(&answer.body, &enveloped(&staff_query()));
        assert_eq!(*answer.at("/data/status"), becomes, "after {step}: {answer}");
        assert!(!matches!(step, "accept" | "send-reminder") || answer.at("/message").is_string(), "{answer}");
        if step == "transfer" {
            assert_eq!(answer.at("/data/transferredTo"), answer.at("/data/transferredToUser/name"));
        }
    }
    let donor = Wire(donor);
    let (_, again) = (&donor, donor.post("donor-queries", query_of("d-1"), 201).await);
    let close = format!("donor-queries/{}/donor-close", again.at("/data/id"));
    let closed = donor.post(&close, json!({ "donorId": "d-1" }), 201).await;
    insist(&closed.body, &enveloped(&query()));
    assert_eq!(*closed.at("/data/status"), "RESOLVED");
    assert!(closed.at("/message").is_string());
}

#[tokio::test]
async fn details_change_and_a_query_goes() {
    let desk = desk().await;
    let (ada, sue) = (Wire(desk.staff("ada").await), Wire(desk.staff("sue").await));
    let (donor, id) = desk.donor("d-1").await;
    let path = format!("donor-queries/{id}");
    let own = Wire(donor).patch(&path, json!({ "fcmToken": "a-push-token-for-tests:2" }), 200).await;
    insist(&own.body, &enveloped(&donor_query()));
    let every = json!({
        "donor": "Dora D.", "test": "Blood", "stage": "Lab", "device": "Pixel", "fcmToken": "a-push-token-for-tests:1",
        "queryMode": "Huddle", "assignedToId": 1, "transferNote": "x", "donorId": "d-2",
    });
    let changed = ada.patch(&path, every, 200).await;
    insist(&changed.body, &enveloped(&staff_query()));
    assert_eq!((changed.at("/data/donor"), changed.at("/data/device")), (&json!("Dora D."), &json!("Pixel")));
    assert_eq!((changed.at("/data/donorId"), changed.at("/data/assignedToId")), (&json!("d-1"), &Value::Null));
    ada.ask(Method::PATCH, &path, None, 200).await;
    ada.patch(&path, json!({ "status": "ACCEPTED" }), 400).await;
    let deleted = sue.ask(Method::DELETE, &path, None, 200).await;
    insist(&deleted.body, &enveloped(&json!({ "id": "int" })));
    for who in [&ada, &sue] {
        who.get(&path, 404).await;
    }
}

#[tokio::test]
async fn what_cannot_be_done_has_a_code_of_its_own() {
    let stock = stock().await;
    let Stock { ada, ben, donor, .. } = &stock;
    let post = Method::POST;
    for (who, method, path, body, status, code) in [
        (ada, Method::GET, "donor-queries/999999".to_owned(), None, 404, "query_not_found"),
        (ada, Method::GET, "donor-queries/abc".to_owned(), None, 400, "malformed_id"),
        (ada, Method::GET, "donor-queries/status/OPEN".to_owned(), None, 400, "validation_failed"),
        (ada, Method::GET, "donor-queries/user".to_owned(), None, 400, "validation_failed"),
        (ada, Method::PATCH, "donor-queries/999999/accept".to_owned(), None, 404, "query_not_found"),
        (ben, Method::PATCH, format!("donor-queries/{}/accept", stock.pending), None, 409, "already_assigned"),
        (ada, Method::PATCH, format!("donor-queries/{}/accept", stock.transferred), None, 409, "transferred"),
        (ada, Method::PATCH, format!("donor-queries/{}/accept", stock.resolved), None, 409, "query_closed"),
        (ben, Method::PATCH, format!("donor-queries/{}/resolve", stock.pending), None, 403, "not_holder"),
        (ben, post.clone(), format!("donor-queries/{}/pending-reply", stock.pending), None, 403, "not_holder"),
        (ada, Method::PATCH, format!("donor-queries/{}/transfer", stock.pending), None, 400, "validation_failed"),
        (
            ada,
            Method::PATCH,
            format!("donor-queries/{}/transfer", stock.pending),
            Some(json!({ "adminId": "abc" })),
            400,
            "validation_failed",
        ),
        (ada, post.clone(), format!("donor-queries/{}/send-reminder", stock.pending), None, 409, "not_transferred"),
        (donor, post, format!("donor-queries/{}/donor-close", stock.resolved), None, 409, "query_closed"),
        (ada, Method::DELETE, format!("donor-queries/{}", stock.pending), None, 403, "forbidden"),
    ] {
        let refused = who.ask(method, &path, body, status).await;
        assert_eq!(*refused.at("/code"), code, "{refused}");
    }
    let unknown = json!({ "adminId": 999_999 });
    let refused = ada.0.patch(&format!("/api/v1/donor-queries/{}/transfer", stock.pending), &unknown).await;
    assert!(matches!(refused.status.as_u16(), 400 | 404 | 422), "{refused}");
    Wire(stock.desk.anonymous()).get("donor-queries/general", 401).await;
}

#[tokio::test]
async fn every_list_is_narrowed_by_the_filters_of_both_generations() {
    let stock = stock().await;
    let count = async |path: &str, filter: &str| {
        let list = stock.ada.get(&format!("{path}?{filter}"), 200).await;
        assert_eq!(*list.at("/total"), json!(ids(list.at("/data")).len()), "{path}?{filter}");
        ids(list.at("/data")).len()
    };
    let opened = stock.ada.get(&format!("donor-queries/admin/{}", stock.resolved), 200).await;
    let today = &opened.at("/createdAt").as_str().unwrap()[..10];
    for path in ["general", "unassigned", "my-queries", "in-progress", "pending-reply", "resolved", "transferred"] {
        let path = format!("donor-queries/{path}");
        let all = count(&path, "").await;
        assert!(all > 0, "{path}");
        let keeps = [
            "test=Cheek%20swab&stage=Collection&device=iPhone%2015&queryMode=Video%20Call",
            "test=&stage=&device=&date=&queryMode=Text",
            &format!("date={today}&queryMode=Huddle"),
            "search=dora",
            "search=d-",
            "startDate=2020-01-01",
            &format!("startDate={today}&endDate={today}"),
        ];
        for keep in keeps {
            assert_eq!(count(&path, keep).await, all, "{path}?{keep}");
        }
        for drop in
            ["test=Blood", "stage=Lab", "device=Nokia", "date=2020-01-01", "search=nobody", "endDate=2020-01-01"]
        {
            assert_eq!(count(&path, drop).await, 0, "{path}?{drop}");
        }
    }
    let ada = format!("assignedToId={}", stock.desk.id_of("ada"));
    assert_eq!(count("donor-queries/general", &ada).await, 2);
    let page = stock.ada.get("donor-queries/general?page=2&limit=2", 200).await;
    insist(&page.body, &with(listed(&staff_query_with_messages()), &json!({ "page": "int" })));
    assert_eq!((ids(page.at("/data")).len(), page.at("/total"), page.at("/page")), (1, &json!(3), &json!(2)));
    for wrong in ["page=abc", "date=yesterday", "status=OPEN"] {
        stock.ada.get(&format!("donor-queries/general?{wrong}"), 400).await;
    }
}

#[tokio::test]
async fn a_dashboard_that_asks_for_no_page_gets_more_than_ten_rows() {
    let desk = desk().await;
    let ada = Wire(desk.staff("ada").await);
    for number in 0..12 {
        desk.donor(&format!("d-{number}")).await;
    }
    let list = ada.get("donor-queries/general", 200).await;
    assert_eq!((ids(list.at("/data")).len(), list.at("/total")), (12, &json!(12)));
    assert_eq!(*list.at("/data/0/messages/0/content"), "Where does the sample go?");
    insist(list.at("/data/0/messages"), &json!([message()]));
    let page = ada.get("donor-queries/general?page=2", 200).await;
    assert_eq!((ids(page.at("/data")).len(), page.at("/total")), (2, &json!(12)), "a page has ten rows");
}
