//! One cluster for a long time, under faults and a steady load: memory and disk stay bounded.
//!
//! The load changes nothing that stays: jobs are created once, at the beginning, and then asked
//! for again with the same keys, moved where they may not go, and read. All of that goes through
//! the replicated log, so the log, the snapshots and every queue see the full load, while the
//! state does not grow. What grows nevertheless is a leak.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::report::save;
use super::soak_load::SoakLoad;
use super::usage::{Sample, Sampler, Usage};
use super::{job_body, settled};
use crate::cluster_support::wait_until;
use crate::faults::attack::Attack;
use crate::faults::disk::compile_shim;
use crate::faults::fault::{Draw, Fault, Tally};
use crate::faults::network::{Link, Network};
use crate::faults::nodes::Nodes;
use crate::faults::rng::Rng;

/// Settings that let snapshots and compaction happen often.
const ARGS: [&str; 4] = [
    "--snapshot-distance",
    "2000",
    "--request-timeout-ms",
    "1500",
];
/// Faults between two looks at the clock.
const FAULTS: usize = 10;
/// One of so many parts of the time is for warming up; the last one is compared with the second.
const PARTS: usize = 5;
/// What the first node may hold more at the end than after the warm-up, in KiB: the payloads of
/// the open log file, 16 MiB at most, come and go with each file.
const GROWTH_MAX_KIB: u64 = 24 << 10;
/// Largest data directory, in KiB: two log files of 16 MiB, the snapshots, and one being written.
const DISK_MAX_KIB: u64 = 48 << 10;
/// Most files in a data directory: what is there at rest, and a log file for each of a few starts.
const FILES_MAX: usize = 40;

/// As in other runs under faults; but the first node never dies, so that it grows old.
const KINDS: [(u64, Draw); 12] = [
    (12, |rng, ids| Fault::Kill(*rng.pick(&ids[1..]))),
    (12, |rng, ids| Fault::PowerLoss(*rng.pick(&ids[1..]))),
    (8, |rng, ids| Fault::Pause(*rng.pick(ids))),
    (8, |rng, ids| Fault::Split(vec![*rng.pick(ids)])),
    (10, |_, _| Fault::LeaderAlone),
    (5, |rng, ids| {
        let order = rng.shuffled(ids);
        Fault::OneWay(order[0], order[1])
    }),
    (4, |rng, ids| Fault::Deaf(*rng.pick(ids))),
    (8, |rng, _| {
        Fault::BadNetwork(Link {
            cut: false,
            loss_percent: rng.between(0, 10),
            twice_percent: rng.between(0, 10),
            delay_ms: (0, rng.between(0, 30)),
        })
    }),
    (6, |rng, ids| {
        Fault::FailingWrites(*rng.pick(&ids[1..]), libc::ENOSPC)
    }),
    (6, |rng, ids| Fault::FailingSyncs(*rng.pick(&ids[1..]))),
    (5, |rng, ids| {
        Fault::SlowDisk(*rng.pick(ids), rng.between(5, 300) as i32)
    }),
    (4, |rng, ids| Fault::Snapshot(*rng.pick(ids))),
];

/// Runs the soak with files under `dir`; panics if memory or disk use is not bounded.
pub fn run(dir: &Path, time: Duration, seed: u64) {
    println!("RAFT3D_FAULTS_SEED={seed} runs this again");
    let network = Network::new(3);
    let shim = compile_shim(dir);
    let runtime = Runtime::new().expect("a runtime");
    let (samples, tally) = runtime.block_on(soak(dir, &network, &shim, time, seed));
    judge(&samples, &tally, seed);
}

async fn soak(
    dir: &Path,
    network: &Network,
    shim: &Path,
    time: Duration,
    seed: u64,
) -> (Vec<Sample>, Tally) {
    let dir = dir.join("soak");
    fs::create_dir_all(&dir).expect("room for a run");
    let mut nodes = Nodes::new(3, &dir, Some(shim), &ARGS, &[]);
    for id in nodes.ids() {
        nodes.start(id).await;
    }
    settled(&nodes).await;
    let job = job_body(&nodes).await;
    let urls = nodes.endpoints().into_iter().map(|node| node.url);
    let load = SoakLoad::start(urls.collect(), &job, seed).await;

    let begun = Instant::now();
    let dirs = nodes.ids().into_iter().map(|id| nodes.dir(id).to_owned());
    let sampler = Sampler::start(dirs.collect(), load.done());
    let mut attack = Attack {
        network,
        nodes: &mut nodes,
        rng: Rng::part(seed, 0),
        faults: &KINDS,
        leaving: BTreeSet::new(),
        log: Vec::new(),
        tally: Tally::default(),
    };
    while begun.elapsed() < time {
        if let Err(reason) = attack.run(FAULTS, load.done()).await {
            panic!("a node does not come back: {reason}");
        }
        attack.log.clear();
    }
    let tally = std::mem::take(&mut attack.tally);
    drop(attack);
    settled(&nodes).await;
    // At rest, and with what the faults held up done.
    let more = *load.done().borrow() + 500;
    let mut done = load.done();
    wait_until("the load goes on after the faults", async || {
        (*done.borrow_and_update() >= more).then_some(())
    })
    .await;
    load.stop().await;
    let samples = sampler.stop().await;
    for id in nodes.ids() {
        nodes.kill(id).await;
    }
    (samples, tally)
}

/// Prints and saves what was used, and panics if that is not bounded.
fn judge(samples: &[Sample], tally: &Tally, seed: u64) {
    let part = samples.len() / PARTS;
    assert!(part > 0, "too short to judge");
    let (early, late) = (&samples[part..2 * part], &samples[samples.len() - part..]);
    let last = &samples[samples.len() - 1];
    let mut text = format!(
        "seed {seed}: {} s, {} requests answered; {tally}\n",
        last.seconds, last.requests
    );
    for (node, id) in (1..=last.nodes.len()).enumerate() {
        let of = |samples: &[Sample]| median_rss(samples, node);
        let most = |what: fn(&Usage) -> u64| {
            let values = samples.iter().map(|sample| what(&sample.nodes[node]));
            values.max().unwrap_or_default()
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "node {id}: RSS {} KiB after the warm-up, {} KiB at the end, {} KiB at most; \
             data directory {} KiB at the end, {} KiB at most; files {} at the end, {} at most",
            of(early),
            of(late),
            most(|usage| usage.rss_kib),
            last.nodes[node].disk_kib,
            most(|usage| usage.disk_kib),
            last.nodes[node].files,
            most(|usage| usage.files as u64),
        );
    }
    let (before, after) = (median_rss(early, 0), median_rss(late, 0));
    let requests = last.requests - early[0].requests;
    let _ = write!(
        text,
        "node 1, never restarted, grew by {} KiB in {requests} requests",
        after as i64 - before as i64
    );
    save(
        "soak",
        &text,
        &json!(samples.iter().map(Sample::json).collect::<Vec<_>>()),
    );
    assert!(
        after <= before + GROWTH_MAX_KIB,
        "memory is not flat: {text}"
    );
    let bounded = |usage: &Usage| usage.disk_kib <= DISK_MAX_KIB && usage.files <= FILES_MAX;
    let unbounded = samples
        .iter()
        .find(|sample| !sample.nodes.iter().all(bounded));
    assert!(unbounded.is_none(), "the disk fills up: {unbounded:?}");
}

/// What a node held most of the time; 0 if it never ran.
fn median_rss(samples: &[Sample], node: usize) -> u64 {
    let running = samples.iter().map(|sample| sample.nodes[node].rss_kib);
    let mut sizes: Vec<u64> = running.filter(|size| *size > 0).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().unwrap_or_default()
}
