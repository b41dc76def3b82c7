//! What one run measures.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use raft3d::ffi::bench::cpu_time;

use crate::allocations;
use crate::setup::Setup;
use crate::support::samples::Samples;

/// What one run gave. Times and allocations are those of all servers and of whoever proposes.
#[derive(Debug, Clone)]
pub struct Run {
    /// Commands committed, applied and answered.
    pub commits: u64,
    /// The same by second.
    pub per_second: f64,
    /// From a proposal to its answer: the median, in microseconds.
    pub p50_us: f64,
    /// The same, for the slowest of a hundred.
    pub p99_us: f64,
    /// Time on all processors together.
    pub cpu_ns_per_commit: f64,
    /// Calls of the allocator that gave memory.
    pub allocations_per_commit: f64,
    /// Syncs of the leader's log.
    pub syncs: u64,
}

impl Run {
    /// How many commits shared a sync of the leader's log.
    pub fn commits_per_sync(&self) -> f64 {
        self.commits as f64 / self.syncs.max(1) as f64
    }
}

/// Counts from its creation on.
pub struct Meter {
    began: Instant,
    cpu: Duration,
    allocations: u64,
}

impl Meter {
    /// Begins to count.
    pub fn start() -> Meter {
        Meter {
            began: Instant::now(),
            cpu: cpu_time(),
            allocations: allocations::count(),
        }
    }

    /// What there is to say of the commits since then. `syncs` of the leader's log were counted.
    pub fn finish(self, latencies_ns: impl IntoIterator<Item = u64>, syncs: u64) -> Run {
        let elapsed = self.began.elapsed();
        let cpu = cpu_time() - self.cpu;
        let allocations = allocations::count() - self.allocations;
        let latencies: Samples = latencies_ns.into_iter().map(Duration::from_nanos).collect();
        let commits = latencies.count().max(1);
        Run {
            commits,
            per_second: commits as f64 / elapsed.as_secs_f64(),
            p50_us: latencies.micros(0.5),
            p99_us: latencies.micros(0.99),
            cpu_ns_per_commit: cpu.as_nanos() as f64 / commits as f64,
            allocations_per_commit: allocations as f64 / commits as f64,
            syncs,
        }
    }
}

/// Has as many tasks as `setup` says propose one command after the other, and returns how long each
/// answer took, in nanoseconds.
pub async fn propose_all<F, Proposal>(setup: &Setup, propose: F) -> Vec<u64>
where
    F: Fn() -> Proposal + Clone + Send + 'static,
    Proposal: Future<Output = ()> + Send + 'static,
{
    let end = Instant::now() + Duration::from_millis(setup.run_ms.into());
    let mut proposers = JoinSet::new();
    for _ in 0..setup.in_flight {
        proposers.spawn(propose_until(end, propose.clone()));
    }
    proposers.join_all().await.concat()
}

async fn propose_until<Proposal>(end: Instant, propose: impl Fn() -> Proposal) -> Vec<u64>
where
    Proposal: Future<Output = ()>,
{
    let mut latencies_ns = Vec::new();
    while Instant::now() < end {
        let proposed = Instant::now();
        propose().await;
        latencies_ns.push(proposed.elapsed().as_nanos() as u64);
    }
    latencies_ns
}
