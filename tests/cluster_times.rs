//! How long a cluster is without a leader when it loses one, whether it keeps one that it has, and
//! what a long time under faults does to memory and disk.
//!
//! The long versions are `make failover`, `make elections` and `make soak`; see `docs/testing.md`.

mod cluster_support;
mod faults;
mod times;

use std::env;
use std::time::Duration;

use faults::isolation::isolated;
use times::elections::{self, Quiet};
use times::{failover, soak};

/// All kinds of failover, once each: that the measurement works.
#[test]
fn every_kind_of_failover_comes_to_an_end() {
    isolated("every_kind_of_failover_comes_to_an_end", |_| {
        assert_eq!(failover::measure(1).len(), 4);
    });
}

#[test]
#[ignore = "takes minutes"]
fn measure_failover() {
    isolated("measure_failover", |_| {
        let kinds = failover::measure(number("RAFT3D_TRIALS").unwrap_or(50));
        failover::report(&kinds);
        failover::assert_goals(&kinds);
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for as long as it is told to"]
async fn no_elections_when_quiet() {
    elections::assert_none(minutes(10), Quiet::Yes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for as long as it is told to"]
async fn no_elections_under_load() {
    elections::assert_none(minutes(10), Quiet::No).await;
}

#[test]
#[ignore = "runs for as long as it is told to"]
fn soak() {
    isolated("soak", |dir| {
        soak::run(dir, minutes(30), number("RAFT3D_FAULTS_SEED").unwrap_or(1));
    });
}

fn minutes(usual: u64) -> Duration {
    Duration::from_secs(60 * number("RAFT3D_MINUTES").unwrap_or(usual))
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}
