//! Makes sure that the programs we start are installed, so that `cargo dev` and `cargo test` work on a fresh Debian.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::servers;

/// Programs that are installed together.
struct Needed {
    /// What to call them.
    names: &'static str,
    /// Debian's packages.
    packages: &'static [&'static str],
    /// Whether they are there.
    are_there: fn() -> bool,
}

const SERVERS: Needed = Needed {
    names: "PostgreSQL or nats-server",
    packages: &["postgresql", "nats-server"],
    are_there: servers::are_installed,
};

const NODE: Needed = Needed { names: "Node.js or npm", packages: &["nodejs", "npm"], are_there: servers::has_node };

const MAIL_SERVER: Needed =
    Needed { names: "aiosmtpd", packages: &["python3-aiosmtpd"], are_there: servers::has_mail_server };

const FAKETIME: Needed = Needed { names: "faketime", packages: &["faketime"], are_there: servers::has_faketime };

/// Debian's package would start a cluster of its own on port 5432 that nobody asked for. This file, which the package
/// includes from its own settings, says no; it is there only while the package is being installed.
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/proof-concierge.conf";

/// Returns at once when both servers are installed. Otherwise installs them as root, or fails with the line to run.
pub fn ensure_installed() -> anyhow::Result<()> {
    SERVERS.ensure()
}

/// The same for Node.js and npm, which only tests need.
pub fn ensure_node_installed() -> anyhow::Result<()> {
    NODE.ensure()
}

/// The same for a mail server, which only tests need.
pub fn ensure_mail_server_installed() -> anyhow::Result<()> {
    MAIL_SERVER.ensure()
}

/// The same for a clock that can be set for one process, which only tests need.
pub fn ensure_faketime_installed() -> anyhow::Result<()> {
    FAKETIME.ensure()
}

impl Needed {
    fn ensure(&self) -> anyhow::Result<()> {
        let Self { names, packages, are_there } = self;
        if are_there() {
            return Ok(());
        }
        let by_hand = format!("sudo apt-get update && sudo apt-get install -y {}", packages.join(" "));
        // Only root can create a file here, and processes that start at once take turns.
        let Ok(lock) = File::create("/run/proof-concierge-install.lock") else {
            bail!("{names} is not installed; run: {by_hand}");
        };
        lock.lock()?;
        if are_there() {
            return Ok(());
        }
        tracing::info!("Installing {}", packages.join(" and "));
        install(packages).with_context(|| format!("{names} could not be installed; run: {by_hand}"))?;
        if !are_there() {
            bail!("{} are installed, but their programs were not found", packages.join(" and "));
        }
        Ok(())
    }
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let settings = Path::new(NO_MAIN_CLUSTER);
    // Where the package's settings exist already, they are somebody's choice.
    let ours = !Path::new("/etc/postgresql-common/createcluster.conf").exists();
    if ours {
        fs::create_dir_all(settings.parent().context("the path has a directory")?)?;
        fs::write(settings, "create_main_cluster = false\n")?;
    }
    let installed = apt_get(&["update"])
        .and_then(|()| apt_get(&[&["install", "-y", "--no-install-recommends"], packages].concat()));
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
