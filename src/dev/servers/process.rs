//! One server process: started so that it cannot outlive this one, watched until it is ready, stopped by its own pid.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

const POLL: Duration = Duration::from_millis(10);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const LOG_TAIL_LINES: usize = 20;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server that appends its output to `log`.
    pub(super) fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// The pid, also after the process has ended.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Polls `ready` until it holds. Fails with the tail of the log when the process ends first or `limit` passes.
    pub(super) fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, tail(&self.log));
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} did not answer within {limit:?}:\n{}", self.name, tail(&self.log));
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the process to end in good order, and ends it when it does not.
    pub(super) fn stop(&mut self) {
        if self.wait(Duration::ZERO).is_none() && (!interrupt(self.pid()) || self.wait(STOP_LIMIT).is_none()) {
            self.kill();
        }
    }

    /// Ends the process the way a crash would (SIGKILL) and waits until it is gone.
    pub(super) fn kill(&mut self) {
        // Either call fails only when the process has ended and was waited for, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Wraps a program so that the kernel interrupts it when this process ends, even by SIGKILL.
///
/// Without util-linux's `setpriv`, which every Debian has, it is the bare program, which only `Drop` ends.
pub(super) fn end_with_this_process(program: &Path) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let there = *SETPRIV.get_or_init(|| {
        let attempt = Command::new("setpriv").args(["--pdeathsig", "INT", "--", "true"]).output();
        attempt.is_ok_and(|output| output.status.success())
    });
    let mut command = if there { Command::new("setpriv") } else { Command::new(program) };
    if there {
        command.args(["--pdeathsig", "INT", "--"]).arg(program);
    }
    // A process group of its own: Ctrl-C in the terminal reaches this process only, which then stops things in order.
    command.process_group(0);
    command
}

/// Starts a child from a thread that lives as long as this process.
///
/// The kernel counts the *thread* that forked as the parent: a child started by a test's or a pool's thread would be
/// interrupted as soon as that thread ends.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in queue {
                // Nobody waits for the answer only if the caller's thread is gone; then the child is dropped with it.
                drop(answer.send(command.spawn()));
            }
        });
        jobs
    });
    let (answer, child) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts servers is gone");
    spawner.send((command, answer)).map_err(|_| gone(mpsc::RecvError))?;
    child.recv().map_err(gone)?
}

/// Sends SIGINT: "fast shutdown" for PostgreSQL, an orderly one for nats-server. Says whether it could be sent.
pub(super) fn interrupt(pid: u32) -> bool {
    // The shell's own `kill` is on every machine; the program of that name is not.
    let status =
        Command::new("sh").args(["-c", "kill -INT \"$0\""]).arg(pid.to_string()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The last lines of a log, for an error message.
pub(super) fn tail(log: &Path) -> String {
    let text = File::open(log).and_then(io::read_to_string).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
