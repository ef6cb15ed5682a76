//! The machine's own limits, measured in the same run: what no desk on it could exceed.
//!
//! - plain inserts by pgbench, as durable as facts are;
//! - bare routes of the same web server that answer as many bytes, asked by the same client, in a process of their own;
//! - messages of a fact's size into a JetStream stream on disk, acknowledged;
//! - plain sockets that are written as many bytes as a frame has (see [`crate::feed`]).

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr, jetstream};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use sqlx::{Connection, Executor, PgConnection};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::Effort;
use crate::client::Client;
use crate::desk::{Desk, Servers};
use crate::measure::{hammer, on_all_threads, on_one_thread, repeat};
use crate::report::Report;
use crate::requests::LIST;

/// The argument that makes this program serve what is bare, for another process of it.
pub(crate) const BARE: &str = "--serve-bare";
/// What a message's frame measures with its WebSocket header.
pub(crate) const FRAME_BYTES: usize = 400;
/// How many plain sockets one task writes to.
const SHARE: usize = 64;
/// What a fact measures in NATS.
const FACT_BYTES: usize = 900;
/// How many connections pgbench makes in a second on a machine that is busy. Those seconds are part of its time, but not of
/// the rate that it tells.
const CONNECTED_IN_A_SECOND: u64 = 16;
static FILL: [u8; 65_536] = [b'x'; 65_536];

/// What the limits are measured with.
pub(crate) struct Limits {
    bare: Bare,
    database: String,
    nats: String,
}

impl Limits {
    /// Prepares a table and a process beside the desk.
    pub(crate) fn prepare(servers: &Servers) -> Self {
        let (_, database) = servers.unwatched("limits");
        on_one_thread(make_plain_table(&database));
        Self { bare: Bare::start(), database, nats: servers.nats_url() }
    }

    /// Where plain sockets are listened on; see [`serve_bare`].
    pub(crate) fn sockets(&self) -> SocketAddr {
        self.bare.sockets
    }

    pub(crate) fn run(&self, desk: &Desk, effort: &Effort, report: &mut Report) {
        let query = desk.open_queries(1)[0].id;
        let sizes = on_one_thread(async {
            let (mut client, token) = (desk.client(), Some(desk.staff_token()));
            let get = client.send("GET", format_args!("/api/v1/donor-queries/{query}"), token, None).await.body.len();
            (get, client.send("GET", LIST, token, None).await.body.len())
        });
        for &clients in &effort.clients {
            let plain = pgbench(&self.database, clients, effort.time);
            report.rate("limits", "plain insert", clients, plain);
            for (what, size) in [("bare route, get", sizes.0), ("bare route, list", sizes.1)] {
                let ask = async |client: &mut Client, _, _| client.get(format_args!("/{size}"), "").await;
                report.timings("limits", what, clients, &hammer(self.bare.routes, clients, effort.time, ask));
            }
            report.rate("limits", "NATS publish", clients, self.publish(clients, effort.time));
        }
    }

    /// Messages per second into a stream like the one of facts, with as many unacknowledged as there are clients.
    fn publish(&self, clients: usize, time: Duration) -> f64 {
        let timings = on_all_threads(async {
            let context = jetstream::new(connect(&self.nats).await);
            let stream = jetstream::stream::Config {
                name: "limits".to_owned(),
                max_bytes: 128 << 20,
                discard: jetstream::stream::DiscardPolicy::Old,
                ..Default::default()
            };
            context.get_or_create_stream(stream).await.unwrap();
            let publish = async |context: &mut jetstream::Context, _, _| {
                let sent = context.publish("limits", Bytes::from_static(&FILL[..FACT_BYTES])).await;
                sent.unwrap().await.is_ok()
            };
            repeat(vec![context; clients], time, publish).await
        });
        timings.per_second()
    }
}

async fn connect(url: &str) -> async_nats::Client {
    let address: ServerAddr = url.parse().unwrap();
    let (user, password) = address.username().zip(address.password()).expect("the server asks for a password");
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    options.connect(address).await.unwrap()
}

/// Makes a table like that of the facts, but plain.
pub(crate) async fn make_plain_table(url: &str) {
    let mut database = PgConnection::connect(url).await.unwrap();
    let table = "create table plain (like events including defaults); alter table plain drop column position; \
                 alter table plain add column position bigserial primary key";
    database.execute(table).await.unwrap();
}

/// pgbench inserting one row of a fact's shape and size per transaction. Transactions per second.
pub(crate) fn pgbench(url: &str, clients: usize, time: Duration) -> f64 {
    let script = std::env::temp_dir().join(format!("concierge-plain-{}.sql", std::process::id()));
    let payload = format!(r#"{{"MessagePosted":{{"content":"{}"}}}}"#, "x".repeat(420));
    let metadata = format!(r#"{{"actor_kind":"system","request_id":"{}"}}"#, "r".repeat(100));
    let insert = format!(
        "insert into plain (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
         event_id, query_id, recorded_at, digest) values ('DonorQuery', '1000000001', 1, 'MessagePosted', '1.0', \
         '{payload}', '{metadata}', gen_random_uuid(), 1, now(), decode(repeat('ab', 32), 'hex'));"
    );
    std::fs::write(&script, insert).unwrap();
    let seconds = time.as_secs().max(2) + u64::try_from(clients).unwrap() / CONNECTED_IN_A_SECOND;
    let output = Command::new(pgbench_program())
        .args(["-n", "-M", "prepared", "-j", &clients.min(2).to_string(), "-c", &clients.to_string()])
        .args(["-T", &seconds.to_string(), "-f"])
        .arg(&script)
        .arg(url)
        .output()
        .unwrap();
    std::fs::remove_file(script).unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = report.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
    rate.and_then(|rate| rate.parse().ok())
        .unwrap_or_else(|| panic!("pgbench: {report} {}", String::from_utf8_lossy(&output.stderr)))
}

/// Debian keeps pgbench beside the server.
fn pgbench_program() -> PathBuf {
    let versions = Path::new("/usr/lib/postgresql");
    let mut found: Vec<_> = std::fs::read_dir(versions)
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin/pgbench")).collect())
        .unwrap_or_default();
    found.retain(|path: &PathBuf| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| "pgbench".into())
}

/// A process that serves what is bare; it ends with this value.
struct Bare {
    process: Child,
    routes: SocketAddr,
    sockets: SocketAddr,
}

impl Bare {
    fn start() -> Self {
        let program = std::env::current_exe().unwrap();
        let mut process = Command::new(program).arg(BARE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = || lines.next().unwrap().unwrap().parse().unwrap();
        Self { routes: address(), sockets: address(), process }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Serves `GET /{bytes}` and plain sockets until standard input ends: a socket whose first byte is `s` speaks, and each
/// further byte from it sends a frame's bytes to all other sockets.
pub(crate) fn serve_bare() {
    on_all_threads(async {
        let (routes, sockets) = (listener().await, listener().await);
        println!("{}\n{}", routes.local_addr().unwrap(), sockets.local_addr().unwrap());
        let bytes = async |axum::extract::Path(bytes): axum::extract::Path<usize>| {
            ([(CONTENT_TYPE, "application/json")], Bytes::from_static(&FILL[..bytes]))
        };
        let served = axum::serve(routes, Router::new().route("/{bytes}", get(bytes)));
        tokio::spawn(async move { served.await });
        tokio::spawn(serve_sockets(sockets));
        let end = tokio::task::spawn_blocking(|| drop(std::io::stdin().read_to_end(&mut Vec::new())));
        end.await.unwrap();
    });
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Tells all sockets from as many tasks as the machine can use, each socket as soon as it is its turn.
async fn serve_sockets(listener: TcpListener) {
    let hearing = Arc::<Mutex<Vec<Arc<TcpStream>>>>::default();
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).unwrap();
        // A socket that ends is as good as any.
        tokio::spawn(serve_socket(socket, Arc::clone(&hearing)));
    }
}

async fn serve_socket(mut socket: TcpStream, hearing: Arc<Mutex<Vec<Arc<TcpStream>>>>) -> std::io::Result<()> {
    if socket.read_u8().await? == b's' {
        let all = std::mem::take(&mut *hearing.lock().unwrap());
        loop {
            socket.read_u8().await?;
            for share in all.chunks(SHARE) {
                let share = share.to_vec();
                tokio::spawn(async move {
                    for one in share {
                        drop(one.try_write(&FILL[..FRAME_BYTES]));
                    }
                });
            }
        }
    }
    let socket = Arc::new(socket);
    hearing.lock().unwrap().push(Arc::clone(&socket));
    socket.writable().await?;
    socket.try_write(b"l").map(drop)
}
