//! Where the programs of the servers are: Debian's places, and the `PATH`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// One directory of programs per major version.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";
/// On root's `PATH` only.
const DEBIAN_NATS: &str = "/usr/sbin/nats-server";

/// The directory with `postgres` and `initdb`: of the major version that made a cluster, or of the newest.
pub(super) fn postgres(version: Option<&str>) -> anyhow::Result<PathBuf> {
    let installed = fs::read_dir(DEBIAN_POSTGRES).into_iter().flatten().flatten();
    let mut majors: Vec<u32> = installed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors.retain(|major| version.is_none_or(|wanted| wanted == major.to_string()));
    let debian = majors.into_iter().map(|major| Path::new(DEBIAN_POSTGRES).join(major.to_string()).join("bin"));
    // What is on the `PATH` may be of any version; with a cluster of another one it says so itself.
    let on_path = on_path("initdb").and_then(|initdb| Some(initdb.parent()?.to_owned()));
    let complete = |bin: &PathBuf| bin.join("postgres").is_file() && bin.join("initdb").is_file();
    debian.chain(on_path).find(complete).with_context(|| match version {
        Some(version) => format!("this cluster was made by PostgreSQL {version}, which is not installed"),
        None => "PostgreSQL is not installed".to_owned(),
    })
}

/// The program `nats-server`.
pub(super) fn nats() -> anyhow::Result<PathBuf> {
    let debian = || Path::new(DEBIAN_NATS).is_file().then(|| PathBuf::from(DEBIAN_NATS));
    on_path("nats-server").or_else(debian).context("nats-server is not installed")
}

/// Finds a program the way a shell does.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let output = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}
