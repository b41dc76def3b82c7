//! `raft3d restore`: a new cluster from a backup, offline, a directory for each of its nodes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use clap::Args;
use sha2::{Digest as _, Sha256};

use super::format::{self, BackupError, Digest, Manifest};
use crate::config::InitialCluster;
use crate::hex::hex;
use crate::identity::{self, ClusterId, DirectoryId};
use crate::raft::founding::Founding;
use crate::storage::{DataDir, StorageError};

/// The command line of `raft3d restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup, the same file for each node
    pub file: PathBuf,
    /// The node's new data directory: empty, or nothing there yet
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The node's number in --initial-cluster
    #[arg(long, value_name = "N")]
    pub node_id: i32,
    /// The nodes of the new cluster, the same list for each: 1=HOST:PORT,2=HOST:PORT,...
    #[arg(long, value_name = "LIST")]
    pub initial_cluster: InitialCluster,
    /// Any text that no other cluster was restored with, such as the time; the same for each node.
    /// The new cluster's id comes of it, of the list and of the backup, so that only nodes restored
    /// alike are of one cluster
    #[arg(long, value_name = "TEXT")]
    pub cluster_token: String,
}

/// Why no directory was made. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be opened.
    #[error("cannot open the backup {}: {source}", path.display())]
    Open {
        /// The backup.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The backup is not whole.
    #[error("the backup {} cannot be used: {source}", path.display())]
    Unusable {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        source: BackupError,
    },
    /// The node is none of the new cluster's.
    #[error("--node-id {node_id} is not among the nodes of --initial-cluster {cluster}")]
    NotAMember {
        /// The node.
        node_id: i32,
        /// The list.
        cluster: InitialCluster,
    },
    /// The token is empty.
    #[error("--cluster-token is empty: give a text that no other cluster was restored with")]
    NoToken,
    /// The backup is of a log without entries.
    #[error("the backup was taken before the first entry of the log: there is nothing to restore")]
    Empty,
    /// The directory cannot be made.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The new cluster.
    pub cluster: ClusterId,
    /// The new directory.
    pub directory: DirectoryId,
    /// What the backup says of itself.
    pub manifest: Manifest,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "restored to log index {}", self.manifest.index)?;
        writeln!(f, "  taken at       {}", self.manifest.taken_at)?;
        writeln!(f, "  new cluster    {}", self.cluster)?;
        writeln!(f, "  new directory  {}", self.directory)?;
        write!(f, "  farm hash      {}", hex(&self.manifest.farm_hash))
    }
}

/// Makes the data directory from which `raft3d serve` starts the node. The whole backup is read and
/// checked before anything is written.
pub fn run(args: &RestoreArgs) -> Result<Restored, RestoreError> {
    let members = &args.initial_cluster;
    if members.addr_of(args.node_id).is_none() {
        return Err(RestoreError::NotAMember {
            node_id: args.node_id,
            cluster: members.clone(),
        });
    }
    if args.cluster_token.is_empty() {
        return Err(RestoreError::NoToken);
    }
    DataDir::require_empty(&args.data_dir)?;
    let path = || args.file.clone();
    let source = File::open(&args.file).map_err(|source| RestoreError::Open {
        path: path(),
        source,
    })?;
    let loaded = format::load(BufReader::with_capacity(64 << 10, source));
    let (state, manifest, digest) = loaded.map_err(|source| RestoreError::Unusable {
        path: path(),
        source,
    })?;
    let cluster = cluster_of(&digest, members, &args.cluster_token);
    let cluster = cluster
        .filter(|_| manifest.index > 0)
        .ok_or(RestoreError::Empty)?;
    let founding = Founding {
        cluster,
        members: members.nodes(),
        state,
    };
    let dir = founding.make_directory(&args.data_dir, args.node_id)?;
    Ok(Restored {
        cluster,
        directory: dir.id(),
        manifest,
    })
}

/// The new cluster's name: the same for nodes that are restored from the same bytes, with the same
/// members and token, and for no others.
fn cluster_of(backup: &Digest, members: &InitialCluster, token: &str) -> Option<ClusterId> {
    let mut hasher = Sha256::new();
    for part in [
        &b"raft3d restore"[..],
        backup,
        members.to_string().as_bytes(),
        token.as_bytes(),
    ] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    ClusterId::from_bytes(std::array::from_fn::<u8, { identity::LEN }, _>(|i| hash[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_restored_alike_are_of_one_cluster() {
        let members = |text: &str| text.parse::<InitialCluster>().unwrap();
        let base = || cluster_of(&[1; 32], &members("1=a:1,2=b:2"), "monday").unwrap();
        assert_eq!(base(), base());
        assert_eq!(
            cluster_of(&[1; 32], &members("2=b:2,1=a:1"), "monday"),
            Some(base())
        );
        for other in [
            cluster_of(&[2; 32], &members("1=a:1,2=b:2"), "monday"),
            cluster_of(&[1; 32], &members("1=a:1,2=b:3"), "monday"),
            cluster_of(&[1; 32], &members("1=a:1,2=b:2"), "tuesday"),
        ] {
            assert_ne!(other, Some(base()));
        }
    }
}
