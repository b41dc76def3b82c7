//! Which cluster this is, and which nodes it knows: the part of the state that is not the farm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::Refusal;
use crate::identity::{ClusterId, DirectoryId};

/// The cluster's name and its nodes. Nodes that are no members any more stay: their data
/// directories are still to be told from new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    cluster: Option<ClusterId>,
    nodes: BTreeMap<i32, NodeRecord>,
    /// The newest version of any command applied; 0 while all were of version 1.
    version_used: u8,
}

/// What the cluster knows of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// `host:port` of its HTTP API.
    pub http_addr: String,
    /// The data directory that holds its vote and its log.
    pub directory: DirectoryId,
    /// The newest version of commands that it reads.
    pub command_version: u8,
}

/// A node and what is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// Server id, positive.
    pub node_id: i32,
    /// The rest.
    pub record: NodeRecord,
}

impl Roster {
    /// The cluster's name, once it has one.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// The roster of a new cluster that begins with the same farm: it knows no node yet, but its
    /// nodes have to read what made the farm.
    pub(super) fn refounded(&self, cluster: ClusterId) -> Roster {
        Roster {
            cluster: Some(cluster),
            nodes: BTreeMap::new(),
            version_used: self.version_used,
        }
    }

    /// What is known of one node.
    pub fn node(&self, node_id: i32) -> Option<&NodeRecord> {
        self.nodes.get(&node_id)
    }

    /// The newest version of commands that a node must read to take part.
    pub fn version_used(&self) -> u8 {
        self.version_used.max(1)
    }

    /// Notes that a command of this version is in the log.
    pub(super) fn use_version(&mut self, version: u8) {
        self.version_used = self.version_used.max(version);
    }

    /// Names the cluster unless it has a name; its name.
    pub(super) fn found(&mut self, proposed: ClusterId) -> ClusterId {
        *self.cluster.get_or_insert(proposed)
    }

    /// Notes what a node says of itself. One that comes with another data directory is refused:
    /// it has forgotten what it acknowledged and how it voted.
    pub(super) fn announce(&mut self, entry: &NodeEntry) -> Result<(), Refusal> {
        let known = self.node(entry.node_id).map(|record| record.directory);
        if known.is_some_and(|directory| directory != entry.record.directory) {
            return Err(Refusal::OtherDirectory {
                node_id: entry.node_id,
            });
        }
        self.admit(entry)
    }

    /// Notes a node that is about to become a member, whatever was known of its id. One that could
    /// not read the log is refused.
    pub(super) fn admit(&mut self, entry: &NodeEntry) -> Result<(), Refusal> {
        let (reads, used) = (entry.record.command_version, self.version_used());
        if reads < used {
            let node_id = entry.node_id;
            return Err(Refusal::OlderProgram {
                node_id,
                reads,
                used,
            });
        }
        self.nodes.insert(entry.node_id, entry.record.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refounded_cluster_has_a_new_name_and_asks_as_much_of_its_nodes() {
        let name = |byte| ClusterId::from_bytes([byte; 16]).unwrap();
        let mut old = Roster::default();
        old.found(name(1));
        old.use_version(2);
        let record = NodeRecord {
            http_addr: "127.0.0.1:8081".into(),
            directory: DirectoryId::from_bytes([1; 16]).unwrap(),
            command_version: 2,
        };
        assert!(old.admit(&NodeEntry { node_id: 1, record }).is_ok());
        let new = old.refounded(name(2));
        assert_eq!(new.cluster(), Some(name(2)));
        assert_eq!(new.node(1), None);
        assert_eq!(new.version_used(), 2);
    }
}
