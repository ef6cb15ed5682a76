//! The live feed over real sockets.

mod cuts;
mod desk;
mod doors;
mod socketio;

use aggregates::ids::QueryId;
use aggregates::recorded::Event;
use aggregates::testing::{accepted_by, ada, ben, deleted_by, recorded, reminded, transferred};
use futures_util::StreamExt;
use proof_concierge::push::hub::QUEUE;
use serde_json::{Value, json};

use self::desk::{Desk, Heard, message, opened_by};
use crate::support::eventually::eventually;

const ONE: QueryId = QueryId::new(1);
const TWO: QueryId = QueryId::new(2);
const THREE: QueryId = QueryId::new(3);

fn names(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["event"].as_str().or(line["type"].as_str()).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_was_missed_comes_first_then_what_happens() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1), accepted_by(&ada())]).await;
    let mut socket = desk.listen(&desk.staff_token().await, Some(1)).await;
    assert_eq!(names(&socket.until("live").await), ["QueryAccepted", "live"]);

    desk.append(ONE, 2, vec![message(1, "Hello")]).await;
    let fact = socket.fact().await;
    assert_eq!((&fact["position"], &fact["version"], &fact["queryId"]), (&json!(3), &json!(3), &json!(1)));
    assert_eq!(fact["data"]["content"], "Hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_of_unknown_donors_does_not_stop_the_feed() {
    let desk = Desk::open().await;
    let other = desk.log_of_another_node();
    let burst = (1..=300).map(|donor: i64| {
        desk::append(&other, QueryId::new(donor), 0, vec![opened_by(u128::from(donor.unsigned_abs()))])
    });
    // No more at once than a busy machine writes before the patience of the pool of connections ends.
    futures_util::stream::iter(burst).buffer_unordered(64).collect::<Vec<_>>().await;
    eventually(desk::LIMIT, async || desk.push.hub().passed().0, |passed| *passed == 300).await;
}

#[tokio::test]
async fn who_asks_for_no_past_hears_only_what_happens() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1)]).await;
    let mut socket = desk.listen(&desk.staff_token().await, None).await;
    let live = socket.line().await;
    assert_eq!((&live["type"], &live["position"]), (&json!("live"), &json!(1)));
    desk.append(ONE, 1, vec![accepted_by(&ada())]).await;
    assert_eq!(socket.fact().await["position"], 2);
}

#[tokio::test]
async fn a_donor_hears_own_queries_and_nothing_else() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1), transferred(&ada(), &ben()), reminded(&ada(), &ben())]).await;
    desk.append(TWO, 0, vec![opened_by(2)]).await;
    let mut socket = desk.listen(&desk.donor_token(1), Some(0)).await;
    let past = socket.until("live").await;
    assert_eq!(names(&past), ["QueryOpened", "QueryTransferred", "live"]);
    assert!(past[1]["data"].get("note").is_none());

    desk.append(TWO, 1, vec![message(1, "not for donor 1")]).await;
    desk.append(THREE, 0, vec![opened_by(1)]).await;
    desk.append(ONE, 3, vec![deleted_by(&ada())]).await;
    assert_eq!(socket.fact().await["queryId"], 3);
    let deleted = socket.fact().await;
    assert_eq!((&deleted["queryId"], &deleted["data"]), (&json!(1), &json!({ "deleted": true })));

    let mut again = desk.listen(&desk.donor_token(1), Some(0)).await;
    let past = names(&again.until("live").await);
    assert_eq!(past, ["QueryOpened", "QueryTransferred", "QueryOpened", "QueryDeleted", "live"]);
}

#[tokio::test]
async fn who_missed_too_much_is_told_to_read_again() {
    let desk = Desk::with_replay_limit(5).await;
    desk.append(ONE, 0, vec![opened_by(1)]).await;
    let staff = desk.staff_token().await;
    let messages = (2..=20).map(|number| message(number, "again")).collect();
    desk.append(ONE, 1, messages).await;

    for (token, after) in [(&staff, 1), (&staff, 1_000), (&desk.donor_token(1), 0)] {
        let mut socket = desk.listen(token, Some(after)).await;
        let lines = socket.until("live").await;
        assert_eq!(names(&lines), ["resync", "live"]);
        assert_eq!((&lines[0]["head"], &lines[1]["position"]), (&json!(20), &json!(20)));
    }
}

#[tokio::test]
async fn who_comes_back_from_a_history_that_was_lost_is_told_to_read_again() {
    let desk = Desk::open().await;
    desk.append(ONE, 0, vec![opened_by(1), message(1, "Hello")]).await;
    let staff = desk.staff_token().await;
    let live = desk.listen(&staff, None).await.line().await;
    let epoch = live["epoch"].as_str().unwrap();
    let page = format!("/api/v1/events?after=1&epoch={epoch}");
    let known = desk.client(&staff).get(&page).await.expect(200);
    assert_eq!((known.at("/resync"), known.at("/next"), known.at("/epoch")), (&json!(false), &json!(2), &json!(epoch)));
    for (of, told) in [(epoch, ["MessagePosted", "live"]), ("another", ["resync", "live"])] {
        let mut socket = desk.connect().await;
        socket.say(&json!({ "type": "hello", "token": staff, "after": 1, "epoch": of })).await;
        assert_eq!(names(&socket.until("live").await[1..]), told);
    }

    desk.take_back().await;
    let restored = desk.another_node().await.with_token(&staff);
    let lost = restored.get(&page).await.expect(200);
    assert_eq!((lost.at("/resync"), lost.at("/next")), (&json!(true), &json!(2)));
    assert_eq!(*lost.at("/events"), json!([]));
    let goes_on = format!("/api/v1/events?after=2&epoch={}", lost.at("/epoch").as_str().unwrap());
    assert_eq!(*restored.get(&goes_on).await.expect(200).at("/resync"), json!(false));
    let says_none = restored.get("/api/v1/events?after=1").await.expect(200);
    assert_eq!((says_none.at("/resync"), says_none.at("/next")), (&json!(false), &json!(2)));
}

#[tokio::test]
async fn who_does_not_read_is_let_go_and_told_where_to_resume() {
    let desk = Desk::open().await;
    let mut socket = desk.listen(&desk.staff_token().await, None).await;
    socket.until("live").await;

    let longest = QUEUE * 100;
    let words = "not read by anybody ".repeat(200);
    for position in 1..i64::try_from(longest).unwrap() {
        let mut fact = recorded(Event::DonorQuery(message(position, &words)));
        fact.position.0 = position;
        desk.push.hub().deliver(&fact);
    }
    let mut last = 0;
    let (code, reason) = loop {
        match socket.hear().await {
            Heard::Line(line) => {
                assert_eq!(line["position"], last + 1);
                last += 1;
            }
            Heard::Closed(code, reason) => break (code, reason),
        }
    };
    assert_eq!((code, reason), (1013, format!("slow consumer, resume after {last}")));
    assert!(last < i64::try_from(longest).unwrap() - 1);
}
