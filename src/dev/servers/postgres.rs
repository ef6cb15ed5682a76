//! A private PostgreSQL cluster: made on first use, started again on what is there, never trusting its callers.
//!
//! The directory holds `cluster` (PostgreSQL's own data), `password`, `postgres.log` and `owner.lock`. PostgreSQL refuses
//! to run as root, so root hands the directory to the user `postgres`, which Debian's package creates.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::process::{Process, end_with_this_process, interrupt, spawn, tail};
use super::{claim, kept_secret, on_some_port, programs, random_password};

/// Where a cluster goes whose own directory the user `postgres` cannot reach.
const FALLBACK: &str = "/var/lib/proof-concierge-dev";
const ROLE: &str = "concierge";
const START_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// What every cluster runs with; the rest are PostgreSQL's defaults.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "300"),
    // A burst of appends should not force checkpoints, which would blur every measurement.
    ("max_wal_size", "2GB"),
    ("checkpoint_timeout", "15min"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// What a cluster keeps of its tables in memory, in megabytes, where nobody has more to say.
pub const BUFFERS_MB: u32 = 512;

/// What a cluster that is thrown away runs with. A killed server still loses nothing, only a power cut would hurt.
const NOT_DURABLE: &[(&str, &str)] = &[("fsync", "off"), ("full_page_writes", "off")];

/// How to start a [`PrivatePostgres`].
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Created when missing; belongs to the cluster alone.
    pub data_dir: PathBuf,
    /// Whether commits survive a power cut. Tests do without.
    pub durable: bool,
    /// A fixed port, or any free one.
    pub port: Option<u16>,
    /// What it keeps of its tables in memory, in megabytes.
    pub buffers_mb: u32,
}

/// A running cluster with one superuser. Dropping it stops it.
#[derive(Debug)]
pub struct PrivatePostgres {
    process: Process,
    cluster: Cluster,
    port: u16,
    _lock: File,
}

impl PrivatePostgres {
    /// Makes the cluster if there is none, starts it, and returns when it accepts connections.
    pub fn start(options: &PostgresOptions) -> anyhow::Result<Self> {
        let account = Account::for_postgres()?;
        let home = prepare_home(&options.data_dir, account)
            .with_context(|| format!("cannot use {} for PostgreSQL", options.data_dir.display()))?;
        let lock = claim(&home)?;
        let cluster = Cluster::open(home, account, options)?;
        cluster.clear_left_over_pid()?;
        let (process, port) = on_some_port(options.port, |port| Ok((cluster.launch(port)?, port)))?;
        Ok(Self { process, cluster, port, _lock: lock })
    }

    /// The address of a database in this cluster, with credentials.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.cluster.password, self.port)
    }

    /// Where the cluster really lives: the given directory, or one under `/var/lib` when `postgres` cannot reach that.
    pub fn home(&self) -> &Path {
        &self.cluster.home
    }

    /// The postmaster's pid.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the cluster in good order; connections are cut, transactions rolled back.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Ends the postmaster the way a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops the cluster if it runs and starts it on the same port.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        self.process = self.cluster.launch(self.port)?;
        Ok(())
    }

    /// Deletes a stopped cluster with everything in it, wherever it lives.
    pub fn remove(data_dir: &Path) -> io::Result<()> {
        let removed = fs::canonicalize(data_dir).and_then(fs::remove_dir_all);
        if data_dir.is_symlink() { fs::remove_file(data_dir) } else { removed }
    }
}

/// A cluster on disk, and all it takes to start it.
#[derive(Debug)]
struct Cluster {
    home: PathBuf,
    programs: PathBuf,
    account: Option<Account>,
    durable: bool,
    buffers_mb: u32,
    password: String,
}

impl Cluster {
    fn open(home: PathBuf, account: Option<Account>, options: &PostgresOptions) -> anyhow::Result<Self> {
        let secret = home.join("password");
        let password = kept_secret(&secret, random_password)?;
        if let Some(Account { uid, gid }) = account {
            chown(secret, Some(uid), Some(gid))?;
        }
        let version = fs::read_to_string(home.join("cluster/PG_VERSION")).ok();
        let programs = programs::postgres(version.as_deref().map(str::trim))?;
        let PostgresOptions { durable, buffers_mb, .. } = *options;
        let cluster = Self { home, programs, account, durable, buffers_mb, password };
        if version.is_none() {
            cluster.initialize()?;
        }
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.home.join("cluster")
    }

    fn log(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    /// Runs `initdb` beside the final place and renames, so that `cluster` is either absent or complete.
    fn initialize(&self) -> anyhow::Result<()> {
        let unfinished = self.home.join("cluster.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let output = File::create(self.log())?;
        let mut initdb = self.command("initdb");
        initdb
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--username", ROLE])
            .arg("--pwfile")
            .arg(self.home.join("password"))
            .arg("--pgdata")
            .arg(&unfinished);
        if !self.durable {
            initdb.arg("--no-sync");
        }
        initdb.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let status = spawn(initdb)?.wait()?;
        if !status.success() {
            bail!("initdb ended with {status}:\n{}", tail(&self.log()));
        }
        fs::rename(unfinished, self.data())?;
        Ok(())
    }

    /// Starts the server and waits until it accepts connections.
    fn launch(&self, port: u16) -> anyhow::Result<Process> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let mut postgres = self.command("postgres");
            postgres.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
            postgres.arg("-c").arg(format!("shared_buffers={}MB", self.buffers_mb));
            let extra = if self.durable { &[] } else { NOT_DURABLE };
            for (name, value) in SETTINGS.iter().chain(extra) {
                postgres.arg("-c").arg(format!("{name}={value}"));
            }
            let mut process = Process::start("PostgreSQL", postgres, &self.log())?;
            let pid = process.pid();
            match process.wait_until(START_LIMIT, || self.is_ready(pid)) {
                Ok(()) => return Ok(process),
                // The backends of a killed postmaster take a moment to notice, and hold its memory until then.
                Err(error) if error.to_string().contains("shared memory block") && Instant::now() < deadline => {
                    thread::sleep(POLL);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what `pg_ctl` reads: the postmaster writes its pid and, once it accepts connections, `ready`.
    fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else { return false };
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
    }

    /// Stops a server whose owner died without taking it along, and forgets a pid that now means something else.
    ///
    /// PostgreSQL sees by itself that the pid of a dead process is stale, but not that the number was given to another
    /// process, which is the rule after a container was restarted.
    fn clear_left_over_pid(&self) -> anyhow::Result<()> {
        let file = self.data().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
        let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return Ok(()) };
        let process = PathBuf::from(format!("/proc/{pid}"));
        if fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == self.data()) {
            interrupt(pid);
            let deadline = Instant::now() + START_LIMIT;
            while file.exists() {
                if Instant::now() > deadline {
                    bail!("a PostgreSQL left over in {} does not stop (pid {pid})", self.home.display());
                }
                thread::sleep(POLL);
            }
        } else if process.exists() {
            fs::remove_file(&file)?;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = end_with_this_process(&self.programs.join(program));
        command.current_dir(&self.home);
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// The user a cluster runs as when this process is root.
#[derive(Clone, Copy, Debug)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Nobody else unless this process is root.
    fn for_postgres() -> anyhow::Result<Option<Self>> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let missing = "PostgreSQL does not run as root, and there is no user `postgres` to run it as";
        let uid = id(&["-u", "postgres"]).context(missing)?;
        let gid = id(&["-g", "postgres"]).context(missing)?;
        Ok(Some(Self { uid, gid }))
    }

    fn can_write(self, directory: &Path) -> bool {
        let mut test = Command::new("sh");
        test.args(["-c", "test -w \"$0\""]).arg(directory).current_dir("/").uid(self.uid).gid(self.gid);
        test.status().is_ok_and(|status| status.success())
    }
}

fn id(arguments: &[&str]) -> anyhow::Result<u32> {
    let output = Command::new("id").args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Makes the directory private to whoever runs the cluster; when that user cannot reach it (say, below root's 0700 home
/// directory), makes one under `/var/lib` and leaves a symbolic link to it.
fn prepare_home(directory: &Path, account: Option<Account>) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let home = fs::canonicalize(directory)?;
    let Some(account) = account else {
        fs::set_permissions(&home, Permissions::from_mode(0o700))?;
        return Ok(home);
    };
    give_to(account, &home)?;
    if account.can_write(&home) {
        return Ok(home);
    }
    fs::create_dir_all(FALLBACK)?;
    let elsewhere = Path::new(FALLBACK).join(random_password());
    fs::create_dir(&elsewhere)?;
    give_to(account, &elsewhere)?;
    fs::remove_dir(directory)?;
    symlink(&elsewhere, directory)?;
    tracing::info!("The user postgres cannot reach {}: the cluster is in {}", home.display(), elsewhere.display());
    Ok(elsewhere)
}

fn give_to(account: Account, directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    chown(directory, Some(account.uid), Some(account.gid))
}
