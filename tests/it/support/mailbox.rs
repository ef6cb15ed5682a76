//! A mail server that others wrote: Debian's aiosmtpd, which keeps what it takes in a maildir.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proof_concierge::dev::install::ensure_mail_server_installed;

use super::eventually::eventually;
use super::servers::scratch;

/// A running server with one mailbox for everybody. Dropping it stops it.
pub(crate) struct Mailbox {
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    directory: PathBuf,
    server: Child,
}

impl Mailbox {
    /// Starts the server on a free port and waits until it listens.
    pub(crate) async fn start() -> Self {
        ensure_mail_server_installed().unwrap();
        let directory = scratch("mailbox");
        fs::create_dir_all(&directory).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        // The kernel ends it with the test, however that ends.
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "/usr/bin/aiosmtpd", "-n", "-l", &address])
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(directory.join("mail"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mailbox = Self { address, directory, server };
        eventually(Duration::from_secs(20), async || TcpStream::connect(&mailbox.address).is_ok(), |up| *up).await;
        mailbox
    }

    /// The letters that were taken, as they came.
    pub(crate) fn letters(&self) -> Vec<String> {
        let new = fs::read_dir(self.directory.join("mail/new")).unwrap();
        new.map(|letter| fs::read_to_string(letter.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
