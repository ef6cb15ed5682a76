//! The private servers that `cargo dev`, the tests and the benchmarks start: they restart on their data, survive the
//! thread that asked for them, and never outlive the process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use proof_concierge::bus::{Bus, Seal};
use proof_concierge::config::Secret;
use proof_concierge::dev::servers::{BUFFERS_MB, NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::eventually::eventually;
use crate::support::servers::{scratch, servers};
use crate::world::nats_program;

const LIMIT: Duration = Duration::from_secs(20);
/// Tells a second process of this binary that it is the one to be killed, and where its servers live.
const DOOMED: &str = "CONCIERGE_TEST_DOOMED";

fn postgres_in(data_dir: PathBuf) -> PostgresOptions {
    PostgresOptions { data_dir, durable: false, port: None, buffers_mb: BUFFERS_MB }
}

fn nats_in(data_dir: PathBuf) -> NatsOptions {
    NatsOptions { data_dir, port: None, program: nats_program() }
}

#[tokio::test]
async fn postgres_keeps_its_data_through_a_stop_a_crash_and_a_stale_pid() {
    let options = postgres_in(scratch("postgres"));
    let mut postgres = PrivatePostgres::start(&options).unwrap();
    let url = postgres.url("postgres");
    PgConnection::connect(&url).await.unwrap().execute("create table kept ()").await.unwrap();

    postgres.kill();
    postgres.restart().unwrap();
    assert_eq!(postgres.url("postgres"), url, "a restart keeps the address");
    PgConnection::connect(&url).await.unwrap().execute("table kept").await.unwrap();

    let pid_file = postgres.home().join("cluster/postmaster.pid");
    postgres.stop();
    // As after the restart of a container: the number in the file now belongs to another process.
    std::fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
    drop(postgres);
    let postgres = PrivatePostgres::start(&options).unwrap();
    PgConnection::connect(&postgres.url("postgres")).await.unwrap().execute("table kept").await.unwrap();
}

#[tokio::test]
async fn postgres_asks_for_a_password() {
    let postgres = PrivatePostgres::start(&postgres_in(scratch("postgres"))).unwrap();
    let (_, address) = postgres.url("postgres").split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let error = PgConnection::connect(&format!("postgres://concierge:wrong@{address}")).await.unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");
}

#[tokio::test]
async fn the_service_logs_in_with_the_credentials_in_the_address() {
    let bus = Bus::connect(&Secret::new(servers().nats_url()), "credentials", Seal::new(&[7; 32])).await.unwrap();
    eventually(LIMIT, async || *bus.link().borrow(), |link| link.up).await;
}

#[test]
fn one_directory_has_one_owner() {
    let options = nats_in(scratch("nats"));
    let _first = PrivateNats::start(&options).unwrap();
    let error = PrivateNats::start(&options).unwrap_err();
    assert!(error.to_string().contains("in use by another running process"), "{error}");
}

#[test]
fn nats_comes_back_on_its_port_and_forgets_when_wiped() {
    let options = nats_in(scratch("nats"));
    let mut nats = PrivateNats::start(&options).unwrap();
    let (url, first) = (nats.url(), nats.pid());
    let mark = options.data_dir.join("store/mark");
    std::fs::write(&mark, "").unwrap();

    nats.kill();
    nats.restart().unwrap();
    assert_eq!((nats.url(), mark.exists()), (url.clone(), true));
    assert_ne!(nats.pid(), first);

    nats.wipe().unwrap();
    assert_eq!((nats.url(), mark.exists()), (url, false));
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let broken = NatsOptions { program: Some("/bin/false".into()), ..nats_in(scratch("nats")) };
    let error = PrivateNats::start(&broken).unwrap_err().to_string();
    assert!(error.contains("nats-server ended with exit status: 1"), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let error = PrivateNats::start(&NatsOptions { port, ..nats_in(scratch("nats")) }).unwrap_err().to_string();
    assert!(error.contains("address already in use"), "{error}");
}

#[tokio::test]
async fn servers_outlive_the_thread_that_started_them() {
    let directory = scratch("postgres");
    let postgres = thread::spawn(move || PrivatePostgres::start(&postgres_in(directory)).unwrap()).join().unwrap();
    PgConnection::connect(&postgres.url("postgres")).await.unwrap();
}

/// The test and, in a second process of this binary, the owner that it kills.
#[tokio::test]
async fn servers_end_with_their_owner_even_when_it_is_killed() {
    if let Some(directory) = std::env::var_os(DOOMED) {
        own_servers_until_killed(Path::new(&directory));
    }
    let directory = scratch("owner");
    std::fs::create_dir(&directory).unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers::servers_end_with_their_owner_even_when_it_is_killed"])
        .env(DOOMED, &directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let read_pids = async || std::fs::read_to_string(directory.join("pids")).unwrap_or_default();
    let pids = eventually(LIMIT, read_pids, |pids| pids.ends_with('\n')).await;
    let running = async || pids.split_whitespace().filter(|pid| is_running(pid)).count();
    assert_eq!(running().await, 2);

    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually(LIMIT, running, |left| *left == 0).await;
}

fn own_servers_until_killed(directory: &Path) -> ! {
    let postgres = PrivatePostgres::start(&postgres_in(directory.join("postgres"))).unwrap();
    let nats = PrivateNats::start(&nats_in(directory.join("nats"))).unwrap();
    std::fs::write(directory.join("pids"), format!("{} {}\n", postgres.pid(), nats.pid())).unwrap();
    loop {
        thread::park();
    }
}

/// Whether a process runs. One that ended but was not waited for by a careless init has no command line any more.
fn is_running(pid: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
