//! Running the same thing many times at once and saying how long it took.

use std::future::Future;
use std::time::{Duration, Instant};

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

    pub(crate) fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.sorted.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// One line of a table.
    pub(crate) fn print(&self, what: &str, clients: usize) {
        let ms = |part| self.quantile(part).as_secs_f64() * 1_000.0;
        println!(
            "{what:<28} {clients:>5} {:>9.0}/s   p50 {:>8.2} ms   p95 {:>8.2} ms   p99 {:>8.2} ms   failed {}",
            self.per_second(),
            ms(0.50),
            ms(0.95),
            ms(0.99),
            self.failures
        );
    }
}

/// Runs `once` over and over on `clients` tasks until the time is up. `once` gets its client's number and turn.
pub(crate) async fn hammer<F, Fut>(clients: usize, time: Duration, once: F) -> Timings
where
    F: Fn(usize, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = bool> + Send,
{
    let begin = Instant::now();
    let tasks = (0..clients).map(|client| {
        let once = once.clone();
        tokio::spawn(async move {
            let (mut taken, mut failures) = (Vec::new(), 0);
            for turn in 0.. {
                let start = Instant::now();
                if start.duration_since(begin) >= time {
                    break;
                }
                if once(client, turn).await {
                    taken.push(start.elapsed());
                } else {
                    failures += 1;
                }
            }
            (taken, failures)
        })
    });
    let results = futures_util::future::join_all(tasks).await;
    let elapsed = begin.elapsed();
    let (mut taken, mut failures) = (Vec::new(), 0);
    for result in results {
        let (of_client, failed) = result.unwrap();
        taken.extend(of_client);
        failures += failed;
    }
    Timings::new(taken, elapsed, failures)
}
