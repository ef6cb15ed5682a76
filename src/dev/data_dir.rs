//! The directory of one `concierge dev`: marked, locked, and emptied of nothing but its own.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::servers::{PrivatePostgres, claim, kept_secret, random_password, write_private};

pub(super) const POSTGRES: &str = "postgres";
pub(super) const NATS: &str = "nats";
/// Says that the directory is ours; without it a directory that is not empty is left alone.
const MARKER: &str = "made-by-concierge-dev";
const MARKER_TEXT: &str = "Data of `concierge dev`. It may be deleted while that is not running.\n";
const SECRETS: &str = "secrets";

/// A data directory that belongs to this process while it runs.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory, or takes it over from an earlier run. Fails while another process has it.
    pub(super) fn open(path: &Path, fresh: bool) -> anyhow::Result<Self> {
        let context = || format!("cannot use {} as data directory", path.display());
        fs::create_dir_all(path).with_context(context)?;
        let path = fs::canonicalize(path).with_context(context)?;
        if !path.join(MARKER).exists() {
            if fs::read_dir(&path).with_context(context)?.next().is_some() {
                bail!("{} is not empty and was not made by `concierge dev`: choose another --data-dir", path.display());
            }
            fs::write(path.join(MARKER), MARKER_TEXT).with_context(context)?;
        }
        let lock = claim(&path).context("another `concierge dev` is running on this data directory")?;
        // PostgreSQL may run as another user and has to pass through; everything inside is private to its own user.
        fs::set_permissions(&path, Permissions::from_mode(0o711)).with_context(context)?;
        let directory = Self { path, _lock: lock };
        if fresh {
            directory.clear().with_context(|| format!("cannot clear {}", directory.path.display()))?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A generated password that stays the same for this directory.
    pub(super) fn password(&self, name: &str) -> anyhow::Result<String> {
        self.secret(name, random_password)
    }

    /// The key that wraps the donors' data keys: without it the personal text in this directory's database is gone.
    pub(super) fn master_key(&self) -> anyhow::Result<String> {
        self.secret("master_key", || rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}")).concat())
    }

    /// Writes a file that only its owner can read.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        write_private(&self.path.join(name), text)
    }

    /// Removes a file if it is there.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        unless_missing(fs::remove_file(self.path.join(name)))
    }

    fn secret(&self, name: &str, generate: impl FnOnce() -> String) -> anyhow::Result<String> {
        let secrets = self.path.join(SECRETS);
        fs::create_dir_all(&secrets)?;
        fs::set_permissions(&secrets, Permissions::from_mode(0o700))?;
        kept_secret(&secrets.join(name), generate)
    }

    /// Deletes what earlier runs made, by name; a file that somebody else put here stays.
    fn clear(&self) -> io::Result<()> {
        unless_missing(PrivatePostgres::remove(&self.path.join(POSTGRES)))?;
        unless_missing(fs::remove_dir_all(self.path.join(NATS)))?;
        unless_missing(fs::remove_dir_all(self.path.join(SECRETS)))?;
        self.remove("dev.json")
    }
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty directory of one test.
    fn empty(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("concierge-data-dir-{name}-{}", std::process::id()));
        unless_missing(fs::remove_dir_all(&path)).unwrap();
        path
    }

    #[test]
    fn secrets_stay_until_a_fresh_start() {
        let path = empty("secrets");
        let first = DataDir::open(&path, false).unwrap().master_key().unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(DataDir::open(&path, false).unwrap().master_key().unwrap(), first);
        let mode = fs::metadata(path.join("secrets/master_key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        fs::write(path.join("notes"), "mine").unwrap();
        assert_ne!(DataDir::open(&path, true).unwrap().master_key().unwrap(), first);
        assert!(path.join("notes").exists(), "a fresh start deletes only what was made here");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn two_cannot_share_a_directory() {
        let path = empty("shared");
        let _first = DataDir::open(&path, false).unwrap();
        let error = DataDir::open(&path, true).unwrap_err();
        assert!(error.to_string().contains("another `concierge dev` is running"), "{error}");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let path = empty("foreign");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("notes"), "mine").unwrap();
        let error = DataDir::open(&path, true).unwrap_err();
        assert!(error.to_string().contains("was not made by `concierge dev`"), "{error}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        fs::remove_dir_all(path).unwrap();
    }
}
