//! A private nats-server with JetStream, run with the repository's own `nats.conf`, or several that keep streams together.
//!
//! The directory holds `nats.conf` (a copy), `server.conf` (includes it and adds the credentials, and the way to the other
//! servers of a cluster), `password`, `store`, `nats.log` and `owner.lock`.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::process::{Process, end_with_this_process};
use super::{claim, free_ports, kept_secret, on_some_port, programs, random_password, write_private};

const CONFIGURATION: &str = include_str!("../../../nats.conf");
const USER: &str = "concierge";
const START_LIMIT: Duration = Duration::from_secs(30);
const GREETING_LIMIT: Duration = Duration::from_secs(1);

/// How to start a [`PrivateNats`].
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Created when missing; belongs to the server alone.
    pub data_dir: PathBuf,
    /// A fixed port, or any free one.
    pub port: Option<u16>,
    /// A program other than the installed `nats-server`, for instance a newer release.
    pub program: Option<PathBuf>,
}

/// A running nats-server. Dropping it stops it.
#[derive(Debug)]
pub struct PrivateNats {
    process: Process,
    home: Home,
    port: u16,
    _lock: File,
}

impl PrivateNats {
    /// Starts the server on whatever its store holds, and returns when it greets with JetStream on.
    pub fn start(options: &NatsOptions) -> anyhow::Result<Self> {
        let program = options.program.clone().map_or_else(programs::nats, Ok)?;
        let home = Home::open(&options.data_dir, program, "")
            .with_context(|| format!("cannot use {} for nats-server", options.data_dir.display()))?;
        let lock = claim(&home.directory)?;
        let (process, port) = on_some_port(options.port, |port| Ok((home.launch(port)?, port)))?;
        Ok(Self { process, home, port, _lock: lock })
    }

    /// Starts a cluster of so many servers, each in a directory of its own below this one, which does not exist yet. They
    /// have the same credentials. They choose a leader a few seconds after they greet; until then no stream can be made.
    pub fn start_cluster(directory: &Path, servers: usize, program: Option<&Path>) -> anyhow::Result<Vec<Self>> {
        let program = program.map_or_else(programs::nats, |program| Ok(program.to_owned()))?;
        let (password, ports) = (random_password(), free_ports(2 * servers)?);
        let (doors, routes) = ports.split_at(servers);
        let start = |number: usize| {
            let directory = directory.join(format!("server-{number}"));
            fs::create_dir_all(&directory)?;
            write_private(&directory.join("password"), &password)?;
            let home = Home::open(&directory, program.clone(), &cluster(routes[number], routes, &password))?;
            let lock = claim(&home.directory)?;
            Ok(Self { process: home.launch(doors[number])?, home, port: doors[number], _lock: lock })
        };
        (0..servers).map(start).collect()
    }

    /// The name by which the servers of a cluster know this one. It stays the same through [`Self::restart`].
    pub fn name(&self) -> &str {
        &self.home.name
    }

    /// The server's address, with credentials. It stays the same through [`Self::restart`] and [`Self::wipe`].
    pub fn url(&self) -> String {
        format!("nats://{USER}:{}@127.0.0.1:{}", self.home.password, self.port)
    }

    /// The server's pid.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the server in good order.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Ends the server the way a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops the server if it runs and starts it on the same port and store.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.process = self.home.launch(self.port)?;
        Ok(())
    }

    /// Stops the server, deletes every stream it holds, and starts it on the same port.
    pub fn wipe(&mut self) -> anyhow::Result<()> {
        self.stop();
        fs::remove_dir_all(self.home.store())?;
        self.restart()
    }
}

/// The server's directory, and all it takes to start it.
#[derive(Debug)]
struct Home {
    directory: PathBuf,
    program: PathBuf,
    password: String,
    /// Drawn, so that our server's greeting differs from that of whoever may have taken the port.
    name: String,
}

impl Home {
    /// `more` goes to the server's configuration as it is.
    fn open(directory: &Path, program: PathBuf, more: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        let directory = fs::canonicalize(directory)?;
        let password = kept_secret(&directory.join("password"), random_password)?;
        write_private(&directory.join("nats.conf"), CONFIGURATION)?;
        let credentials = format!("authorization {{ user: \"{USER}\", password: \"{password}\" }}");
        write_private(&directory.join("server.conf"), &format!("include \"nats.conf\"\n{credentials}\n{more}"))?;
        let name = format!("concierge-{}", random_password());
        Ok(Self { directory, program, password, name })
    }

    fn store(&self) -> PathBuf {
        self.directory.join("store")
    }

    fn launch(&self, port: u16) -> anyhow::Result<Process> {
        let mut command = end_with_this_process(&self.program);
        command
            .current_dir(&self.directory)
            .args(["-c", "server.conf", "-a", "127.0.0.1", "-p", &port.to_string(), "-n", &self.name, "-js", "-sd"])
            .arg(self.store());
        let mut process = Process::start("nats-server", command, &self.directory.join("nats.log"))?;
        process.wait_until(START_LIMIT, || greeting(port).is_ok_and(|info| is_ready(&info, &self.name)))?;
        Ok(process)
    }
}

/// What a server of a cluster has to know: where it listens for the others, and where they do.
fn cluster(own: u16, all: &[u16], password: &str) -> String {
    let routes: Vec<_> = all.iter().map(|port| format!("\"nats://{USER}:{password}@127.0.0.1:{port}\"")).collect();
    format!(
        "cluster {{\n  name: concierge\n  listen: \"127.0.0.1:{own}\"\n  \
         authorization {{ user: \"{USER}\", password: \"{password}\" }}\n  routes: [{}]\n}}\n",
        routes.join(", ")
    )
}

/// Reads the `INFO` line that a server sends to whoever connects.
fn greeting(port: u16) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, GREETING_LIMIT)?;
    stream.set_read_timeout(Some(GREETING_LIMIT))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

fn is_ready(info: &str, name: &str) -> bool {
    info.contains(&format!("\"server_name\":\"{name}\"")) && info.contains("\"jetstream\":true")
}
