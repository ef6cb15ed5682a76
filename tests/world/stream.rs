//! A look into the stream of facts in NATS, without any of the service's code.

use async_nats::jetstream::Context;
use async_nats::{ConnectOptions, ServerAddr};
use futures_util::{StreamExt, stream};
use proof_concierge::config::Config;
use uuid::Uuid;

/// How many messages are asked for at a time.
const AT_ONCE: usize = 32;

/// JetStream and the name of a desk's stream.
pub(crate) async fn jetstream(config: &Config) -> (Context, String) {
    let servers: Vec<ServerAddr> = config.nats_url.expose().split(',').map(|url| url.parse().unwrap()).collect();
    let (user, password) =
        servers[0].username().zip(servers[0].password()).expect("the test servers ask for a password");
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let client = options.connect(servers).await.unwrap();
    (async_nats::jetstream::new(client), format!("{}_EVENTS", config.nats_prefix.to_uppercase()))
}

/// The name of the server that leads the stream, if the others have all that it has.
pub(crate) async fn leader_of_all(context: &Context, name: &str, others: usize) -> Option<String> {
    let stream = context.get_stream(name).await.ok()?;
    let cluster = stream.cached_info().cluster.as_ref()?;
    let are_complete = cluster.replicas.iter().filter(|peer| peer.current && !peer.offline).count() == others;
    cluster.leader.clone().filter(|_| are_complete)
}

/// Places and ids of all messages in the stream; nothing of either for what is not a fact.
///
/// Asks the stream itself (`direct_get`), not the server's API: nats-server 2.9.10 crashes on a `STREAM.MSG.GET` for a
/// stream that is being created at that moment, and the relay creates streams anew while tests look at them.
pub(crate) async fn facts_in(context: &Context, name: &str) -> Vec<(i64, Uuid)> {
    let Ok(stream) = context.get_stream(name).await else { return Vec::new() };
    let state = stream.cached_info().state.clone();
    let look = |sequence| {
        let stream = &stream;
        async move {
            let message = stream.direct_get(sequence).await.ok()?;
            let header = |name: &str| message.headers.get(name).map_or("", |value| value.as_str());
            let position = header("Concierge-Position").parse().unwrap_or_default();
            Some((position, header("Nats-Msg-Id").parse().unwrap_or_default()))
        }
    };
    let seen = stream::iter(state.first_sequence..=state.last_sequence).map(look).buffered(AT_ONCE);
    seen.filter_map(std::future::ready).collect().await
}
