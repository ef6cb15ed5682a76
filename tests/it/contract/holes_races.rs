//! Many at once, and providers that fail in between: nothing twice, nothing half-done. The numbers are those of
//! [`super::holes`].

use std::time::Duration;

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use super::wire::Wire;
use crate::stubs::daily::{DailyStub, Fault};
use crate::support::app::{Answer, Client};
use crate::support::desk::{Desk, desk, desk_with};
use crate::support::eventually::eventually;

fn calls(path: &str) -> String {
    format!("/api/v1/communication/call/{path}")
}

async fn nothing(client: &Client, path: &str) -> Answer {
    client.send(client.request(Method::POST, path)).await
}

/// Everything the desk tells, in order.
async fn told(staff: &Client) -> Vec<Value> {
    staff.get("/api/v1/events?after=0&limit=200").await.expect(200).at("/events").as_array().unwrap().clone()
}

async fn desk_with_call() -> (Desk, Client, Client, i64, String) {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    let begun = nothing(&ada, &calls(&id.to_string())).await.expect(201);
    let room = begun.at("/data/callSession/roomName").as_str().unwrap().to_owned();
    (desk, ada, donor, id, room)
}

/// R4: two admins could accept the same request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_accept_one_request_begin_one_call() {
    let desk = desk().await;
    let (donor, id) = desk.donor("d-1").await;
    let people = [desk.staff("ada").await, desk.staff("ben").await, desk.staff("sue").await];
    nothing(&donor, &calls(&format!("{id}/request"))).await.expect(201);
    let path = calls(&format!("{id}/accept-request/0"));
    let answers = join_all((0..9).map(|turn| nothing(&people[turn % 3], &path))).await;
    let begun = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(begun, 1, "{answers:#?}");
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.status.is_client_error()), "{answers:#?}");
    let held = people[2].get(&calls(&format!("calls/{id}"))).await.expect(200);
    assert_eq!(held.at("/data/callSessions").as_array().unwrap().len(), 1);
}

/// R6: a transition, its message and the end of its call were written one after the other, each for itself.
#[tokio::test]
async fn everything_that_a_command_does_is_one_append() {
    let (_desk, ada, _, id, _) = desk_with_call().await;
    let before = ada.get(&format!("/api/v1/donor-queries/{id}")).await.expect(200);
    let resolved = ada.patch(&format!("/api/v1/donor-queries/{id}/resolve"), &json!({})).await.expect(200);
    let position = |answer: &Answer| answer.header("concierge-position").parse::<i64>().unwrap();
    let (first, last) = (position(&before) + 1, position(&resolved));
    let facts = told(&ada).await;
    let of_command: Vec<_> = facts.iter().filter(|fact| fact["position"].as_i64() >= Some(first)).collect();
    // The answer stands at the last fact of all, the one about the call's own stream included.
    assert_eq!(of_command.last().unwrap()["position"], json!(last), "{of_command:#?}");
    for name in ["QueryResolved", "MessagePosted", "CallDetached", "CallEnded"] {
        assert!(of_command.iter().any(|fact| fact["event"] == name), "no {name} in {of_command:#?}");
    }
    let times: Vec<_> = of_command.iter().map(|fact| &fact["at"]).collect();
    assert!(times.iter().all(|at| *at == times[0]), "not at one time: {of_command:#?}");
}

/// R7: an end that the provider did not hear of was answered with 500, and its room stayed open.
#[tokio::test]
async fn a_call_ends_while_its_provider_is_down_and_its_room_closes_later() {
    let stub = DailyStub::start().await;
    let desk = desk_with(|config| stub.configure(config)).await;
    let ada = desk.staff("ada").await;
    let (_, id) = desk.donor("d-1").await;
    let begun = nothing(&ada, &calls(&id.to_string())).await.expect(201);
    assert_eq!(stub.rooms().len(), 1);
    stub.fail_next([Fault::Broken; 3]);
    let room = begun.at("/data/callSession/roomName").as_str().unwrap();
    nothing(&ada, &calls(&format!("{room}/end"))).await.expect(201);
    eventually(Duration::from_secs(30), async || stub.rooms(), Vec::is_empty).await;
}

/// R9: whoever started a call within ten seconds after a request got the request's message for it.
#[tokio::test]
async fn a_call_right_after_an_answered_request_is_a_call_of_its_own() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    let (donor, id) = desk.donor("d-1").await;
    nothing(&donor, &calls(&format!("{id}/request"))).await.expect(201);
    let answered = nothing(&ada, &calls(&format!("{id}/accept-request"))).await.expect(201);
    let room = answered.at("/data/callSession/roomName").as_str().unwrap();
    nothing(&ada, &calls(&format!("{room}/end"))).await.expect(201);
    let own = nothing(&ada, &calls(&id.to_string())).await.expect(201);
    assert_eq!(*own.at("/data/callSession/callRequestId"), Value::Null);
    assert!(own.at("/data").get("callRequest").is_none(), "{own}");
    let said = ada.get(&format!("/api/v1/messages/query/{id}")).await.expect(200);
    let started: Vec<_> =
        said.at("/data").as_array().unwrap().iter().filter(|said| said["messageType"] == "CALL_STARTED").collect();
    assert_eq!(started.len(), 1, "{said}");
    assert_eq!(started[0]["callSessionId"], *own.at("/data/callSession/id"));
}

/// R10: the status that a message brought was written over a resolve that came between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_never_undoes_a_resolve() {
    let desk = desk().await;
    let ada = desk.staff("ada").await;
    for round in 0..3 {
        let (donor, id) = desk.donor(&format!("d-{round}")).await;
        ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
        let (path, what) = (format!("/api/v1/messages/donor/{id}"), json!({ "content": "And?" }));
        let says = join_all((0..10).map(|_| donor.post(&path, &what)));
        let path = format!("/api/v1/donor-queries/{id}/resolve");
        let resolve = nothing(&ada, &path);
        let (said, resolved) = join(says, resolve).await;
        resolved.expect(201);
        assert!(said.iter().all(|answer| answer.status == 201), "{said:#?}");
        let after = ada.get(&format!("/api/v1/donor-queries/{id}")).await.expect(200);
        assert_eq!(*after.at("/data/status"), "RESOLVED");
    }
}

/// R8: a second end moved the first, and said so a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_many_end_at_once_ends_once() {
    let (_desk, ada, donor, id, room) = desk_with_call().await;
    let (end, donor_end) = (calls(&format!("{room}/end")), calls(&format!("{room}/donor-end")));
    let ends = (0..8).map(|turn| if turn % 2 == 0 { nothing(&ada, &end) } else { nothing(&donor, &donor_end) });
    let answers = join_all(ends).await;
    let ended: Vec<_> = answers.into_iter().map(|answer| answer.expect(201).at("/data/endedAt").clone()).collect();
    assert!(ended.iter().all(|at| *at == ended[0]), "{ended:?}");
    assert_eq!(told(&ada).await.iter().filter(|fact| fact["event"] == "CallEnded").count(), 1);
    Wire(ada).get(&format!("donor-queries/{id}"), 200).await;
}
