//! What does a commit cost, what part of it is the bridge between C++ and Rust, and what would it
//! cost in a Raft that is Rust only?
//!
//! One or three servers, all in this process, commit small entries for a while, with a fixed number
//! of them in flight, all proposed at the leader from one thread. Three drivers do the same:
//!
//! * [`rust`]: nodes of the program, with everything on the bridge's Rust side;
//! * [`native`]: the same core driven from C++. The difference to the first is the bridge, with
//!   all that the program does on its Rust side: encoding, applying, waking a task.
//! * [`peer`]: `openraft`, with the state machine, the log and the transport's conditions of the
//!   first.
//!
//! [`crossings`] measures the bridge by itself.
//!
//! `cargo bench --bench commit` prints tables and saves `bench-commit.json` in the target
//! directory. `RAFT3D_BENCH_MS` sets the length of one run; the whole takes six minutes.

use std::path::{Path, PathBuf};

use serde::Serialize;

mod allocations;
mod crossings;
mod native;
mod peer;
mod run;
mod rust;
mod setup;
mod table;

use crossings::Crossing;
use run::Run;
use setup::{LogKind, Setup};

const NODES: [u32; 2] = [1, 3];
const LOGS: [LogKind; 2] = [LogKind::Memory, LogKind::Fsync];
const IN_FLIGHT: [u32; 5] = [1, 8, 64, 256, 1024];
/// Length of a run in milliseconds, if `RAFT3D_BENCH_MS` says nothing.
const RUN_MS: u32 = 1_000;
/// Each measurement is made this often, the drivers in turn; the median counts.
const ROUNDS: usize = 3;

/// All that was measured.
#[derive(Serialize)]
struct Report {
    run_ms: u32,
    crossings: Vec<Crossing>,
    comparisons: Vec<Comparison>,
}

/// The drivers at the same setup.
#[derive(Serialize)]
struct Comparison {
    setup: Setup,
    rust: Run,
    cpp: Run,
    openraft: Run,
}

fn main() {
    let run_ms = std::env::var("RAFT3D_BENCH_MS").map_or(RUN_MS, |ms| {
        ms.parse()
            .expect("RAFT3D_BENCH_MS is a number of milliseconds")
    });
    let report = Report {
        run_ms,
        crossings: crossings::measure(),
        comparisons: setups(run_ms).map(compare).collect(),
    };
    println!("{}", crossings::table(&report.crossings));
    println!("{}", table::table(&report.comparisons));
    let path = output_path();
    let text = serde_json::to_string_pretty(&report).expect("plain data");
    std::fs::write(&path, text).expect("the target directory is writable");
    println!("saved in {}", path.display());
}

fn setups(run_ms: u32) -> impl Iterator<Item = Setup> {
    let nodes_and_logs = NODES.iter().flat_map(|nodes| LOGS.map(|log| (*nodes, log)));
    nodes_and_logs.flat_map(move |(nodes, log)| {
        IN_FLIGHT.map(|in_flight| Setup {
            nodes,
            log,
            in_flight,
            run_ms,
        })
    })
}

fn compare(setup: Setup) -> Comparison {
    let (mut rust, mut cpp, mut openraft) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rust.push(setup.in_directory(rust::run));
        cpp.push(setup.in_directory(native::run));
        openraft.push(setup.in_directory(peer::run));
    }
    eprintln!(
        "{} nodes, log: {}, {} in flight: done",
        setup.nodes,
        setup.log.name(),
        setup.in_flight
    );
    Comparison {
        setup,
        rust: Run::median(rust),
        cpp: Run::median(cpp),
        openraft: Run::median(openraft),
    }
}

fn output_path() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target
        .expect("a target directory")
        .join("bench-commit.json")
}
