//! Who is let in, and how the three mouths say the same.

use std::time::Duration;

use aggregates::ids::QueryId;
use aggregates::recorded::Event;
use aggregates::testing::{accepted_by, ada, recorded};
use proof_concierge::push::hub::QUEUE;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::desk::{Desk, Heard, LIMIT, message, opened_by};
use crate::support::eventually::eventually;

const ONE: QueryId = QueryId::new(1);
const TWO: QueryId = QueryId::new(2);

#[tokio::test]
async fn a_socket_without_a_good_token_is_closed() {
    let desk = Desk::open().await;
    for greeting in [json!({ "type": "hello", "token": "nonsense" }), json!({ "type": "ping" }), json!([])] {
        let mut socket = desk.connect().await;
        socket.say(&greeting).await;
        assert!(matches!(socket.hear().await, Heard::Closed(4401, _)), "{greeting}");
    }
}

#[tokio::test]
async fn a_socket_is_told_what_is_wrong_with_its_greeting() {
    let desk = Desk::open().await;
    let long = json!({ "type": "hello", "token": "x".repeat(100_000) });
    let odd = json!({ "type": "hello", "token": desk.staff_token().await, "after": "soon" });
    for (greeting, expected) in [(long, 1009), (odd, 4400)] {
        let mut socket = desk.connect().await;
        socket.say(&greeting).await;
        let Heard::Closed(code, reason) = socket.hear().await else { panic!("should be closed") };
        assert_eq!(code, expected, "{reason}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_answered_and_forgiven() {
    let desk = Desk::open().await;
    let mut socket = desk.listen(&desk.staff_token().await, None).await;
    socket.until("live").await;
    for (said, code) in [
        (json!({ "type": "dance" }), "UNKNOWN_TYPE"),
        (json!("dance"), "NOT_UNDERSTOOD"),
        (json!({ "type": "hello", "token": "again" }), "ALREADY_GREETED"),
    ] {
        socket.say(&said).await;
        let answer = socket.line().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)));
    }
    socket.say(&json!({ "type": "ping" })).await;
    assert_eq!(socket.line().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn an_account_that_is_switched_off_loses_its_sockets() {
    let desk = Desk::open().await;
    let token = desk.staff_token().await;
    let mut socket = desk.listen(&token, None).await;
    socket.until("live").await;
    let ada = desk.accounts.list().values().next().unwrap().id;
    desk.accounts.set_active(ada, false).await.unwrap();
    assert_eq!(socket.hear().await, Heard::Closed(4401, "token is no longer valid".to_owned()));
}

#[tokio::test]
async fn a_stopping_node_says_goodbye() {
    let desk = Desk::open().await;
    let mut socket = desk.listen(&desk.staff_token().await, None).await;
    socket.until("live").await;
    let mut stream = stream(&desk, "", None).await;
    heard(&mut stream, "event: live").await;
    desk.stop.cancel();
    assert_eq!(socket.hear().await, Heard::Closed(1001, "going away, resume after 0".to_owned()));
    let goodbye = heard(&mut stream, "event: close").await;
    assert!(goodbye.contains(r#""resumeAfter":0"#), "{goodbye}");
    assert_eq!(timeout(LIMIT, stream.chunk()).await.unwrap().unwrap(), None, "the stream ends after the goodbye");
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_id() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1), accepted_by(&ada())]).await;
    let mut stream = stream(&desk, "", Some(1)).await;
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    let past = heard(&mut stream, "event: live").await;
    assert!(!past.contains("QueryOpened") && past.contains("QueryAccepted"), "{past}");
    assert!(past.contains("id: 2\n"), "{past}");
    desk.append(ONE, 2, vec![message(1, "Hello")]).await;
    heard(&mut stream, "id: 3\n").await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_gives_its_seat_back() {
    let desk = Desk::with_one_seat().await;
    let token = desk.staff_token().await;
    let mut stalled = desk.connect_bare().await;
    let request = format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\n\r\n");
    stalled.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("event: live") {
        assert!(timeout(LIMIT, stalled.read_buf(&mut heard)).await.unwrap().unwrap() > 0);
    }
    let again = desk.client(&token);
    let again = async || again.request(Method::GET, "/api/v1/events/stream").send().await.unwrap().status();
    assert_eq!(again().await, StatusCode::SERVICE_UNAVAILABLE);

    let words = "not read by anybody ".repeat(2_000);
    for position in 1..=i64::try_from(QUEUE).unwrap() {
        let mut fact = recorded(Event::DonorQuery(message(position, &words)));
        fact.position.0 = position;
        desk.push.hub().deliver(&fact);
    }
    eventually(2 * LIMIT, again, |status| *status == StatusCode::OK).await;
}

#[tokio::test]
async fn a_ticket_opens_streams_on_every_node_while_its_token_is_good() {
    let desk = Desk::open().await;
    let client = desk.client(&desk.staff_token().await);
    let bought = client.post("/api/v1/events/ticket", &json!({})).await.expect(201).body;
    assert_eq!(bought["expiresIn"], 30);
    let ticket = bought["ticket"].as_str().unwrap();
    let path = format!("/api/v1/events/stream?ticket={ticket}");
    let other = desk.another_node().await;
    let anonymous = desk.client("");
    // A browser that lost its stream at once comes back with the same address.
    for node in [&other, &anonymous, &anonymous] {
        let mut stream = node.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(stream.status(), StatusCode::OK);
        heard(&mut stream, "event: live").await;
    }
    desk.client(ticket).post("/api/v1/events/ticket", &json!({})).await.expect(401);
    let token = desk.staff_token().await;
    anonymous.get(&format!("/api/v1/events/stream?ticket={token}")).await.expect(401);
    let ada = desk.accounts.list().values().next().unwrap().id;
    desk.accounts.set_active(ada, false).await.unwrap();
    anonymous.get(&path).await.expect(401);
}

#[tokio::test]
async fn pages_tell_the_same_as_sockets() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1), accepted_by(&ada()), message(1, "Hello")]).await;
    desk.append(TWO, 0, vec![opened_by(2)]).await;
    let staff = desk.client(&desk.staff_token().await);
    let mut socket = desk.listen(&desk.staff_token().await, Some(0)).await;
    let (mut after, mut head) = (0, 4);
    while after < head {
        let page = staff.get(&format!("/api/v1/events?after={after}&limit=2")).await.expect(200).body;
        for event in page["events"].as_array().unwrap() {
            assert_eq!(*event, socket.fact().await);
        }
        (after, head) = (page["next"].as_i64().unwrap(), page["head"].as_i64().unwrap().max(head));
    }

    let lost = staff.get("/api/v1/events?after=1000").await.expect(200).body;
    let expected = json!({ "events": [], "next": 4, "head": 4, "resync": true, "epoch": lost["epoch"] });
    assert_eq!(lost, expected);
    let donor = desk.client(&desk.donor_token(2));
    let page = donor.get("/api/v1/events").await.expect(200).body;
    assert_eq!(page["events"].as_array().map(Vec::len), Some(1));
    donor.get("/api/v1/events?query=1").await.expect(404);
    donor.get("/api/v1/events?limit=0").await.expect(400);
    let garbled = donor.get("/api/v1/events?after=soon").await.expect(400).body;
    assert_eq!(garbled["statusCode"], 400);
    let nobody = desk.client("nonsense").get("/api/v1/events").await.expect(401).body;
    assert_eq!((&nobody["statusCode"], &nobody["code"]), (&json!(401), &json!("unauthorized")));
}

async fn stream(desk: &Desk, query: &str, last_event_id: Option<i64>) -> Response {
    let client = desk.client(&desk.staff_token().await);
    let mut request = client.request(Method::GET, &format!("/api/v1/events/stream{query}"));
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = timeout(Duration::from_secs(10), request.send()).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response
}

/// Reads a stream until the end of the event that holds some text.
async fn heard(stream: &mut Response, wanted: &str) -> String {
    let mut heard = String::new();
    while !(heard.contains(wanted) && heard.ends_with("\n\n")) {
        let chunk = timeout(LIMIT, stream.chunk()).await.unwrap_or_else(|_| panic!("only heard {heard}"));
        heard.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream goes on")).unwrap());
    }
    heard
}
