//! Running the same thing many times at once and saying how long it took.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Builder;

use crate::client::Client;

/// How long things took, sorted.
pub(crate) struct Timings {
    sorted: Vec<Duration>,
    elapsed: Duration,
    failures: usize,
}

impl Timings {
    pub(crate) fn new(mut taken: Vec<Duration>, elapsed: Duration, failures: usize) -> Self {
        taken.sort_unstable();
        Self { sorted: taken, elapsed, failures }
    }

    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index between 0 and the last")]
        let index = (last as f64 * part).round() as usize;
        self.sorted.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn milliseconds(&self, part: f64) -> f64 {
        self.quantile(part).as_secs_f64() * 1_000.0
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.sorted.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn failures(&self) -> usize {
        self.failures
    }
}

/// Runs on one thread, as every generator of load does: clients that wait need no more, and take no core from the desk.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Runs on all cores: for parts of the service that run in this process, and for bulk loads.
pub(crate) fn on_all_threads<T>(work: impl Future<Output = T>) -> T {
    Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// Runs `once` over and over with `clients` connected clients until the time is up. `once` gets its client, the client's
/// number and its turn, and says whether it succeeded. The first tenth of the time does not count.
pub(crate) fn hammer(
    address: SocketAddr,
    clients: usize,
    time: Duration,
    once: impl AsyncFn(&mut Client, usize, usize) -> bool,
) -> Timings {
    on_one_thread(async {
        let mut connected = Vec::with_capacity(clients);
        for _ in 0..clients {
            let mut client = Client::new(address);
            client.connect().await.unwrap();
            connected.push(client);
        }
        repeat(connected, time, once).await
    })
}

/// [`hammer`] with whatever each client needs in place of a connection.
pub(crate) async fn repeat<C>(
    clients: Vec<C>,
    time: Duration,
    once: impl AsyncFn(&mut C, usize, usize) -> bool,
) -> Timings {
    let counts_from = Instant::now() + time / 10;
    let end = Instant::now() + time;
    let loops = clients.into_iter().enumerate().map(|(number, mut client)| {
        let once = &once;
        async move {
            let (mut taken, mut failures) = (Vec::new(), 0);
            for turn in 0.. {
                let start = Instant::now();
                if start >= end {
                    break;
                }
                let succeeded = once(&mut client, number, turn).await;
                if !succeeded {
                    failures += 1;
                } else if start >= counts_from {
                    taken.push(start.elapsed());
                }
            }
            (taken, failures)
        }
    });
    // It polls those that were woken and no others.
    let results: Vec<_> = loops.collect::<FuturesUnordered<_>>().collect().await;
    let elapsed = counts_from.elapsed();
    let (mut taken, mut failures) = (Vec::new(), 0);
    for (of_client, failed) in results {
        taken.extend(of_client);
        failures += failed;
    }
    Timings::new(taken, elapsed, failures)
}
