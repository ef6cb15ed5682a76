//! A private PostgreSQL and nats-server for development, tests and benchmarks, as children of this process.
//!
//! Both listen on loopback only, ask for a generated password, keep everything in one directory, start again on what
//! they find there, and end with this process however it ends. All calls block; call them outside of async tasks.

mod nats;
mod postgres;
mod process;
mod programs;

pub use nats::{NatsOptions, PrivateNats};
pub use postgres::{BUFFERS_MB, PostgresOptions, PrivatePostgres};

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use rand::distr::{Alphanumeric, SampleString};

/// How many free ports are tried; what fails that often does not fail for the port.
const PORT_ATTEMPTS: u32 = 3;

/// Whether the programs of both servers are there.
pub(crate) fn are_installed() -> bool {
    programs::postgres(None).is_ok() && programs::nats().is_ok()
}

/// Whether Node.js and its package manager are there.
pub(crate) fn has_node() -> bool {
    programs::on_path("node").is_some() && programs::on_path("npm").is_some()
}

/// Whether Debian's mail server for tests is there.
pub(crate) fn has_mail_server() -> bool {
    Path::new("/usr/bin/aiosmtpd").exists()
}

/// Whether a clock can be set for one process.
pub(crate) fn has_faketime() -> bool {
    programs::on_path("faketime").is_some()
}

/// Takes a directory for this process. The lock goes with the returned file, or with the process however it ends.
pub(crate) fn claim(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join("owner.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("{} is in use by another running process", directory.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Returns what a private file keeps; when there is none yet, generates it and keeps it.
pub(crate) fn kept_secret(path: &Path, generate: impl FnOnce() -> String) -> anyhow::Result<String> {
    let context = || format!("cannot keep a secret in {}", path.display());
    match std::fs::read_to_string(path) {
        Ok(secret) => return Ok(secret.trim_end().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(context),
    }
    let secret = generate();
    write_private(path, &secret).with_context(context)?;
    Ok(secret)
}

/// Draws a password of 32 letters and digits (190 bits).
pub(crate) fn random_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// Writes a file that only its owner can read, and replaces it in one step so that nobody reads half of it.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(part, path)
}

/// Asks the system for a port nobody listens on. Somebody else may take it before it is used; callers try again.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Asks for several of them, all different.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let taken = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>()?;
    taken.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// Starts a server on the given port, or on free ones until it gets one that is still free.
fn on_some_port<T>(port: Option<u16>, mut start: impl FnMut(u16) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if let Some(port) = port {
        return start(port);
    }
    for _ in 1..PORT_ATTEMPTS {
        if let Ok(started) = start(free_port()?) {
            return Ok(started);
        }
    }
    start(free_port()?)
}
