//! The driver "rust": nodes of the program. A proposal crosses into C++, its entry into the log and
//! the state machine in Rust, the outcome back.

use std::path::Path;
use std::sync::Arc;

use raft3d::consensus::Consensus;

use crate::run::{Meter, Run, propose_all};
use crate::setup::{Setup, payload};
use crate::support::nodes;

/// One run in `dir`, which is empty.
pub fn run(setup: &Setup, dir: &Path) -> Run {
    let cluster = nodes::Setup::new(setup.nodes as usize, setup.log.durability()).start(dir);
    let leader = cluster.leader();
    nodes::runtime().block_on(async {
        let node = Arc::clone(leader);
        let propose = move || {
            let node = Arc::clone(&node);
            async move { drop(node.propose(payload()).await.expect("the leader commits")) }
        };
        propose_all(&setup.warm_up(), propose.clone()).await;
        let (meter, syncs) = (Meter::start(), leader.log_stats().syncs);
        let latencies_ns = propose_all(setup, propose).await;
        meter.finish(latencies_ns, leader.log_stats().syncs - syncs)
    })
}
