//! Waiting for a condition with a limit, instead of sleeping and hoping.

use std::fmt::Debug;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

const POLL: Duration = Duration::from_millis(10);

/// Looks again and again until what it sees is what was hoped for, and returns that.
///
/// Panics after `limit`, naming the caller and the last thing seen; also if one look takes that long.
#[track_caller]
pub(crate) fn eventually<T: Debug>(
    limit: Duration,
    mut look: impl AsyncFnMut() -> T,
    hoped_for: impl Fn(&T) -> bool,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + limit;
        loop {
            // A look that never ends would wait for ever, and say nothing.
            let seen = timeout(limit, look()).await.unwrap_or_else(|_| panic!("{caller}: no answer in {limit:?}"));
            if hoped_for(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{caller}: not within {limit:?}; last seen: {seen:#?}");
            sleep(POLL).await;
        }
    }
}

#[tokio::test]
async fn waiting_ends_when_the_condition_holds() {
    let mut looks = 0;
    let seen = eventually(
        Duration::from_secs(5),
        async || {
            looks += 1;
            looks
        },
        |looks| *looks == 3,
    )
    .await;
    assert_eq!(seen, 3);
}

#[tokio::test]
#[should_panic(expected = "last seen: 7")]
async fn waiting_in_vain_tells_what_was_seen_last() {
    eventually(Duration::ZERO, async || 7, |seen| *seen == 8).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no answer")]
async fn a_look_that_never_ends_is_told_too() {
    eventually(Duration::from_mins(1), std::future::pending::<u8>, |_| true).await;
}
