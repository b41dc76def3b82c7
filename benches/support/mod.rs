//! What all benchmarks share: reports, nodes to measure, and figures of samples.

// Each benchmark uses its own part of this.
#![allow(dead_code)]

pub mod etcd;
pub mod http;
pub mod nodes;
pub mod plot;
pub mod report;
pub mod samples;

use std::time::Duration;

/// How long one measurement takes: `RAFT3D_BENCH_MS` milliseconds, `default_ms` unless given.
pub fn run_time(default_ms: u64) -> Duration {
    let given = std::env::var("RAFT3D_BENCH_MS").ok();
    Duration::from_millis(given.map_or(default_ms, |ms| {
        ms.parse()
            .expect("RAFT3D_BENCH_MS is a number of milliseconds")
    }))
}

/// The item in the middle by `key`; measurements are made several times, in turns with what they
/// are compared to, because other users of the machine disturb some of them.
pub fn median<T>(mut runs: Vec<T>, key: impl Fn(&T) -> f64) -> T {
    runs.sort_by(|a, b| key(a).total_cmp(&key(b)));
    runs.swap_remove(runs.len() / 2)
}
