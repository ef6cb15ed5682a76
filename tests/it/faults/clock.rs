//! A clock that is set: forward, back, and right again, while the other node's goes on.

use std::fs;
use std::path::PathBuf;

use proof_concierge::dev::install::ensure_faketime_installed;
use serde_json::Value;

use super::{all_is_well, busy, plan};
use crate::support::eventually::eventually;
use crate::support::servers::scratch;
use crate::world::node::Node;
use crate::world::{LIMIT, World, ask};

/// By how many seconds the clock is off, one after the other. Less than the hour after which a call ends by itself.
const STEPS: &[i64] = &[1_500, -1_500, 0];

/// By how many minutes a node's clock is off.
async fn minutes_off(node: &Node) -> Option<i64> {
    let (_, text) = ask(node, "/health/live").await?;
    let alive: Value = serde_json::from_str(&text).ok()?;
    let told: chrono::DateTime<chrono::Utc> = alive["timestamp"].as_str()?.parse().ok()?;
    Some((told - chrono::Utc::now()).num_minutes())
}

/// Debian's library that stands between a program and the time.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("the package has its library there")
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_keep_their_order_whatever_a_clock_says() {
    ensure_faketime_installed().unwrap();
    let (mut world, setting) = (World::prepare(plan(2)).await, scratch("clock"));
    let set = |seconds: i64| fs::write(&setting, format!("{seconds:+}\n")).unwrap();
    set(0);
    let odd = &mut world.nodes[0];
    odd.set("LD_PRELOAD", library().to_str().unwrap());
    odd.set("FAKETIME_TIMESTAMP_FILE", setting.to_str().unwrap());
    odd.set("FAKETIME_NO_CACHE", "1");
    // What measures spans is not set by anybody.
    odd.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    for node in &mut world.nodes {
        node.start();
    }
    world.ready().await;
    let at_work = busy(&world).await;
    for seconds in STEPS {
        set(*seconds);
        let off = async || minutes_off(&world.nodes[0]).await.map(|off| (off - seconds / 60).abs());
        eventually(LIMIT, off, |off| off.is_some_and(|off| off <= 1)).await;
        at_work.0.answered(40).await;
    }
    all_is_well(&world, at_work).await;
}
