//! How does cost grow with the farm, and with the cluster?
//!
//! One node holds 10^3 to 10^6 print jobs: what a job takes of memory, what applying and asking cost,
//! what a snapshot takes and how long it holds commits up, how long a restart takes, and an empty
//! node to catch up. Then the same commits in clusters of 1, 3, 5 and 7 nodes.
//!
//! Each size is measured in a process of its own, so that no memory is left from another one.
//! `RAFT3D_GROWTH_MAX` is the largest number of jobs (1000000).

mod support;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft3d::consensus::Consensus;
use raft3d::domain::id::Id;
use raft3d::domain::model::JobStatus;
use raft3d::domain::state::{JobFilter, State};
use raft3d::raft::{Durability, Node};
use serde::{Deserialize, Serialize};
use support::nodes::{self, Setup};
use support::plot::{Axis, Plot};
use support::report::{self, Figures, Report};
use support::samples::Samples;
use support::{median, run_time};

/// Tells a process of this program which size to measure.
const SIZE_VARIABLE: &str = "RAFT3D_GROWTH_SIZE";
const SIZE_MAX_VARIABLE: &str = "RAFT3D_GROWTH_MAX";
const SIZES: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Printers, and filaments.
const EQUIPMENT: i64 = 100;
/// Commands in flight while a farm is filled.
const IN_FLIGHT: usize = 1024;
/// Fewest entries between two snapshots by default.
const DISTANCE: i64 = 10_000;
/// How often each question is asked.
const QUESTIONS: i64 = 1_000;
/// Jobs of one page.
const PAGE: usize = 100;
const CLUSTER_SIZES: [usize; 4] = [1, 3, 5, 7];
const ROUNDS: usize = 3;

/// What was found at one size. Times in microseconds unless named otherwise.
#[derive(Serialize, Deserialize)]
struct Found {
    jobs: i64,
    bytes_per_job: f64,
    apply_p50: f64,
    apply_p99: f64,
    by_id: f64,
    by_status: f64,
    by_filament: f64,
    unfiltered: f64,
    snapshot_ms: f64,
    snapshot_mib: f64,
    /// Longest commit without and with a snapshot being written, log in memory.
    longest_ms: [f64; 2],
    /// The same with the log on disk.
    longest_synced_ms: [f64; 2],
    restart_ms: f64,
    catch_up_ms: f64,
}

fn main() {
    if let Ok(size) = std::env::var(SIZE_VARIABLE) {
        let size = size.parse().expect("a number of jobs");
        let found = measure(size);
        println!("{}", serde_json::to_string(&found).expect("plain data"));
        return;
    }
    let mut report = Report::new("growth", "How does cost grow?");
    let largest = std::env::var(SIZE_MAX_VARIABLE).map_or(i64::MAX, |max| {
        max.parse().expect("RAFT3D_GROWTH_MAX is a number of jobs")
    });
    let sizes = SIZES.into_iter().filter(|size| *size <= largest);
    let found: Vec<Found> = sizes.map(measure_apart).collect();
    report_farm(&mut report, &found);
    report_clusters(&mut report);
    report.save();
}

/// Measures in a process of its own.
fn measure_apart(size: i64) -> Found {
    eprintln!("{size} jobs");
    let program = std::env::current_exe().expect("this program's path");
    let output = Command::new(program)
        .env(SIZE_VARIABLE, size.to_string())
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program can be run again");
    assert!(output.status.success(), "measuring {size} jobs failed");
    serde_json::from_slice(&output.stdout).expect("what was found")
}

fn measure(size: i64) -> Found {
    let dir = report::scratch();
    let runtime = nodes::runtime();
    let setup = setup(1, Durability::Fsync);
    let cluster = setup.start(dir.path());
    let node = Arc::clone(cluster.leader());

    let empty = resident_bytes();
    runtime.block_on(fill(&node, size));
    let bytes_per_job = (resident_bytes() - empty) / size as f64;

    let state = node.state();
    let applied = apply_latencies(&state, size);
    let [by_id, by_status, by_filament, unfiltered] = questions(&state, size);
    drop(state);

    let longest_synced_ms = runtime.block_on(longest_commits(&node, size));
    let began = Instant::now();
    let snapshot = take_snapshot(&node);
    let snapshot_ms = millis(began);
    runtime.block_on(add_jobs(&node, size, replayed(size)));
    drop((node, cluster));

    Found {
        jobs: size,
        bytes_per_job,
        apply_p50: applied.micros(0.5),
        apply_p99: applied.micros(0.99),
        by_id,
        by_status,
        by_filament,
        unfiltered,
        snapshot_ms,
        snapshot_mib: snapshot / f64::from(1 << 20),
        longest_ms: longest_in_memory(size),
        longest_synced_ms,
        restart_ms: restart(setup, dir.path()),
        catch_up_ms: catch_up(size),
    }
}

/// Brings the farm of an empty node to `size` jobs, all of them in its newest snapshot.
async fn fill(node: &Arc<Node>, size: i64) {
    nodes::propose_all(node, IN_FLIGHT, nodes::equipment(EQUIPMENT).into_iter()).await;
    add_jobs(node, 0, size).await;
    take_snapshot(node);
}

/// `nodes` nodes that take snapshots and shorten their logs by themselves.
fn setup(nodes: usize, durability: Durability) -> Setup {
    Setup {
        snapshot_distance: DISTANCE as u32,
        ..Setup::new(nodes, durability)
    }
}

async fn add_jobs(node: &Arc<Node>, first: i64, count: i64) {
    let jobs = (first..first + count).map(|number| nodes::job(number, EQUIPMENT));
    nodes::propose_all(node, IN_FLIGHT, jobs).await;
}

/// Takes a snapshot and waits until it is durable; gives its length in bytes.
fn take_snapshot(node: &Arc<Node>) -> f64 {
    let index = begin_snapshot(node);
    nodes::wait_for("the snapshot", || node.status().snapshot_index == index);
    let snapshots = node.snapshots().expect("a node on disk");
    let files = snapshots.files().expect("the snapshots can be listed");
    let newest = files.iter().find(|file| file.id.index == index);
    newest.expect("the snapshot just taken").bytes as f64
}

/// Begins a snapshot of something new, once the one before has ended; gives its index.
fn begin_snapshot(node: &Arc<Node>) -> u64 {
    let mut index = 0;
    nodes::wait_for("a snapshot to begin", || {
        index = node.create_snapshot();
        index > 0
    });
    index
}

/// Applies commands to a copy of `state`, as the node does.
fn apply_latencies(state: &State, size: i64) -> Samples {
    let mut state = state.clone();
    let first = state.applied_index() + 1;
    let commands = (0..QUESTIONS).map(|number| nodes::job(size + number, EQUIPMENT));
    let commands: Vec<_> = commands.collect();
    let mut samples = Samples::new();
    for (index, command) in (first..).zip(&commands) {
        let began = Instant::now();
        black_box(state.apply_bytes(index, command));
        samples.add(began.elapsed());
    }
    samples
}

/// What one question costs: a job by its id, a page by status, by filament, and of all jobs.
fn questions(state: &State, size: i64) -> [f64; 4] {
    let id = |number: i64| Id::from_integer(number).expect("a small integer");
    let page = |filter: &JobFilter, number: i64| {
        let after = id(number * (size / QUESTIONS).max(1));
        let jobs = state.jobs(filter, Some(&after)).take(PAGE);
        black_box(jobs.map(|job| job.print_weight_in_grams.get()).sum::<u64>());
    };
    let by_status = JobFilter {
        status: Some(JobStatus::Queued),
        ..JobFilter::default()
    };
    let by_filament = JobFilter {
        filament_id: Some(id(7)),
        ..JobFilter::default()
    };
    let all = JobFilter::default();
    [
        ask(|number| {
            black_box(state.job(&(number % size + 1).to_string()));
        }),
        ask(|number| page(&by_status, number)),
        ask(|number| page(&by_filament, number)),
        ask(|number| page(&all, number)),
    ]
}

/// The median time of `question`, in microseconds.
fn ask(question: impl Fn(i64)) -> f64 {
    let timed = (0..QUESTIONS).map(|number| {
        let began = Instant::now();
        question(number);
        began.elapsed()
    });
    timed.collect::<Samples>().micros(0.5)
}

/// The longest commit of one client in milliseconds: without a snapshot, and while one is written.
async fn longest_commits(node: &Arc<Node>, size: i64) -> [f64; 2] {
    let still = run_time(1_000);
    let began = Instant::now();
    let without = commit_while(node, size, || began.elapsed() < still).await;
    let index = begin_snapshot(node);
    let with = commit_while(node, size, || node.status().snapshot_index != index).await;
    [without.millis(1.0), with.millis(1.0)]
}

/// Commits jobs, one after the other, at least one and as long as `goes_on`.
async fn commit_while(node: &Arc<Node>, size: i64, goes_on: impl Fn() -> bool) -> Samples {
    let mut samples = Samples::new();
    for number in size.. {
        let command = nodes::job(number, EQUIPMENT);
        let began = Instant::now();
        node.propose(command).await.expect("it commits");
        samples.add(began.elapsed());
        if !goes_on() {
            break;
        }
    }
    samples
}

fn longest_in_memory(size: i64) -> [f64; 2] {
    let dir = report::scratch();
    let runtime = nodes::runtime();
    let cluster = setup(1, Durability::InMemory).start(dir.path());
    let node = cluster.leader();
    runtime.block_on(fill(node, size));
    runtime.block_on(longest_commits(node, size))
}

/// Entries behind the snapshot that a restart replays: half of those between two snapshots, which are an
/// eighth to a quarter as many as a large farm has objects.
fn replayed(size: i64) -> i64 {
    DISTANCE.max(size / 5) / 2
}

/// Time until a node that was stopped has all of its state again: snapshot loaded, log replayed.
fn restart(setup: Setup, dir: &Path) -> f64 {
    let began = Instant::now();
    let cluster = setup.start(dir);
    let node = cluster.leader();
    let last = node.status().last_log_index;
    nodes::wait_for("the log to be applied", || {
        node.status().applied_index >= last
    });
    millis(began)
}

/// Time that an empty third node takes to have the state of the others, whose log is compacted.
fn catch_up(size: i64) -> f64 {
    let dir = report::scratch();
    let runtime = nodes::runtime();
    let mut cluster = setup(3, Durability::Fsync).prepare(dir.path());
    cluster.start(1);
    cluster.start(2);
    let leader = Arc::clone(cluster.leader());
    runtime.block_on(fill(&leader, size));
    let last = leader.status().applied_index;
    let followers = cluster.nodes.iter();
    let followers = followers.filter(|node| !Arc::ptr_eq(node, &leader));
    followers.for_each(|node| {
        nodes::wait_for("the follower", || node.status().applied_index >= last);
        take_snapshot(node);
    });
    let began = Instant::now();
    cluster.start(3);
    let late = cluster.nodes.last().expect("three nodes");
    nodes::wait_for("the empty node to catch up", || {
        late.status().applied_index >= last
    });
    millis(began)
}

fn report_farm(report: &mut Report, found: &[Found]) {
    let ms = |value: f64| format!("{value:.1}");
    let us = |value: f64| format!("{value:.2}");
    let mut memory = Figures::new(
        "A farm on one node: memory, applying a job, asking (a job by id; pages of 100)",
        &[
            "jobs",
            "bytes/job",
            "apply p50 us",
            "apply p99 us",
            "by id us",
            "by status us",
            "by filament us",
            "all us",
        ],
    );
    for f in found {
        memory.row([
            f.jobs.to_string(),
            format!("{:.0}", f.bytes_per_job),
            us(f.apply_p50),
            us(f.apply_p99),
            us(f.by_id),
            us(f.by_status),
            us(f.by_filament),
            us(f.unfiltered),
        ]);
    }
    report.table(memory);
    let mut times = Figures::new(
        "Snapshots, restart, and an empty node; longest commit of one client with and without a snapshot under way",
        &[
            "jobs",
            "snapshot ms",
            "snapshot MiB",
            "longest, in memory ms",
            "with snapshot ms",
            "longest, fsync ms",
            "with snapshot, fsync ms",
            "restart ms",
            "catch up ms",
        ],
    );
    for f in found {
        times.row([
            f.jobs.to_string(),
            ms(f.snapshot_ms),
            ms(f.snapshot_mib),
            us(f.longest_ms[0]),
            us(f.longest_ms[1]),
            us(f.longest_synced_ms[0]),
            us(f.longest_synced_ms[1]),
            ms(f.restart_ms),
            ms(f.catch_up_ms),
        ]);
    }
    report.table(times);
    let mut plot = Plot::new(
        "Time by the number of print jobs",
        Axis::logarithmic("print jobs"),
        Axis::logarithmic("milliseconds"),
    );
    let line = |value: fn(&Found) -> f64| found.iter().map(|f| (f.jobs as f64, value(f))).collect();
    plot.line("an empty node catches up", line(|f| f.catch_up_ms));
    plot.line("restart", line(|f| f.restart_ms));
    plot.line("snapshot", line(|f| f.snapshot_ms));
    plot.line("apply one job (p50)", line(|f| f.apply_p50 / 1e3));
    plot.line("a page by filament", line(|f| f.by_filament / 1e3));
    report.plot(plot);
}

/// What a cluster of some size does with 64 commands in flight.
struct Pace {
    per_second: f64,
    latencies: Samples,
}

fn report_clusters(report: &mut Report) {
    let mut table = Figures::new(
        "Commits by the size of the cluster, all nodes in one process; fsync, 64 in flight",
        &["nodes", "commits/s", "p50 us", "p99 us", "of one node"],
    );
    let mut alone = None;
    let paces = CLUSTER_SIZES.map(|size| {
        eprintln!("{size} nodes");
        let paces = (0..ROUNDS).map(|_| pace(size)).collect();
        (size, median(paces, |pace: &Pace| pace.per_second))
    });
    for (size, pace) in &paces {
        let alone = *alone.get_or_insert(pace.per_second);
        table.row([
            size.to_string(),
            format!("{:.0}", pace.per_second),
            format!("{:.0}", pace.latencies.micros(0.5)),
            format!("{:.0}", pace.latencies.micros(0.99)),
            format!("{:.2}", pace.per_second / alone),
        ]);
    }
    report.table(table);
}

fn pace(size: usize) -> Pace {
    const CLIENTS: i64 = 64;
    let dir = report::scratch();
    let cluster = Setup::new(size, Durability::Fsync).start(dir.path());
    let node = cluster.leader();
    let time = run_time(1_000);
    nodes::runtime().block_on(async {
        fill(node, 1).await;
        let began = Instant::now();
        let clients = (0..CLIENTS)
            .map(|client| commit_while(node, client * 1_000_000, || began.elapsed() < time));
        let all = futures_util::future::join_all(clients).await;
        let elapsed = began.elapsed();
        let mut latencies = Samples::new();
        all.iter().for_each(|samples| latencies.merge(samples));
        Pace {
            per_second: latencies.count() as f64 / elapsed.as_secs_f64(),
            latencies,
        }
    })
}

/// Memory of this process that is in RAM, in bytes.
fn resident_bytes() -> f64 {
    let process = procfs::process::Process::myself().expect("/proc");
    let pages = process.statm().expect("/proc/self/statm").resident;
    (pages * procfs::page_size()) as f64
}

fn millis(since: Instant) -> f64 {
    Duration::as_secs_f64(&since.elapsed()) * 1e3
}
