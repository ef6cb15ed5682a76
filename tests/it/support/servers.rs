//! One PostgreSQL and one nats-server per test process, gone with it together with all they wrote.
//!
//! Nothing is taken from the environment but `NATS_SERVER`, a program to run instead of the installed nats-server: a
//! `DATABASE_URL` in somebody's shell must never be what the tests write to.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use proof_concierge::dev::install::ensure_installed;
use proof_concierge::dev::servers::{BUFFERS_MB, NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};

use crate::world::nats_program;

/// Names of directories in use; one that is being set up has another name until it is locked.
const PREFIX: &str = "concierge-tests-";

/// The servers all tests of this process share. A test that kills a server starts its own in a [`scratch`] directory.
pub(crate) struct Servers {
    postgres: PrivatePostgres,
    nats: PrivateNats,
}

impl Servers {
    /// The address of a database, as superuser.
    pub(crate) fn database_url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    /// The address of NATS. Tests share it: each uses a prefix of its own.
    pub(crate) fn nats_url(&self) -> String {
        self.nats.url()
    }
}

/// The shared servers, started by whoever asks first.
pub(crate) fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let postgres =
            PostgresOptions { data_dir: scratch("postgres"), durable: false, port: None, buffers_mb: BUFFERS_MB };
        let nats = NatsOptions { data_dir: scratch("nats"), port: None, program: nats_program() };
        Servers {
            postgres: PrivatePostgres::start(&postgres).unwrap_or_else(|error| panic!("{error:#}")),
            nats: PrivateNats::start(&nats).unwrap_or_else(|error| panic!("{error:#}")),
        }
    })
}

/// The path of a directory that does not exist yet and disappears with this process.
///
/// Makes sure on the way that the servers are installed, so that whoever needs a directory can start one there.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static RUN: OnceLock<RunDirectory> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        ensure_installed().unwrap_or_else(|error| panic!("{error:#}"));
        RunDirectory::create()
    });
    run.path.join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// A directory of this process, removed when the process ends: by a shell that waits for the end of its standard input.
struct RunDirectory {
    path: PathBuf,
    _lock: File,
    _remover: Mutex<ChildStdin>,
}

impl RunDirectory {
    fn create() -> Self {
        remove_stale();
        let name = format!("{PREFIX}{}", uuid::Uuid::new_v4());
        let unlocked = std::env::temp_dir().join(format!("new-{name}"));
        // Others may pass through, because PostgreSQL runs as another user when this process is root, but not look.
        fs::DirBuilder::new().mode(0o711).create(&unlocked).unwrap();
        let lock = File::create(unlocked.join("lock")).unwrap();
        lock.lock().unwrap();
        let path = std::env::temp_dir().join(name);
        fs::rename(&unlocked, &path).unwrap();
        let remover = remover(&path);
        Self { path, _lock: lock, _remover: Mutex::new(remover) }
    }
}

/// Starts the shell that removes the directory after this process and its servers have ended.
fn remover(path: &Path) -> ChildStdin {
    let script = r#"cat; n=0; while [ -e "$0" ] && [ $n -lt 50 ]; do sleep 0.2; rm -rf -- "$0"; n=$((n + 1)); done"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(path).current_dir("/");
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    shell.spawn().unwrap().stdin.take().expect("its standard input is a pipe")
}

/// Removes what processes left that were killed together with their remover.
fn remove_stale() {
    let own = fs::metadata("/proc/self").unwrap().uid();
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !ours || entry.metadata().is_ok_and(|metadata| metadata.uid() != own) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join("lock")) else { continue };
        match lock.try_lock() {
            Ok(()) => drop(fs::remove_dir_all(entry.path())),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}
