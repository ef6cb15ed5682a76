//! Many small questions at once: whoever asks while an answer is under way shares the next one.
//!
//! A question to the database costs a round trip whether it names one row or a hundred. So questions are gathered as
//! commands are by the log's writer: nobody lingers when nothing is going on, and under load one statement answers
//! everybody who asked meanwhile. An answer always comes from a statement that began after its question was asked, so a
//! reader sees what it would have seen alone.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many questions may wait; one more waits for its place.
const QUEUE: usize = 1_024;
/// How many questions one statement answers.
const GROUP: usize = 128;
/// How long one statement may take, before everybody who waits for it is told. Longer than PostgreSQL gives it, unless it
/// is told to be patient: what it says about a statement says more.
const LIMIT: Duration = Duration::from_secs(15);

/// Answers questions of one kind. Cheap to clone.
pub struct Grouped<K, V> {
    asks: mpsc::Sender<Ask<K, V>>,
    stop: CancellationToken,
}

/// Why a question got no answer: the one failure of everybody who shared the statement, or of one key alone.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct GroupError(Arc<sqlx::Error>);

/// What keys have: a value, or a reason why this one's cannot be told, which is nobody else's failure.
pub type Answers<K, V> = HashMap<K, Result<V, GroupError>>;

struct Ask<K, V> {
    key: K,
    answer: oneshot::Sender<Result<Option<V>, GroupError>>,
}

impl<K, V> Clone for Grouped<K, V> {
    fn clone(&self) -> Self {
        Self { asks: self.asks.clone(), stop: self.stop.clone() }
    }
}

impl From<sqlx::Error> for GroupError {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl GroupError {
    /// What the database said.
    pub fn cause(&self) -> &sqlx::Error {
        &self.0
    }
}

impl<K, V> Grouped<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Starts answering, with up to `at_once` statements under way, until the stop. `load` answers different keys at once;
    /// those it does not mention have no value.
    pub fn start<L, F>(tasks: &TaskTracker, stop: &CancellationToken, at_once: usize, load: L) -> Self
    where
        L: Fn(Vec<K>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Answers<K, V>, sqlx::Error>> + Send,
    {
        let (asks, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..at_once {
            let (queue, load, stop) = (Arc::clone(&queue), load.clone(), stop.clone());
            tasks.spawn(async move { stop.run_until_cancelled(answer_all(&queue, load)).await });
        }
        Self { asks, stop: stop.clone() }
    }

    /// The value of a key, if it has one.
    pub async fn find(&self, key: K) -> Result<Option<V>, GroupError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.asks.send(Ask { key, answer }).await.ok()?;
            answered.await.ok()
        };
        let answered = self.stop.run_until_cancelled(asked).await.flatten();
        answered.unwrap_or_else(|| Err(sqlx::Error::PoolClosed.into()))
    }
}

async fn answer_all<K, V, L, F>(queue: &Mutex<mpsc::Receiver<Ask<K, V>>>, load: L)
where
    K: Clone + Eq + Hash,
    V: Clone,
    L: Fn(Vec<K>) -> F,
    F: Future<Output = Result<Answers<K, V>, sqlx::Error>>,
{
    loop {
        let mut group = Vec::new();
        // Held while nobody asks: then the other statements have nothing to do either.
        if queue.lock().await.recv_many(&mut group, GROUP).await == 0 {
            return;
        }
        group.retain(|ask| !ask.answer.is_closed());
        if group.is_empty() {
            continue;
        }
        let keys: HashSet<K> = group.iter().map(|ask| ask.key.clone()).collect();
        // What panics fails those who asked, and nobody after them.
        let loading = AssertUnwindSafe(load(keys.into_iter().collect())).catch_unwind();
        let loaded = match timeout(LIMIT, loading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(_panic)) => Err(sqlx::Error::WorkerCrashed),
            Err(_elapsed) => Err(sqlx::Error::PoolTimedOut),
        };
        let loaded = loaded.map_err(GroupError::from);
        for Ask { key, answer } in group {
            let found = loaded.as_ref().map_err(Clone::clone);
            let found = found.and_then(|answers| answers.get(&key).cloned().transpose());
            // Who asked may have gone away meanwhile.
            drop(answer.send(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::Grouped;

    /// Squares of even numbers, one statement for each permit.
    fn squares(gate: &Arc<Semaphore>, statements: &Arc<AtomicUsize>, stop: &CancellationToken) -> Grouped<u32, u32> {
        let (gate, statements) = (Arc::clone(gate), Arc::clone(statements));
        Grouped::start(&TaskTracker::new(), stop, 1, move |keys: Vec<u32>| {
            let (gate, statements) = (Arc::clone(&gate), Arc::clone(&statements));
            async move {
                gate.acquire().await.map_err(|_| sqlx::Error::RowNotFound)?.forget();
                statements.fetch_add(1, Ordering::SeqCst);
                Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, Ok(key * key))).collect())
            }
        })
    }

    #[tokio::test]
    async fn those_who_ask_meanwhile_share_the_next_statement() {
        let (gate, statements) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let squares = squares(&gate, &statements, &CancellationToken::new());
        let first = squares.find(2);
        let others = futures_util::future::join_all((0..100).map(|key| squares.find(key % 10)));
        let (first, others, ()) = tokio::join!(biased; first, others, async { gate.add_permits(2) });
        assert_eq!(first.expect("an answer"), Some(4));
        for (key, answer) in (0..100).zip(others) {
            let key = key % 10;
            assert_eq!(answer.expect("an answer"), (key % 2 == 0).then_some(key * key));
        }
        assert!(statements.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn everybody_is_told_when_a_statement_fails() {
        let (gate, statements) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let squares = squares(&gate, &statements, &CancellationToken::new());
        gate.close();
        for answer in futures_util::future::join_all((0..10).map(|key| squares.find(key))).await {
            assert!(matches!(answer.expect_err("a failure").cause(), sqlx::Error::RowNotFound));
        }
    }

    #[tokio::test]
    async fn nothing_is_looked_up_for_those_who_went_away() {
        let (gate, statements) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let squares = squares(&gate, &statements, &CancellationToken::new());
        let first = squares.find(2);
        let leaving = async {
            let gone = squares.find(4);
            tokio::select! { biased; _ = gone => {}, () = async { gate.add_permits(3) } => {} }
        };
        let (first, ()) = tokio::join!(biased; first, leaving);
        assert_eq!(first.expect("an answer"), Some(4));
        assert_eq!(squares.find(6).await.expect("an answer"), Some(36));
        assert_eq!(statements.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_told_of_one_key_is_told_of_the_others() {
        let load = |keys: Vec<u32>| async move {
            let of = |key| if key == 13 { Err(sqlx::Error::RowNotFound.into()) } else { Ok(key) };
            Ok(keys.into_iter().map(|key| (key, of(key))).collect())
        };
        let same = Grouped::start(&TaskTracker::new(), &CancellationToken::new(), 1, load);
        let (bad, good) = tokio::join!(same.find(13), same.find(14));
        assert!(matches!(bad.expect_err("a failure").cause(), sqlx::Error::RowNotFound));
        assert_eq!(good.expect("an answer"), Some(14));
    }

    #[tokio::test]
    async fn a_panic_fails_one_group_only() {
        let load = |keys: Vec<u32>| async move {
            assert!(!keys.contains(&13), "nobody asks for 13");
            Ok(keys.into_iter().map(|key| (key, Ok(key))).collect())
        };
        let same = Grouped::start(&TaskTracker::new(), &CancellationToken::new(), 1, load);
        assert!(matches!(same.find(13).await.expect_err("a panic").cause(), sqlx::Error::WorkerCrashed));
        assert_eq!(same.find(14).await.expect("an answer"), Some(14));
    }

    #[tokio::test]
    async fn nobody_waits_after_the_stop() {
        let (gate, statements, stop) =
            (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let squares = squares(&gate, &statements, &stop);
        let (waiting, ()) = tokio::join!(biased; squares.find(2), async { stop.cancel() });
        assert!(matches!(waiting.expect_err("a stop").cause(), sqlx::Error::PoolClosed));
        assert!(squares.find(2).await.is_err());
    }
}
