//! Makes a node known to its cluster: names a new cluster, and announces where the node is
//! reached, which data directory it has and which commands it reads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};

use crate::consensus::{Consensus, Role};
use crate::domain::command::Op;
use crate::domain::outcome::{Refusal, Reply};
use crate::domain::roster::{NodeEntry, NodeRecord};
use crate::identity::ClusterId;
use crate::raft::Node;
use crate::service::{FarmService, Provenance};

/// Pause between two looks at whether something is left to make known.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until the cluster knows this node, which serves its API at `http_addr`, or for ever if it
/// never comes to that. One that the cluster knows with another data directory is told so.
pub async fn register(
    node: Arc<Node>,
    service: FarmService<Node>,
    http_addr: String,
) -> io::Result<()> {
    let proposed = ClusterId::random()?;
    let entry = NodeEntry {
        node_id: service.node_id(),
        record: NodeRecord {
            http_addr,
            directory: node.directory_id(),
            command_version: node.status().command_version,
        },
    };
    while let Some(op) = what_is_missing(&node, proposed, &entry) {
        if let Some(op) = op {
            propose(&node, &service, op).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let remembered = tokio::task::spawn_blocking(move || node.remember_cluster()).await;
    remembered.map(|_| ()).map_err(io::Error::other)
}

/// Nothing once all is known; otherwise what to propose, if that is up to this node.
fn what_is_missing(node: &Node, proposed: ClusterId, entry: &NodeEntry) -> Option<Option<Op>> {
    let (status, state) = (node.status(), node.state());
    let is_member = status.members.iter().any(|m| m.id == entry.node_id);
    if status.leader.is_none() || !is_member {
        return Some(None);
    }
    let roster = state.roster();
    if roster.cluster().is_none() {
        return Some((status.role == Role::Leader).then_some(Op::FoundCluster(proposed)));
    }
    if roster.node(entry.node_id) != Some(&entry.record) {
        return Some(Some(Op::AnnounceNode(entry.clone())));
    }
    None
}

async fn propose(node: &Node, service: &FarmService<Node>, op: Op) {
    let outcome = service.submit(op, Provenance::default()).await;
    match outcome.map(|outcome| outcome.result) {
        Ok(Ok(Reply::Cluster(id))) => info!(cluster = %id, "the cluster has a name"),
        Ok(Err(refusal @ (Refusal::OtherDirectory { .. } | Refusal::OlderProgram { .. }))) => {
            node.note_stranger(refusal.to_string())
        }
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => debug!(%refusal, "this node could not make itself known yet"),
        Err(error) => debug!(%error, "this node could not make itself known yet"),
    }
}
