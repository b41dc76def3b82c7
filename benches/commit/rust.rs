//! The driver "rust": nodes of the program. A proposal crosses into C++, its entry into the log and
//! the state machine in Rust, the outcome back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft3d::consensus::{Consensus, Role};
use raft3d::domain::command::NEWEST_VERSION;
use raft3d::raft::{FirstStart, Node, NodeConfig};

use crate::run::{Meter, Run, one_thread, propose_all};
use crate::setup::{ELECTION_TIMEOUT_MS, HEARTBEAT_MS, Setup, free_ports, payload};

/// No snapshots while measuring.
const SNAPSHOT_DISTANCE: u32 = 0;

/// One run in `dir`, which is empty.
pub fn run(setup: &Setup, dir: &Path) -> Run {
    let nodes = start(setup, dir);
    one_thread().block_on(async {
        let leader = leader(&nodes).await;
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

fn start(setup: &Setup, dir: &Path) -> Vec<Arc<Node>> {
    let addresses = free_ports(setup.nodes)
        .into_iter()
        .map(|port| format!("127.0.0.1:{port}"));
    let members: Vec<_> = setup.ids().map(|id| id as i32).zip(addresses).collect();
    let start = |(id, address): &(i32, String)| {
        Node::start(NodeConfig {
            node_id: *id,
            data_dir: dir.join(id.to_string()),
            raft_addr: address.clone(),
            first_start: FirstStart::Found(members.clone()),
            election_timeout_ms: ELECTION_TIMEOUT_MS,
            heartbeat_ms: HEARTBEAT_MS,
            snapshot_distance: SNAPSHOT_DISTANCE,
            durability: setup.log.durability(),
            command_version: NEWEST_VERSION,
        })
    };
    let nodes = members.iter().map(start);
    nodes
        .map(|node| Arc::new(node.expect("the node starts")))
        .collect()
}

async fn leader(nodes: &[Arc<Node>]) -> &Arc<Node> {
    loop {
        let leads = |node: &&Arc<Node>| node.status().role == Role::Leader;
        if let Some(leader) = nodes.iter().find(leads) {
            return leader;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
