//! A full disk under PostgreSQL: commands are turned away while it lasts, and nothing is lost.
//!
//! The database is on a small file system in memory, which takes root and the right to mount. Where that is not given (in
//! most containers), PostgreSQL's processes are forbidden to write to files beyond their first page instead, which fails
//! in the same places, only harder: it has to be started again afterwards.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::task::block_in_place;

use super::{all_is_well, busy};
use crate::support::eventually::eventually;
use crate::support::servers::scratch;
use crate::world::load::Load;
use crate::world::{LIMIT, Plan, World};

/// How large the file system is: twice what PostgreSQL needs to begin with.
const SIZE: &str = "size=192m";

/// A file system of its own; gone with this value.
struct Small(PathBuf);

impl Small {
    /// Mounts one, if that is allowed.
    fn mount(directory: PathBuf) -> Option<Self> {
        fs::create_dir_all(&directory).unwrap();
        run("mount", &["-t", "tmpfs", "-o", SIZE, "tmpfs"], &directory).then_some(Self(directory))
    }

    /// Writes until there is no room.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let status = Command::new(program).args(arguments).arg(path).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Forbids all processes of PostgreSQL to write beyond the first page of a file.
fn forbid_writing(world: &World) {
    let of_postmaster = format!("{}", world.postgres.pid());
    let children = Command::new("ps").args(["-o", "pid=", "--ppid", &of_postmaster]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    for pid in children.split_whitespace().chain([of_postmaster.as_str()]) {
        // One that has ended meanwhile writes nothing.
        drop(Command::new("prlimit").args(["--fsize=8192:", "--pid", pid]).stderr(Stdio::null()).status());
    }
}

async fn until_turned_away(load: &Load) {
    let before = load.repeated();
    eventually(LIMIT, async || load.repeated(), |now| *now > before + 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_there_is_no_room() {
    let directory = scratch("world");
    let small = Small::mount(directory.join("postgres"));
    let mut world = World::start(Plan::new(directory).nodes(1)).await;
    let at_work = busy(&world).await;
    match &small {
        Some(small) => block_in_place(|| small.fill()),
        None => forbid_writing(&world),
    }
    until_turned_away(&at_work.0).await;
    if let Some(small) = &small {
        fs::remove_file(small.filler()).unwrap();
    }
    // It may have given up, and does not come back by itself from a start that found no room.
    world.crash_postgres();
    all_is_well(&world, at_work).await;
    drop(world);
}
