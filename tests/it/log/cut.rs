//! A connection that is cut, or says nothing any more, while the server goes on: the writer finds out what became of its
//! facts, and says so.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aggregates::recorded::Position;
use aggregates::testing::{accepted_by, ada, opened};
use proof_concierge::config::{Config, Secret};
use proof_concierge::log::Log;
use sqlx::{Executor, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::facts;
use crate::support::database::{TestDatabase, database};
use crate::support::eventually::eventually;
use crate::support::node;

/// Longer than the writer takes until it gives up on an answer.
pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// Stands between a node and PostgreSQL and loses the answer to the next thing that is said after [`Self::lose_next`].
struct Proxy {
    address: SocketAddr,
    next: Next,
}

/// What happens to the next answer.
type Next = Arc<Mutex<Option<Loss>>>;

#[derive(Clone, Copy, PartialEq)]
enum Loss {
    /// The connection ends, for the client alone.
    Cut,
    /// Nothing ends, and nothing more is heard.
    Silence,
}

impl Proxy {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = Next::default();
        let seen = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, Arc::clone(&seen)));
            }
        });
        Self { address, next }
    }

    fn lose_next(&self, loss: Loss) {
        *self.next.lock().unwrap() = Some(loss);
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, next: Next) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut said, mut told) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            length = client.read(&mut said) => {
                let said = &said[..length?];
                server.write_all(said).await?;
                if said.is_empty() {
                    return Ok(());
                }
                let loss = next.lock().unwrap().take();
                if let Some(loss) = loss {
                    // The server believes that somebody still listens; the client hears no more.
                    let client = Some(client).filter(|_| loss == Loss::Silence);
                    copy(&mut server, &mut sink()).await?;
                    drop(client);
                    return Ok(());
                }
            }
            length = server.read(&mut told) => {
                let told = &told[..length?];
                client.write_all(told).await?;
                if told.is_empty() {
                    return Ok(());
                }
            }
        }
    }
}

/// A log whose every connection passes the proxy, with a query in it, so that the next append is all it has to say.
async fn log_behind_proxy(database: &TestDatabase) -> (Log, Proxy) {
    let options = database.pool.connect_options();
    let server = SocketAddr::from(([127, 0, 0, 1], options.get_port()));
    let proxy = Proxy::before(server).await;
    let url = database.url.replace(&server.to_string(), &proxy.address.to_string());
    assert_ne!(url, database.url);
    let log = Log::open_database(&Config { database_url: Secret::new(url), ..node::config(database) }).unwrap();
    log.append(facts(17, 0, [opened()])).await.unwrap();
    (log, proxy)
}

pub(super) async fn waiting_at_the_fence(pool: &PgPool) -> i64 {
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and objid = 5005 and not granted \
                   and database = (select oid from pg_database where datname = current_database())";
    sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn facts_whose_answer_was_lost_are_written_once_and_acknowledged() {
    let database = database().await;
    let (log, proxy) = log_behind_proxy(&database).await;
    proxy.lose_next(Loss::Cut);
    let appended = log.append(facts(17, 1, [accepted_by(&ada())])).await.unwrap();
    assert_eq!(appended.events[0].position, Position(2));
    assert_eq!(log.read_after(Position::START, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_database_that_says_nothing_any_more_is_asked_anew() {
    let database = database().await;
    let (log, proxy) = log_behind_proxy(&database).await;
    proxy.lose_next(Loss::Silence);
    let appended = timeout(LIMIT, log.append(facts(17, 1, [accepted_by(&ada())]))).await.unwrap().unwrap();
    assert_eq!(appended.events[0].position, Position(2));
    assert_eq!(log.read_after(Position::START, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn facts_that_were_still_waiting_when_the_connection_broke_are_written_once_and_acknowledged() {
    let database = database().await;
    let (log, proxy) = log_behind_proxy(&database).await;
    let mut stranger = database.pool.begin().await.unwrap();
    stranger.execute("select pg_advisory_xact_lock(5005)").await.unwrap();
    proxy.lose_next(Loss::Cut);
    let writer = log.clone();
    let append = tokio::spawn(async move { writer.append(facts(17, 1, [accepted_by(&ada())])).await });
    // The first try and, since nobody knows what became of it, the second stand at the fence.
    eventually(LIMIT, async || waiting_at_the_fence(&database.pool).await, |waiting| *waiting == 2).await;
    stranger.rollback().await.unwrap();
    let appended = append.await.unwrap().unwrap();
    assert_eq!(appended.events[0].position, Position(2));
    assert_eq!(log.read_after(Position::START, 10).await.unwrap().len(), 2);
}
