//! How much faster a backlog is drained by several projectors where each question to the database takes a while.
//!
//! The database is made slow by a proxy that holds every answer back, as another zone or a busy disk would. One projector
//! then waits most of the time; how much of that the others use is the figure. Where the database's own cores are the
//! limit, more projectors do not help.

use std::time::{Duration, Instant};

use proof_concierge::bus::{Bus, Seal};
use proof_concierge::config::{Config, Secret};
use proof_concierge::database::{self, Purpose};
use proof_concierge::log::Log;
use proof_concierge::projector::{self, Freshness, Projector};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Effort;
use crate::desk::Servers;
use crate::facts::Grown;
use crate::measure::on_all_threads;
use crate::report::Report;

/// How long every answer of the database is held back: enough that a batch of two thousand facts waits longer than the
/// machine works on it.
const DELAY: Duration = Duration::from_millis(20);
/// How many queries the backlog is about at most.
const QUERIES: usize = 5_000;
/// How many projectors share the work.
const INSTANCES: [usize; 3] = [1, 2, 4];
/// How often the end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn run(servers: &Servers, effort: &Effort, report: &mut Report) {
    let (config, url) = servers.unwatched("projectors");
    on_all_threads(async {
        let log = Log::open_database(&config).unwrap();
        Grown::default().grow_to(&log, effort.queries.min(QUERIES)).await;
        let slow = Config { database_url: Secret::new(behind_proxy(&url).await), ..config.clone() };
        for _ in 0..effort.runs {
            let mut alone = None;
            for instances in INSTANCES {
                let rate = drain(&url, &log, &slow, instances).await;
                report.rate("projectors", "facts of one backlog", instances, rate);
                report.note("projectors", "beside one", instances, "ratio", rate / *alone.get_or_insert(rate));
            }
        }
        log.close().await;
    });
}

/// Lets some projectors fill empty read models, and returns how many facts they applied per second. They are held up until
/// each has its share.
async fn drain(url: &str, log: &Log, slow: &Config, instances: usize) -> f64 {
    let mut owner = PgConnection::connect(url).await.unwrap();
    empty(&mut owner).await;
    let mut held_up = owner.begin().await.unwrap();
    held_up.execute("lock table projection_checkpoints in share row exclusive mode").await.unwrap();
    let mut running = JoinSet::new();
    for _ in 0..instances {
        running.spawn(instance(slow).await.run(CancellationToken::new()));
    }
    let pool = PgPool::connect(url).await.unwrap();
    shared_among(&pool, instances).await;
    let begin = Instant::now();
    held_up.commit().await.unwrap();
    while projector::standings(log, &pool).await.unwrap().iter().any(|standing| standing.lag > 0) {
        sleep(LOOK_EVERY).await;
    }
    let taken = begin.elapsed();
    running.shutdown().await;
    pool.close().await;
    log.head().await.unwrap().0 as f64 / taken.as_secs_f64()
}

async fn instance(slow: &Config) -> Projector {
    let log = Log::open_database(slow).unwrap();
    // Nobody relays: a backlog comes from the log.
    let bus = Bus::connect(&slow.nats_url, "unused", Seal::new(&[7; 32])).await.unwrap();
    let reads = database::pool(&slow.database_url, Purpose::Read, 2).unwrap();
    let freshness = Freshness::new(log.clone(), reads);
    Projector::new(log, bus, &slow.database_url, freshness, 1).unwrap()
}

async fn empty(owner: &mut PgConnection) {
    let tables: Vec<String> =
        sqlx::query_scalar("select format('read.%I', tablename) from pg_tables where schemaname = 'read'")
            .fetch_all(&mut *owner)
            .await
            .unwrap();
    let truncate = format!("truncate projection_checkpoints, {}", tables.join(", "));
    owner.execute(truncate.as_str()).await.unwrap();
    owner.execute("vacuum analyze").await.unwrap();
}

/// Waits until every projector has its share of the partitions.
async fn shared_among(pool: &PgPool, instances: usize) {
    let shares = "select count(*)
         from pg_locks
         where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())
         and classid = 5007
         and objsubid = 2
         and objid < 16
         group by pid";
    loop {
        let shares: Vec<i64> = sqlx::query_scalar(shares).fetch_all(pool).await.unwrap();
        if shares.len() == instances
            && shares.iter().sum::<i64>() == 16
            && shares.iter().all(|share| *share == shares[0])
        {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The address of the same database behind a proxy that holds every answer back.
async fn behind_proxy(url: &str) -> String {
    let (credentials, place) = url.rsplit_once('@').expect("the address has credentials");
    let (server, database) = place.split_once('/').expect("the address names a database");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { continue };
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let ((said, tell), (told, say)) = (client.into_split(), server.into_split());
            tokio::spawn(carry(said, say, Duration::ZERO));
            tokio::spawn(carry(told, tell, DELAY));
        }
    });
    format!("{credentials}@{address}/{database}")
}

/// Carries bytes one way, each some time later than it came: a long way, not a narrow one.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut pieces) = mpsc::channel::<(tokio::time::Instant, Vec<u8>)>(1_024);
    tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if sender.send((tokio::time::Instant::now() + delay, buffer[..length].to_vec())).await.is_err() {
            return;
        }
    }
}
