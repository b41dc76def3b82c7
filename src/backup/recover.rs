//! `raft3d recover`: a new cluster from what one node of a lost one still has, when the majority is gone
//! for good.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::domain::command::{Command, NEWEST_VERSION};
use crate::domain::state::State;
use crate::hex::hex;
use crate::identity::ClusterId;
use crate::raft::{self, StartError, founding::Founding};
use crate::storage::{DataDir, Log, Stage, StorageError};

/// What has to be understood before and done after.
pub const WARNINGS: &str = "\
WARNING: this founds a NEW cluster from one directory of an old one, without asking any other node.
WARNING: writes that the old cluster acknowledged and this directory does not hold ARE LOST.
WARNING: writes that nobody acknowledged, because the majority was gone, may BE THERE.
WARNING: never do it twice for one cluster, and never while a majority of its nodes can come back.
WARNING: the other nodes of the old cluster are refused by the new one: empty their data directories
WARNING: and let them join it.";

/// The core's type of entries that hold a command.
const COMMAND: u8 = 1;
/// How much of the log is read at a time, in bytes.
const BATCH_BYTES: u64 = 4 << 20;

/// The command line of `raft3d recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The data directory of a node that has survived. It is kept as it is
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Only say what the directory holds: the survivor to take is the one with the highest last
    /// term and, of equals, the highest last index
    #[arg(long, conflicts_with_all = ["unsafe_force_new_cluster", "new_data_dir", "raft_addr"])]
    pub inspect: bool,
    /// Found a new cluster, of this node alone, from what the directory holds. What it does not hold
    /// is lost, whoever acknowledged it
    #[arg(long, required_unless_present = "inspect")]
    pub unsafe_force_new_cluster: bool,
    /// The node's data directory in the new cluster: empty, or nothing there yet
    #[arg(long, value_name = "DIR", required_unless_present = "inspect")]
    pub new_data_dir: Option<PathBuf>,
    /// Where other nodes are to reach this one [default: where they did]
    #[arg(long, value_name = "HOST:PORT")]
    pub raft_addr: Option<String>,
}

/// Why nothing was recovered. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// No node has used the directory.
    #[error("{} is not the data directory of a node", .0.display())]
    Unused(PathBuf),
    /// It is not known where others reach the node.
    #[error("the directory does not say where other nodes reach node {0}: give --raft-addr")]
    NoAddress(i32),
    /// There is nothing in the log or in a snapshot.
    #[error("the directory holds no entry of a log: there is nothing to recover")]
    Empty,
    /// An entry is not readable.
    #[error("entry {0} of the log cannot be read")]
    Unreadable(u64),
    /// A newer program wrote the entry.
    #[error(
        "entry {0} of the log is a command of version {1}, and this program reads versions up to \
         {NEWEST_VERSION}: use the program that the lost nodes ran"
    )]
    TooNew(u64, u8),
    /// No name for the cluster.
    #[error("cannot draw a name for the new cluster: {0}")]
    NoName(io::Error),
    /// One of the directories cannot be used.
    #[error(transparent)]
    Directory(#[from] StartError),
}

impl From<StorageError> for RecoverError {
    fn from(error: StorageError) -> RecoverError {
        RecoverError::Directory(error.into())
    }
}

/// What a directory holds.
#[derive(Debug)]
pub struct Survivor {
    /// The node that it belongs to.
    pub node_id: i32,
    /// The cluster that it was a member of, if it had learned its name.
    pub cluster: Option<ClusterId>,
    /// Whether it takes part in it.
    pub stage: Stage,
    /// Members of the cluster that it knew of, by id and Raft address.
    pub members: Vec<(i32, String)>,
    /// Term of the last entry of its log.
    pub last_term: u64,
    /// Index of that entry.
    pub last_index: u64,
    /// The farm after that entry, whether or not it was ever committed.
    pub state: State,
}

impl Survivor {
    /// Reads all that the directory at `path` holds. No process may use it meanwhile.
    pub fn read(path: &Path) -> Result<Survivor, RecoverError> {
        let node_id = DataDir::owner(path)?.ok_or_else(|| RecoverError::Unused(path.to_owned()))?;
        let dir = DataDir::open(path, node_id, &[])?;
        let log = Log::open(&dir.log_path())?;
        let machine = raft::recover(node_id, &dir, &log)?;
        let snapshot = machine.newest_snapshot().map(|(id, _)| id);
        let last_index = log.next_index() - 1;
        let last_term = match snapshot {
            Some(id) if id.index == last_index => id.term,
            _ => log.term_at(last_index),
        };
        let mut state = machine.state();
        replay(&log, &mut state)?;
        let members = raft::saved_members(&dir)?;
        Ok(Survivor {
            node_id,
            cluster: dir.standing().cluster.or(state.roster().cluster()),
            stage: dir.standing().stage,
            members: members.into_iter().map(|m| (m.id, m.endpoint)).collect(),
            last_term,
            last_index,
            state,
        })
    }
}

/// Applies what the log has beyond `state`.
fn replay(log: &Log, state: &mut State) -> Result<(), RecoverError> {
    while state.applied_index() + 1 < log.next_index() {
        let next = state.applied_index() + 1;
        let entries = log.read(next, log.next_index(), BATCH_BYTES);
        let entries = entries.filter(|entries| !entries.is_empty());
        for (index, entry) in (next..).zip(entries.ok_or(RecoverError::Unreadable(next))?) {
            match entry.kind {
                COMMAND => match Command::version_of(&entry.data) {
                    version if version > NEWEST_VERSION => {
                        return Err(RecoverError::TooNew(index, version));
                    }
                    _ => drop(state.apply_bytes(index, &entry.data)),
                },
                _ => state.advance(index),
            }
        }
    }
    Ok(())
}

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = self.cluster.map_or("not known".into(), |id| id.to_string());
        let members = self.members.iter().map(|(id, addr)| format!("{id}={addr}"));
        let stage = match self.stage {
            Stage::Joining => "waited to join",
            Stage::Member => "member",
            Stage::Removed => "removed from it",
        };
        let state = &self.state;
        writeln!(f, "node           {}", self.node_id)?;
        writeln!(f, "cluster        {cluster} ({stage})")?;
        writeln!(
            f,
            "members        {}",
            members.collect::<Vec<_>>().join(",")
        )?;
        writeln!(f, "last term      {}", self.last_term)?;
        writeln!(f, "last index     {}", self.last_index)?;
        writeln!(
            f,
            "objects        {} printers, {} filaments, {} print jobs",
            state.printer_count(),
            state.filament_count(),
            state.job_count()
        )?;
        write!(f, "farm hash      {}", hex(&state.farm_hash()))
    }
}

/// A new cluster of one node.
#[derive(Debug)]
pub struct Recovered {
    /// What it was made of.
    pub survivor: Survivor,
    /// The new cluster.
    pub cluster: ClusterId,
    /// `host:port` where others reach its only node.
    pub raft_addr: String,
}

/// Founds a new cluster of one node in `new_dir` from what the directory at `path` holds, which stays
/// as it is. Other nodes reach the node at `raft_addr`, or where they did.
pub fn found(
    path: &Path,
    new_dir: &Path,
    raft_addr: Option<&str>,
) -> Result<Recovered, RecoverError> {
    DataDir::require_empty(new_dir)?;
    let survivor = Survivor::read(path)?;
    let node_id = survivor.node_id;
    let known = survivor.members.iter().find(|(id, _)| *id == node_id);
    let raft_addr = raft_addr.or(known.map(|(_, addr)| addr.as_str()));
    let raft_addr = raft_addr
        .ok_or(RecoverError::NoAddress(node_id))?
        .to_owned();
    if survivor.last_index == 0 {
        return Err(RecoverError::Empty);
    }
    let cluster = ClusterId::random().map_err(RecoverError::NoName)?;
    let founding = Founding {
        cluster,
        members: &[(node_id, raft_addr.clone())],
        state: survivor.state.clone(),
    };
    founding.make_directory(new_dir, node_id)?;
    Ok(Recovered {
        survivor,
        cluster,
        raft_addr,
    })
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recovered {
            survivor,
            cluster,
            raft_addr,
        } = self;
        writeln!(f, "{survivor}")?;
        writeln!(f, "new cluster    {cluster}")?;
        write!(f, "new members    {}={raft_addr}", survivor.node_id)
    }
}
