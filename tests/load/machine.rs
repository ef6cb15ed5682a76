//! What the figures were measured on, and which process spent the time.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use proof_concierge::dev::servers::BUFFERS_MB;
use serde::Serialize;

/// How many writes the cost of one is the median of.
const SYNCS: usize = 200;
/// What the kernel counts processor time in, on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// The machine and what runs on it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gigabytes: f64,
    kernel: String,
    file_system: String,
    /// Median of a write of 8 KB with `fdatasync`, where PostgreSQL's data is.
    sync_ms: f64,
    postgres: String,
    nats: String,
}

impl Machine {
    /// `directory` is where PostgreSQL's data is.
    pub(crate) fn look(directory: &Path, postgres: String, nats_url: &str) -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gigabytes: f64::from(memory_mb()) / 1_024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            file_system: file_system(directory),
            sync_ms: sync_cost(directory),
            postgres,
            nats: nats_version(nats_url),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_gigabytes, kernel, file_system, sync_ms, postgres, nats } = self;
        writeln!(f, "machine: {processor}, {cores} cores, {memory_gigabytes:.0} GB, Linux {kernel}, {file_system}")?;
        writeln!(f, "         a write of 8 KB with fdatasync takes {sync_ms:.2} ms (median of {SYNCS})")?;
        write!(f, "on it:   PostgreSQL {postgres} (durable), nats-server {nats}, the service and this load generator")
    }
}

fn memory_mb() -> u32 {
    let memory = field("/proc/meminfo", "MemTotal");
    let kilobytes: u64 = memory.split(' ').next().and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0);
    u32::try_from(kilobytes / 1_024).unwrap_or(u32::MAX)
}

/// What PostgreSQL's manual advises to give it of a machine that it has for itself, but no less than it has elsewhere.
pub(crate) fn quarter_of_memory_mb() -> u32 {
    (memory_mb() / 4).max(BUFFERS_MB)
}

/// The first value of a name in a file of `name : value` lines.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// Type and device of the file system that holds a directory.
fn file_system(directory: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
        directory.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
    });
    mounts.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, words)| words)
}

fn sync_cost(directory: &Path) -> f64 {
    let path = directory.join("sync-cost");
    let file = File::create(&path).unwrap();
    let mut taken = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begin = Instant::now();
        file.write_all_at(&[1; 8_192], 0).unwrap();
        file.sync_data().unwrap();
        taken.push(begin.elapsed());
    }
    fs::remove_file(path).unwrap();
    taken.sort_unstable();
    taken[SYNCS / 2].as_secs_f64() * 1_000.0
}

/// The version in a server's greeting.
fn nats_version(url: &str) -> String {
    let address = url.rsplit(['@', '/']).next().unwrap_or_default();
    let mut greeting = String::new();
    BufReader::new(TcpStream::connect(address).unwrap()).read_line(&mut greeting).unwrap();
    let version = greeting.split("\"version\":\"").nth(1).and_then(|rest| rest.split('"').next());
    version.unwrap_or("unknown").to_owned()
}

/// Processor time spent so far, in seconds: by the service, PostgreSQL, NATS and this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent([f64; 4]);

impl Spent {
    pub(crate) const NAMES: [&str; 4] = ["service_us", "postgres_us", "nats_us", "generator_us"];

    /// Up to now, by the processes with these ids. PostgreSQL's backends are counted with their postmaster.
    pub(crate) fn now(service: u32, postgres: u32, nats: u32) -> Self {
        let mut backends = 0.0;
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some((parent, seconds)) = spent_by(id)
                && parent == postgres
            {
                backends += seconds;
            }
        }
        let of = |id| spent_by(id).map_or(0.0, |(_, seconds)| seconds);
        Self([of(service), of(postgres) + backends, of(nats), of(std::process::id())])
    }

    /// Since another time, per one of `count` things, in microseconds, in the order of [`Self::NAMES`].
    pub(crate) fn since(self, earlier: Self, count: f64) -> [f64; 4] {
        std::array::from_fn(|of| (self.0[of] - earlier.0[of]) * 1_000_000.0 / count.max(1.0))
    }
}

/// Parent and processor time of a process, its ended children included.
fn spent_by(id: u32) -> Option<(u32, f64)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: f64 = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Some((fields.get(1)?.parse().ok()?, ticks / TICKS_PER_SECOND))
}

/// Resident memory of a process, in megabytes.
pub(crate) fn resident_megabytes(id: u32) -> f64 {
    let resident = field(&format!("/proc/{id}/status"), "VmRSS");
    let kilobytes: f64 = resident.split_whitespace().next().and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0.0);
    kilobytes / 1_024.0
}

/// Lets this process and those it starts have as many files open as the machine allows.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
