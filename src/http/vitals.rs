//! What the operating system knows about this process and its machine. Nothing where there is no `/proc`.

use std::fs;

use serde::Serialize;
use utoipa::ToSchema;

/// How many ticks of processor time `/proc` counts in a second: part of Linux's interface, whatever its kernel counts.
const TICKS_PER_SECOND: f64 = 100.0;

/// The memory of this process.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Memory {
    /// Resident, in bytes.
    rss: Option<u64>,
}

/// The processor time of this process.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Cpu {
    /// Seconds in the program.
    user: f64,
    /// Seconds in the kernel on its behalf.
    system: f64,
}

/// One processor of the machine.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Processor {
    model: String,
}

/// The machine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    #[schema(value_type = String)]
    platform: &'static str,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Of the kernel.
    release: Option<String>,
    cpus: Vec<Processor>,
    /// In bytes.
    total_memory: Option<u64>,
    /// In bytes, what caches would give up included.
    free_memory: Option<u64>,
    /// Over one, five and fifteen minutes.
    load_avg: Option<Vec<f64>>,
}

/// The disk that this node runs from, in bytes. What facts take is for PostgreSQL to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) total: u64,
    /// What is left for programs like this one.
    pub(super) free: u64,
}

impl Storage {
    pub(super) fn read() -> Option<Self> {
        let disk = rustix::fs::statvfs("/").ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Self { total: bytes(disk.f_blocks), free: bytes(disk.f_bavail) })
    }

    pub(super) const fn used(self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// Whole percent, rounded down.
    pub(super) fn used_percentage(self) -> u64 {
        u64::try_from(u128::from(self.used()) * 100 / u128::from(self.total.max(1))).unwrap_or(100)
    }
}

impl Memory {
    pub(super) fn read() -> Self {
        Self { rss: resident_bytes() }
    }
}

impl Cpu {
    pub(super) fn read() -> Option<Self> {
        Self::parse(&text("/proc/self/stat")?)
    }

    /// The 14th and 15th field; the second, a name in parentheses, may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let mut seconds = || Some(ticks.next()?.ok()? / TICKS_PER_SECOND);
        Some(Self { user: seconds()?, system: seconds()? })
    }
}

impl Machine {
    pub(super) fn read() -> Self {
        let memory = text("/proc/meminfo").unwrap_or_default();
        let load = text("/proc/loadavg");
        Self {
            platform: std::env::consts::OS,
            kind: line("/proc/sys/kernel/ostype"),
            release: line("/proc/sys/kernel/osrelease"),
            cpus: Processor::all(&text("/proc/cpuinfo").unwrap_or_default()),
            total_memory: bytes(&memory, "MemTotal:"),
            free_memory: bytes(&memory, "MemAvailable:"),
            load_avg: load.map(|load| load.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect()),
        }
    }
}

/// The memory of this process that is in use, in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    bytes(&text("/proc/self/status")?, "VmRSS:")
}

/// The part of it that no file stands for: heap and stacks.
pub(super) fn heap_bytes() -> Option<u64> {
    bytes(&text("/proc/self/status")?, "RssAnon:")
}

impl Processor {
    fn all(table: &str) -> Vec<Self> {
        let names = table.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
        names.map(|(_, model)| Self { model: model.trim().to_owned() }).collect()
    }
}

fn line(path: &str) -> Option<String> {
    Some(text(path)?.trim().to_owned())
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The value of a line such as `VmRSS:    1684 kB`.
fn bytes(table: &str, name: &str) -> Option<u64> {
    let kibibytes = table.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::{Cpu, Processor, Storage, bytes};

    #[test]
    fn every_processor_is_told() {
        let table = "processor\t: 0\nmodel name\t: Fast: 3 GHz\n\nprocessor\t: 1\nmodel name\t: Fast: 3 GHz\n";
        let fast = || Processor { model: "Fast: 3 GHz".to_owned() };
        assert_eq!(Processor::all(table), [fast(), fast()]);
    }

    #[test]
    fn a_disk_is_told_in_whole_percent() {
        assert_eq!(Storage { total: 1_000, free: 101 }.used_percentage(), 89);
        assert_eq!(Storage { total: u64::MAX, free: 0 }.used_percentage(), 100);
        assert_eq!(Storage { total: 0, free: 0 }.used_percentage(), 0);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(bytes("VmPeak:\t  9 kB\nVmRSS:\t    1684 kB\n", "VmRSS:"), Some(1_724_416));
        assert_eq!(bytes("VmRSS: many", "VmRSS:"), None);
        assert_eq!(bytes("", "VmRSS:"), None);
    }

    #[test]
    fn processor_time_is_told_in_seconds_whatever_the_process_is_called() {
        let stat = "17 (a) b (c) S 1 1 1 0 -1 4194304 99 0 0 0 250 50 0 0 20 0";
        assert_eq!(Cpu::parse(stat), Some(Cpu { user: 2.5, system: 0.5 }));
        assert_eq!(Cpu::parse("17 (cat) S 1"), None);
    }
}
