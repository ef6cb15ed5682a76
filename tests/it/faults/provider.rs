//! A provider that hangs: the desk goes on, and what was to be told is told when it wakes up.

use std::collections::HashSet;

use super::{all_is_well, busy, plan};
use crate::stubs::daily::{DailyStub, Fault, KEY};
use crate::stubs::fcm::{FcmStub, Say};
use crate::world::World;

/// How many messages are never answered.
const UNANSWERED: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn notes_that_are_never_answered_are_sent_again() {
    let provider = FcmStub::start().await;
    for _ in 0..UNANSWERED {
        provider.answer(Say::Nothing);
    }
    let plan = plan(2)
        .with("CONCIERGE_PUSH__FCM_SERVICE_ACCOUNT", provider.key_file().to_string())
        .with("CONCIERGE_PUSH__FCM_BASE_URL", provider.base_url())
        .with("CONCIERGE_PUSH__TIMEOUT_MS", "500");
    let mut world = World::start(plan).await;
    let at_work = busy(&world).await;
    at_work.0.answered(30).await;
    // Whatever it has taken and not recorded is somebody else's then.
    world.nodes[0].kill();
    at_work.0.answered(30).await;
    world.nodes[0].start();
    all_is_well(&world, at_work).await;

    let recorded: Vec<Option<String>> =
        sqlx::query_scalar("select provider_id from deliveries where channel = 'push' and state = 'sent'")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let known: HashSet<_> = provider.receipts().into_iter().collect();
    let receipts: HashSet<_> = recorded.iter().flatten().cloned().collect();
    assert!(recorded.len() > UNANSWERED, "{recorded:?}");
    assert_eq!(receipts.len(), recorded.len(), "a receipt for each");
    assert!(receipts.is_subset(&known), "{receipts:?} are not of {known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_begin_once_their_provider_answers_again() {
    let provider = DailyStub::start().await;
    let plan = plan(2)
        .with("DAILY_API_KEY", KEY)
        .with("CONCIERGE_CALLS__DAILY_BASE_URL", provider.base_url())
        .with("CONCIERGE_CALLS__DAILY_PATIENCE_MS", "500");
    let mut world = World::start(plan).await;
    // Some are asked for a room and say nothing; some make it and lose the answer.
    provider.fail_next((0..UNANSWERED).flat_map(|_| [Fault::Hanging, Fault::Lost]));
    let at_work = busy(&world).await;
    at_work.0.answered(60).await;
    world.nodes[0].kill();
    at_work.0.answered(60).await;
    world.nodes[0].start();
    all_is_well(&world, at_work).await;

    let asked = provider.asked_for().iter().filter(|asked| *asked == "POST /rooms").count();
    let over: Vec<String> = sqlx::query_scalar("select room_name from read.calls where ended_at is not null")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert!(!over.is_empty() && asked > over.len(), "{asked} rooms were asked for, {over:?} are over");
    let left: Vec<_> = provider.rooms().into_iter().filter(|room| over.contains(room)).collect();
    assert!(left.is_empty(), "a call that is over has no room: {left:?}");
}
