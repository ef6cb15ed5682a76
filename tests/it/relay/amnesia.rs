//! A NATS that loses, forgets, repeats or contradicts.

use std::path::Path;
use std::process::Command;

use aggregates::recorded::Position;
use proof_concierge::bus::{Bus, BusError, LastMessage, Seal};
use proof_concierge::config::Secret;
use proof_concierge::relay;
use sqlx::Executor;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::support::eventually::eventually;
use crate::support::node;
use crate::support::stream::{Desk, LIMIT, desk, desk_with_nats};

/// A relay in the background, gone with this value.
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn relay_in_background(desk: &Desk) -> Running {
    let options = desk.database.pool.connect_options().as_ref().clone();
    let run = relay::run(desk.log.clone(), desk.bus.clone(), options, CancellationToken::new());
    Running(tokio::spawn(run).abort_handle())
}

fn copy(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).ok();
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[tokio::test]
async fn a_wiped_nats_is_refilled() {
    let (desk, mut nats, _) = desk_with_nats().await;
    let _relay = relay_in_background(&desk);
    desk.append_histories(1..=10, 9).await;
    desk.stream_equals_log().await;
    nats.stop();
    nats.wipe().unwrap();
    desk.append_histories(11..=12, 9).await;
    nats.restart().unwrap();
    desk.stream_equals_log().await;
    desk.append_histories(13..=14, 9).await;
    desk.stream_equals_log().await;
}

#[tokio::test]
async fn a_killed_nats_goes_on_where_it_was() {
    let (desk, mut nats, _) = desk_with_nats().await;
    let _relay = relay_in_background(&desk);
    desk.append_histories(1..=5, 9).await;
    nats.kill();
    desk.append_histories(6..=10, 9).await;
    nats.restart().unwrap();
    desk.append_histories(11..=15, 9).await;
    desk.stream_equals_log().await;
}

#[tokio::test]
async fn a_stream_that_went_backwards_is_continued_from_there() {
    let (desk, mut nats, store) = desk_with_nats().await;
    let _relay = relay_in_background(&desk);
    let older = store.with_extension("older");
    desk.append_histories(1..=5, 9).await;
    desk.stream_equals_log().await;
    nats.stop();
    copy(&store, &older);
    nats.restart().unwrap();
    desk.append_histories(6..=10, 9).await;
    desk.stream_equals_log().await;
    nats.stop();
    copy(&older, &store);
    nats.restart().unwrap();
    desk.stream_equals_log().await;
}

#[tokio::test]
async fn a_stream_whose_beginning_was_cut_off_still_ends_like_the_log() {
    let desk = desk().await;
    let _relay = relay_in_background(&desk);
    desk.append_histories(1..=5, 9).await;
    desk.stream_equals_log().await;
    let (context, name) = desk.jetstream().await;
    let mut cut = context.get_stream(&name).await.unwrap().cached_info().config.clone();
    cut.max_messages = 7;
    context.update_stream(&cut).await.unwrap();
    desk.append_histories(6..=8, 9).await;
    let expected = desk.in_log().await.split_off(8 * 9 - 7);
    eventually(LIMIT, async || desk.in_stream().await, |seen| *seen == expected).await;
}

#[tokio::test]
async fn a_deleted_stream_is_refilled_with_the_next_fact() {
    let desk = desk().await;
    let _relay = relay_in_background(&desk);
    desk.append_histories(1..=5, 9).await;
    desk.stream_equals_log().await;
    let (context, name) = desk.jetstream().await;
    context.delete_stream(&name).await.unwrap();
    desk.append_histories(6..=6, 3).await;
    desk.stream_equals_log().await;
}

#[tokio::test]
async fn a_stream_of_another_log_is_thrown_away() {
    let old = desk().await;
    let relay = relay_in_background(&old);
    old.append_histories(1..=5, 9).await;
    old.stream_equals_log().await;
    drop(relay);
    // As after a restore from an old backup: the same names in NATS, but a shorter log.
    let mut restored = desk().await;
    restored.config.nats_prefix.clone_from(&old.config.nats_prefix);
    restored.bus = old.bus.clone();
    restored.append_histories(1..=2, 9).await;
    let _relay = relay_in_background(&restored);
    restored.stream_equals_log().await;
}

#[tokio::test]
async fn facts_that_the_log_lost_are_not_published_again() {
    let mut desk = desk().await;
    let relay = relay_in_background(&desk);
    desk.append_histories(1..=4, 3).await;
    desk.stream_equals_log().await;
    drop(relay);
    // As after a fail-over to a replica that was behind: this node remembers more than there is.
    let lose = "alter table events disable trigger user; delete from events where position > 9";
    desk.database.pool.execute(lose).await.unwrap();
    let _relay = relay_in_background(&desk);
    desk.log = node::log(&desk.database);
    for query in 5..=8 {
        desk.append_histories([query], 1).await;
        desk.stream_equals_log().await;
    }
}

#[tokio::test]
async fn a_stream_that_is_configured_otherwise_is_refused() {
    let desk = desk().await;
    let (context, name) = desk.jetstream().await;
    let subjects = vec![format!("{}.events.>", desk.config.nats_prefix)];
    let other = async_nats::jetstream::stream::Config { name, subjects, ..Default::default() };
    context.create_stream(other).await.unwrap();
    let refused = desk.bus.ensure_stream().await;
    assert!(matches!(refused, Err(BusError::Mismatch { field: "max_age", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_start_without_nats_is_no_obstacle() {
    let (mut desk, mut nats, _) = desk_with_nats().await;
    nats.stop();
    desk.bus = node::bus(&desk.config).await;
    let _relay = relay_in_background(&desk);
    desk.append_histories(1..=2, 9).await;
    assert!(matches!(desk.bus.last_message().await, Err(BusError::Disconnected)));
    nats.restart().unwrap();
    desk.stream_equals_log().await;
    let last = desk.bus.last_message().await.unwrap();
    assert!(matches!(last, LastMessage::Fact { position: Position(18), sequence: 18, .. }), "{last:?}");
}

#[tokio::test]
async fn an_address_or_prefix_that_makes_no_sense_is_refused_without_repeating_it() {
    let refused = |url: &'static str, prefix: &'static str| async move {
        Bus::connect(&Secret::new(url), prefix, Seal::new(&[7; 32])).await.err().expect("it is refused").to_string()
    };
    assert!(!refused("nats://ada:secret@[", "desk").await.contains("secret"));
    assert!(refused("nats://127.0.0.1", "a.b").await.contains("a.b"));
}
