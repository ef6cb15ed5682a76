//! A NATS that forgets everything, loses something, or says something twice.

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Config;

use super::{all_is_well, busy, plan};
use crate::world::World;
use crate::world::stream::{facts_in, jetstream};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_forgotten() {
    let mut world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    for _ in 0..2 {
        at_work.0.answered(20).await;
        world.wipe_nats();
    }
    all_is_well(&world, at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_lost() {
    let mut world = World::start(plan(2)).await;
    world.is_stream_torn = true;
    let at_work = busy(&world).await;
    let (context, name) = jetstream(&world.config).await;
    let mut lost = 0;
    for _ in 0..4 {
        at_work.0.answered(15).await;
        lost += tear(&context, &name).await;
    }
    assert!(lost > 0);
    all_is_well(&world, at_work).await;
}

/// Has the server forget all but the last fact of a kind of every query; how many that were. The stream allows nobody to
/// delete a message of their choice.
async fn tear(context: &Context, name: &str) -> usize {
    let stream = context.get_stream(name).await.unwrap();
    let (kept, before) = (stream.cached_info().config.clone(), facts_in(context, name).await);
    // Only a limit that is lower than another one makes the server look at what it has.
    for most in [1_000, 1, kept.max_messages_per_subject] {
        context.update_stream(&Config { max_messages_per_subject: most, ..kept.clone() }).await.unwrap();
    }
    let after = facts_in(context, name).await;
    before.iter().filter(|fact| !after.contains(fact)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_twice() {
    let world = World::start(plan(2)).await;
    let at_work = busy(&world).await;
    let (context, name) = jetstream(&world.config).await;
    for back in [0, 1, 10] {
        at_work.0.answered(8).await;
        let stream = context.get_stream(&name).await.unwrap();
        let state = &stream.cached_info().state;
        let message =
            stream.direct_get(state.last_sequence.saturating_sub(back).max(state.first_sequence)).await.unwrap();
        let mut headers = HeaderMap::new();
        // Without what belongs to the server, such as the id by which it would know the message again.
        for (name, values) in message.headers.iter().filter(|(name, _)| !name.to_string().starts_with("Nats-")) {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
        context.publish_with_headers(message.subject, headers, message.payload).await.unwrap().await.unwrap();
    }
    all_is_well(&world, at_work).await;
}
