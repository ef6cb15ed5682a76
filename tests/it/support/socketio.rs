//! The official Socket.IO client of npm, as a child process that speaks JSON lines.
//!
//! The package is installed once per build directory, as its lock file says; Node.js and npm are Debian's.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use proof_concierge::dev::install::ensure_node_installed;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::world::node::signal;

/// How long anything may take before the test fails.
const LIMIT: Duration = Duration::from_secs(20);

/// Where clients of the second generation look.
pub(crate) const PATH: &str = "/api/v1/socket.io";

/// One socket of the namespace `/notifications`.
pub(crate) struct Socket {
    child: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    asked: u64,
    /// The events that came while something else was waited for: name and first argument, in order.
    heard: Vec<(String, Value)>,
}

/// What became of an attempt to connect.
#[derive(Debug, PartialEq)]
pub(crate) enum Connected {
    /// It is in, over this transport.
    With(String),
    /// It was refused, with this message.
    Refused(String),
}

/// Connects over a websocket at [`PATH`] and insists on being let in.
pub(crate) async fn connect(base: &str, auth: &Value) -> Socket {
    let (socket, connected) = attempt(base, PATH, &["websocket"], auth).await;
    assert_eq!(connected, Connected::With("websocket".to_owned()), "with {auth}");
    socket
}

/// Tries to connect: at a path, over these transports in this order, with this `auth`.
pub(crate) async fn attempt(base: &str, path: &str, transports: &[&str], auth: &Value) -> (Socket, Connected) {
    attempt_with(base, "/notifications", &json!({ "path": path, "transports": transports, "auth": auth })).await
}

/// Tries to connect to a namespace with any options of the client.
pub(crate) async fn attempt_with(base: &str, namespace: &str, options: &Value) -> (Socket, Connected) {
    let mut socket = Socket::start();
    socket.say(json!({ "command": "connect", "base": base, "namespace": namespace, "options": options })).await;
    let line = socket.line_of(&["connect", "connect_error"]).await;
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    let connected = if line["type"] == "connect" {
        Connected::With(text("transport"))
    } else {
        Connected::Refused(text("message"))
    };
    (socket, connected)
}

impl Socket {
    fn start() -> Self {
        let mut command = tokio::process::Command::new("node");
        command.arg("client.mjs").current_dir(installed());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("node runs");
        let commands = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, commands, lines, asked: 0, heard: Vec::new() }
    }

    /// Emits an event and waits for its acknowledgment.
    pub(crate) async fn ask(&mut self, event: &str, args: &[Value]) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.say(json!({ "command": "emit", "id": id, "event": event, "args": args })).await;
        let line = self.line_of(&["ack"]).await;
        assert_eq!(line["id"], id);
        line["answer"].clone()
    }

    /// Joins a query's room and insists on it.
    pub(crate) async fn join(&mut self, query: i64) {
        let answer = self.ask("joinQueryRoom", &[json!({ "queryId": query })]).await;
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// Waits for an event and returns its first argument; events that come before it are kept.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(|(heard, _)| heard == name) {
                return self.heard.remove(at).1;
            }
            self.hear().await;
        }
    }

    /// Every event up to the first of a name, in order, with it: names and first arguments.
    pub(crate) async fn until(&mut self, name: &str) -> Vec<(String, Value)> {
        loop {
            if let Some(at) = self.heard.iter().position(|(heard, _)| heard == name) {
                return self.heard.drain(..=at).collect();
            }
            self.hear().await;
        }
    }

    /// Every event that came and was not waited for: names and first arguments, in order.
    pub(crate) fn take_heard(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.heard)
    }

    /// Waits for the end of the connection and returns the client's reason.
    pub(crate) async fn disconnected(&mut self) -> String {
        self.line_of(&["disconnect"]).await["reason"].as_str().unwrap().to_owned()
    }

    /// Stops the client's process in the middle of whatever it does, or lets it go on.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        signal(self.child.id().expect("the client runs"), if is_frozen { "STOP" } else { "CONT" });
    }

    /// Tears the connection.
    pub(crate) async fn cut(mut self) {
        self.say(json!({ "command": "cut" })).await;
        self.disconnected().await;
        self.child.kill().await.unwrap();
    }

    async fn say(&mut self, command: Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) {
        let line = self.line().await;
        assert_eq!(line["type"], "event", "while an event was waited for; heard {:?}", self.heard);
        self.keep(&line);
    }

    /// The next line of one of these types; events on the way are kept.
    async fn line_of(&mut self, types: &[&str]) -> Value {
        loop {
            let line = self.line().await;
            if types.iter().any(|wanted| line["type"] == *wanted) {
                return line;
            }
            assert_eq!(line["type"], "event", "{line} while {types:?} was waited for");
            self.keep(&line);
        }
    }

    fn keep(&mut self, event: &Value) {
        self.heard.push((event["name"].as_str().unwrap().to_owned(), event["args"][0].clone()));
    }

    async fn line(&mut self) -> Value {
        let line = timeout(LIMIT, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("nothing within {LIMIT:?}; heard {:?}", self.heard));
        serde_json::from_str(&line.unwrap().expect("the client goes on")).unwrap()
    }
}

/// The directory of the client with its packages.
fn installed() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        ensure_node_installed().unwrap_or_else(|error| panic!("{error:#}"));
        install().unwrap_or_else(|error| panic!("the Socket.IO client cannot be set up: {error}"))
    })
}

/// Copies the client into the build directory and lets npm fetch what its lock file names, unless that was done before.
fn install() -> io::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/socketio/client");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("socketio-client");
    fs::create_dir_all(&target)?;
    // Test processes that start at once take turns.
    let lock = File::create(target.join("lock"))?;
    lock.lock()?;
    let wanted = fs::read(source.join("package-lock.json"))?;
    let has_packages = fs::read(target.join("installed")).is_ok_and(|installed| installed == wanted);
    for file in ["package.json", "package-lock.json", "client.mjs"] {
        fs::copy(source.join(file), target.join(file))?;
    }
    if !has_packages {
        let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&target).output()?;
        if !npm.status.success() {
            return Err(io::Error::other(format!("npm ci failed:\n{}", String::from_utf8_lossy(&npm.stderr))));
        }
        fs::write(target.join("installed"), wanted)?;
    }
    Ok(target)
}
