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
//! [`crossings`] measures the bridge by itself, which takes a second: `cargo bench --bench commit --
//! crossings` does nothing else.
//!
//! `RAFT3D_BENCH_MS` sets the length of one run; the whole takes six minutes.

mod allocations;
mod crossings;
mod native;
mod peer;
mod run;
mod rust;
mod setup;
#[path = "../support/mod.rs"]
mod support;
mod table;

use run::Run;
use setup::{LogKind, Setup};
use support::report::Report;

const NODES: [u32; 2] = [1, 3];
const LOGS: [LogKind; 2] = [LogKind::Memory, LogKind::Fsync];
const IN_FLIGHT: [u32; 5] = [1, 8, 64, 256, 1024];
/// Length of a run in milliseconds, if `RAFT3D_BENCH_MS` says nothing.
const RUN_MS: u64 = 1_000;
/// Each measurement is made this often, the drivers in turn; the median counts.
const ROUNDS: usize = 3;

/// The drivers at the same setup.
struct Comparison {
    setup: Setup,
    rust: Run,
    cpp: Run,
    openraft: Run,
}

fn main() {
    let run_ms = support::run_time(RUN_MS).as_millis() as u32;
    let question = "What does a commit cost, and what part of it is the bridge?";
    let mut report = Report::new("commit", question);
    report.table(crossings::table(&crossings::measure()));
    if std::env::args().any(|argument| argument == "crossings") {
        return;
    }
    let comparisons: Vec<_> = setups(run_ms).map(compare).collect();
    report.table(table::table(&comparisons));
    for plot in table::plots(&comparisons) {
        report.plot(plot);
    }
    report.save();
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
        rust: support::median(rust, |run| run.per_second),
        cpp: support::median(cpp, |run| run.per_second),
        openraft: support::median(openraft, |run| run.per_second),
    }
}
