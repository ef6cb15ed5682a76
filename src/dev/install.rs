//! Makes sure that PostgreSQL and nats-server are installed, so that `cargo dev` and `cargo test` work on a fresh Debian.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::servers;

const PACKAGES: [&str; 2] = ["postgresql", "nats-server"];
/// Debian's package would start a cluster of its own on port 5432 that nobody asked for. This file, which the package
/// includes from its own settings, says no; it is there only while the package is being installed.
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/proof-concierge.conf";

/// Returns at once when both servers are installed. Otherwise installs them as root, or fails with the line to run.
pub fn ensure_installed() -> anyhow::Result<()> {
    if servers::are_installed() {
        return Ok(());
    }
    let by_hand = format!("sudo apt-get update && sudo apt-get install -y {}", PACKAGES.join(" "));
    // Only root can create a file here, and processes that start at once take turns.
    let Ok(lock) = File::create("/run/proof-concierge-install.lock") else {
        bail!("PostgreSQL or nats-server is not installed; run: {by_hand}");
    };
    lock.lock()?;
    if servers::are_installed() {
        return Ok(());
    }
    tracing::info!("Installing {}", PACKAGES.join(" and "));
    install().with_context(|| format!("PostgreSQL or nats-server could not be installed; run: {by_hand}"))?;
    if !servers::are_installed() {
        bail!("{} are installed, but their programs were not found", PACKAGES.join(" and "));
    }
    Ok(())
}

fn install() -> anyhow::Result<()> {
    let settings = Path::new(NO_MAIN_CLUSTER);
    // Where the package's settings exist already, they are somebody's choice.
    let ours = !Path::new("/etc/postgresql-common/createcluster.conf").exists();
    if ours {
        fs::create_dir_all(settings.parent().context("the path has a directory")?)?;
        fs::write(settings, "create_main_cluster = false\n")?;
    }
    let installed = apt_get(&["update"])
        .and_then(|()| apt_get(&[&["install", "-y", "--no-install-recommends"], &PACKAGES[..]].concat()));
    if ours {
        fs::remove_file(settings)?;
    }
    installed
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .output()
        .context("apt-get cannot be run")?;
    if !output.status.success() {
        bail!("apt-get {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}
