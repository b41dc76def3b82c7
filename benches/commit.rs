//! What does a commit cost, and what part of it is the bridge between C++ and Rust?
//!
//! One server commits small entries for a while, with a fixed number of them in flight, all
//! proposed from one thread. "rust" is a [`Node`]: the proposal crosses into C++, the entry into
//! the log and the state machine in Rust, the outcome back. "c++" is the same core with a state
//! machine in C++ that does nothing and, in memory, a log in C++ too; with fsync both use the same
//! log. The difference is the bridge, with everything on its Rust side: encoding, applying, waking
//! a task.
//!
//! `cargo bench --bench commit` prints a table and saves `bench-commit.json` in the target
//! directory; `RAFT3D_BENCH_MS` sets the length of one run (1000).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use comfy_table::{Cell, CellAlignment, Table};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::task::JoinSet;

use raft3d::consensus::{Consensus, Role};
use raft3d::domain::command::{Command, NEWEST_VERSION, Op};
use raft3d::domain::time::Timestamp;
use raft3d::ffi::{self, NodeOptions};
use raft3d::raft::{Durability, FirstStart, Node, NodeConfig};
use raft3d::storage::Log;

const IN_FLIGHT: [u32; 4] = [1, 8, 64, 256];
const ELECTION_TIMEOUT_MS: (u32, u32) = (300, 600);
const HEARTBEAT_MS: u32 = 75;
/// No snapshots while measuring.
const SNAPSHOT_DISTANCE: u32 = 0;
/// Each measurement is made this often, Rust and C++ in turn; the median counts.
const ROUNDS: usize = 3;

fn main() {
    let run_ms = std::env::var("RAFT3D_BENCH_MS").map_or(1_000, |ms| {
        ms.parse()
            .expect("RAFT3D_BENCH_MS is a number of milliseconds")
    });
    let mut results = Vec::new();
    for durability in [Durability::Fsync, Durability::InMemory] {
        for in_flight in IN_FLIGHT {
            let setup = Setup {
                durability,
                in_flight,
                run_ms,
            };
            let (mut rust, mut cpp) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                rust.push(setup.run(Setup::run_rust));
                cpp.push(setup.run(Setup::run_cpp));
            }
            let (rust, cpp) = (median(rust), median(cpp));
            eprintln!("{durability:?}, {in_flight} in flight: done");
            results.push(Pair { setup, rust, cpp });
        }
    }
    println!("{}", table(&results));
    let in_memory: Vec<_> = results
        .iter()
        .filter(|pair| pair.setup.durability == Durability::InMemory)
        .collect();
    for pair in &in_memory {
        println!(
            "bridge, in memory, {:>3} in flight: {:>6} ns per commit, {:>6} ns of CPU",
            pair.setup.in_flight,
            pair.bridge_ns(),
            pair.bridge_cpu_ns(),
        );
    }
    let path = output_path();
    let all: Vec<_> = results.iter().map(Pair::to_json).collect();
    let text = serde_json::to_string_pretty(&json!({ "run_ms": run_ms, "results": all }));
    std::fs::write(&path, text.expect("plain data")).expect("the target directory is writable");
    println!("saved in {}", path.display());
}

/// What one measurement is about.
#[derive(Clone, Copy)]
struct Setup {
    durability: Durability,
    in_flight: u32,
    run_ms: u32,
}

/// What one run gave.
struct Run {
    elapsed: Duration,
    /// Time on all processors together.
    cpu: Duration,
    latencies_ns: Histogram<u64>,
    /// Syncs of the log's files.
    syncs: u64,
}

struct Pair {
    setup: Setup,
    rust: Run,
    cpp: Run,
}

impl Setup {
    /// Runs `drive` in a fresh directory.
    fn run(&self, drive: fn(&Setup, &Path) -> Run) -> Run {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        drive(self, dir.path())
    }

    fn run_rust(&self, dir: &Path) -> Run {
        let address = free_address();
        let node = Node::start(NodeConfig {
            node_id: 1,
            data_dir: dir.join("node"),
            raft_addr: address.clone(),
            first_start: FirstStart::Found(vec![(1, address)]),
            election_timeout_ms: ELECTION_TIMEOUT_MS,
            heartbeat_ms: HEARTBEAT_MS,
            snapshot_distance: SNAPSHOT_DISTANCE,
            durability: self.durability,
            command_version: NEWEST_VERSION,
        })
        .expect("the node starts");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let node = Arc::new(node);
        let run = runtime.block_on(self.propose_all(&node));
        let syncs = node.log_stats().syncs;
        Run { syncs, ..run }
    }

    async fn propose_all(&self, node: &Arc<Node>) -> Run {
        while node.status().role != Role::Leader {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let cpu_before = ffi::cpu_time();
        let begin = Instant::now();
        let end = begin + Duration::from_millis(self.run_ms.into());
        let mut proposers = JoinSet::new();
        for _ in 0..self.in_flight {
            proposers.spawn(propose_until(end, Arc::clone(node)));
        }
        let latencies = proposers.join_all().await;
        Run {
            elapsed: begin.elapsed(),
            cpu: ffi::cpu_time() - cpu_before,
            latencies_ns: histogram(latencies.iter().flatten()),
            syncs: 0,
        }
    }

    fn run_cpp(&self, dir: &Path) -> Run {
        let port = free_address()
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let on_disk = self.durability == Durability::Fsync;
        let options = NodeOptions {
            id: 1,
            port: port.expect("an address with a port"),
            election_timeout_ms_min: ELECTION_TIMEOUT_MS.0 as i32,
            election_timeout_ms_max: ELECTION_TIMEOUT_MS.1 as i32,
            heartbeat_ms: HEARTBEAT_MS as i32,
            snapshot_distance: SNAPSHOT_DISTANCE as i32,
            reserved_entries: 0,
            parallel_log: on_disk,
            joining: false,
        };
        let log = on_disk.then(|| Arc::new(Log::open(dir).expect("the log opens")));
        let run = ffi::run_native_bench(
            &options,
            log.clone(),
            &payload(),
            self.in_flight,
            self.run_ms,
        )
        .expect("the C++ workload runs");
        Run {
            elapsed: Duration::from_nanos(run.elapsed_ns),
            cpu: Duration::from_nanos(run.cpu_ns),
            latencies_ns: histogram(&run.latencies_ns),
            syncs: log.map_or(0, |log| log.stats().syncs),
        }
    }
}

impl Run {
    fn commits(&self) -> u64 {
        self.latencies_ns.len().max(1)
    }

    fn per_second(&self) -> f64 {
        self.commits() as f64 / self.elapsed.as_secs_f64()
    }

    fn wall_ns(&self) -> i64 {
        (self.elapsed.as_nanos() as u64 / self.commits()) as i64
    }

    fn cpu_ns(&self) -> i64 {
        (self.cpu.as_nanos() as u64 / self.commits()) as i64
    }

    fn quantile_us(&self, quantile: f64) -> f64 {
        self.latencies_ns.value_at_quantile(quantile) as f64 / 1e3
    }

    fn commits_per_sync(&self) -> f64 {
        self.commits() as f64 / self.syncs.max(1) as f64
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "commits": self.commits(),
            "per_second": self.per_second(),
            "p50_us": self.quantile_us(0.5),
            "p99_us": self.quantile_us(0.99),
            "cpu_ns_per_commit": self.cpu_ns(),
            "syncs": self.syncs,
        })
    }
}

impl Pair {
    /// Time per commit that the bridge adds at this load. Several commits in flight overlap, so
    /// this is throughput lost, not latency added.
    fn bridge_ns(&self) -> i64 {
        self.rust.wall_ns() - self.cpp.wall_ns()
    }

    /// CPU time per commit that the bridge adds, on all threads together.
    fn bridge_cpu_ns(&self) -> i64 {
        self.rust.cpu_ns() - self.cpp.cpu_ns()
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "log": format!("{:?}", self.setup.durability),
            "in_flight": self.setup.in_flight,
            "rust": self.rust.to_json(),
            "cpp": self.cpp.to_json(),
            "throughput_ratio": self.rust.per_second() / self.cpp.per_second(),
            "bridge_ns_per_commit": self.bridge_ns(),
            "bridge_cpu_ns_per_commit": self.bridge_cpu_ns(),
        })
    }
}

fn table(results: &[Pair]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "log",
        "in flight",
        "driver",
        "commits/s",
        "p50 us",
        "p99 us",
        "CPU ns/commit",
        "commits/sync",
        "rust : c++",
        "bridge ns",
    ]);
    for pair in results {
        let ratio = pair.rust.per_second() / pair.cpp.per_second();
        let rows = [("rust", &pair.rust), ("c++", &pair.cpp)];
        for (driver, run) in rows {
            let on_disk = pair.setup.durability == Durability::Fsync;
            let first = driver == "rust";
            let row = [
                format!("{:?}", pair.setup.durability),
                pair.setup.in_flight.to_string(),
                driver.to_owned(),
                format!("{:.0}", run.per_second()),
                format!("{:.1}", run.quantile_us(0.5)),
                format!("{:.1}", run.quantile_us(0.99)),
                run.cpu_ns().to_string(),
                if on_disk {
                    format!("{:.1}", run.commits_per_sync())
                } else {
                    String::new()
                },
                if first {
                    format!("{ratio:.2}")
                } else {
                    String::new()
                },
                if first {
                    pair.bridge_ns().to_string()
                } else {
                    String::new()
                },
            ];
            table.add_row(row.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right)));
        }
    }
    table
}

/// A command that changes nothing: as little as possible besides the commit itself.
fn payload() -> Vec<u8> {
    Command {
        stamped_at: Timestamp::from_millis(1_700_000_000_000),
        actor: None,
        idempotency: None,
        op: Op::Barrier,
    }
    .encode()
}

/// Proposes one command after the other; returns how long each took, in nanoseconds.
async fn propose_until(end: Instant, node: Arc<Node>) -> Vec<u64> {
    let mut latencies_ns = Vec::new();
    while Instant::now() < end {
        let proposed = Instant::now();
        node.propose(payload())
            .await
            .expect("a single node commits");
        latencies_ns.push(proposed.elapsed().as_nanos() as u64);
    }
    latencies_ns
}

/// Latencies from 100 ns to 100 s, to three digits.
fn histogram<'a>(latencies_ns: impl IntoIterator<Item = &'a u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(100, 100_000_000_000, 3).expect("valid bounds");
    for latency in latencies_ns {
        histogram.saturating_record(*latency);
    }
    histogram
}

/// The run in the middle by throughput.
fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by_key(Run::wall_ns);
    runs.swap_remove(runs.len() / 2)
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address").to_string()
}

fn output_path() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target
        .expect("a target directory")
        .join("bench-commit.json")
}
