//! One `concierge serve`: a real process behind three proxies, to be killed and started again.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::proxy::{Cable, Proxy};

/// Where every node listens, each on an address of its own.
const PORT: u16 = 5005;

/// What every node of a world is told.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) database: SocketAddr,
    pub(super) nats: SocketAddr,
    pub(super) database_url: String,
    pub(super) nats_url: String,
    pub(super) environment: Vec<(String, String)>,
}

/// A node. Its process ends with it, or with the thread that started it.
pub(crate) struct Node {
    /// Between clients and the node. Its address stays the same through every restart.
    pub(crate) door: Proxy,
    /// Between the node and PostgreSQL.
    pub(crate) database: Proxy,
    /// Between the node and NATS.
    pub(crate) nats: Proxy,
    listen: SocketAddr,
    log: PathBuf,
    settings: Settings,
    process: Option<Child>,
}

impl Node {
    /// Sets up a node that does not run yet. It writes its log lines to a file.
    pub(super) async fn prepare(settings: &Settings, log: PathBuf) -> Self {
        // An address of its own, so that nobody takes the port while the node is down.
        let host = [127, rand::random(), rand::random(), rand::random_range(2..=254)];
        let listen = SocketAddr::from((host, PORT));
        Self {
            door: Proxy::before(listen).await,
            database: Proxy::before(settings.database).await,
            nats: Proxy::before(settings.nats).await,
            listen,
            log,
            settings: settings.clone(),
            process: None,
        }
    }

    /// Starts the process. To be called from a thread that lives as long as the node: it ends with it.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "the node runs already");
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(env!("CARGO_BIN_EXE_concierge")).arg("serve");
        // Nothing of somebody's shell: a node of a world knows nothing but its world.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let Settings { database, nats, database_url, nats_url, environment } = &self.settings;
        let database_url = through(database_url, *database, &self.database);
        let nats_url = nats_url.split(',').map(|url| through(url, *nats, &self.nats)).collect::<Vec<_>>().join(",");
        command
            .env("CONCIERGE_LISTEN", self.listen.to_string())
            .env("DATABASE_URL", database_url)
            .env("NATS_URL", nats_url)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    /// Sets a variable of the process's environment from its next start on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Ends the process the way a crash would (SIGKILL).
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Asks the process to end (SIGTERM).
    pub(crate) fn ask_to_stop(&self) {
        signal(self.process.as_ref().expect("the node runs").id(), "TERM");
    }

    /// Waits until a process that was asked to end has. Whether it ended well.
    pub(crate) fn ended(&mut self) -> bool {
        self.process.take().is_none_or(|mut process| process.wait().unwrap().success())
    }

    /// Asks the process to end (SIGTERM) and waits until it has. Whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        if self.runs() {
            self.ask_to_stop();
        }
        self.ended()
    }

    /// Freezes the process, or lets it go on.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let process = self.process.as_ref().expect("the node runs");
        signal(process.id(), if is_frozen { "STOP" } else { "CONT" });
    }

    /// Whether the process runs.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the process ended by itself since it was started.
    pub(crate) fn has_fallen(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_some())
    }

    /// Where clients reach it, without a slash at the end.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    /// Where it really listens, past the proxy: connections are refused there while it does not run.
    pub(crate) fn direct_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        File::open(&self.log).and_then(io::read_to_string).unwrap_or_default()
    }

    /// The last lines of its log, for people.
    pub(crate) fn last_words(&self) -> String {
        let text = self.log();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Does the same to all of its cables.
    pub(crate) fn set_cables(&self, cable: Cable) {
        for proxy in [&self.door, &self.database, &self.nats] {
            proxy.set(cable);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Leads an address through a proxy.
fn through(url: &str, server: SocketAddr, proxy: &Proxy) -> String {
    url.replace(&server.to_string(), &proxy.address().to_string())
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    // The shell's own `kill` is on every machine; the program of that name is not.
    let script = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success(), "{script}");
}
