//! A node of the replicated log: the consensus core over this node's storage, behind a safe face.
//!
//! [`Node`] puts the parts together and implements [`Consensus`]; [`machine`] is what the core
//! drives. The bridge itself is [`crate::ffi`].

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::consensus::{Consensus, Member, ProposeError, Role, Status};
use crate::domain::state::State;
use crate::ffi::{self, Core};
use crate::storage::log::LogStats;
use crate::storage::{DataDir, Log, SnapshotStore, StorageError};

mod fatal;
pub mod machine;

pub use fatal::Fatal;
use machine::Machine;

/// Entries kept behind the newest snapshot, as a multiple of the snapshot distance: enough that
/// the log and the snapshot before the newest still hold everything, and that a node which was
/// away for a moment needs no snapshot.
const RESERVED_DISTANCES: u32 = 2;

/// Longest timeout that the core is given, in milliseconds: it multiplies them.
const TIMEOUT_MS_MAX: u32 = 3_600_000;

/// How one node takes part. The counts and times are as the command line documents them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// This node's id, positive.
    pub node_id: i32,
    /// Directory of its log, term and vote, configuration and snapshots; created if missing.
    pub data_dir: PathBuf,
    /// `host:port` it listens on for the others.
    pub raft_addr: String,
    /// Ids and addresses of the members that a new cluster starts with, this node among them.
    /// Only the first start looks at it; afterwards what is in `data_dir` counts.
    pub initial_cluster: Vec<(i32, String)>,
    /// Range of the election timeout in milliseconds.
    pub election_timeout_ms: (u32, u32),
    /// Time between two heartbeats in milliseconds.
    pub heartbeat_ms: u32,
    /// Entries between two snapshots; 0 for none.
    pub snapshot_distance: u32,
    /// Whether the log survives the process.
    pub durability: Durability,
}

/// Whether an acknowledged entry survives a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk before it is acknowledged.
    #[default]
    Fsync,
    /// The log is in memory and lost with the process: for benchmarks, in a fresh directory.
    InMemory,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The consensus core refused to start.
    #[error("cannot start node {node_id} on {raft_addr}: {reason}")]
    Core {
        /// This node.
        node_id: i32,
        /// Where it was to listen.
        raft_addr: String,
        /// What the core says.
        reason: String,
    },
}

/// A running node. Dropping it shuts it down; only then is its data directory free again.
pub struct Node {
    // Dropped first: it holds the core's references to all the others.
    core: Core,
    id: i32,
    machine: Arc<Machine>,
    log: Arc<Log>,
    fatal: Arc<Fatal>,
    closing: AtomicBool,
    closed: Mutex<bool>,
}

impl Node {
    /// Opens the storage, recovers the state and starts the server. Blocks for the time that
    /// takes, at least the core's start-up pause of some tens of milliseconds.
    pub fn start(config: NodeConfig) -> Result<Node, StartError> {
        let port = listening_port(&config)?;
        let first_members = first_members(&config)?;
        let dir = DataDir::open(
            &config.data_dir,
            config.node_id,
            &ffi::encode_config(&first_members),
        )?;
        warn_of_other_members(&dir, &first_members)?;
        let log = match config.durability {
            Durability::Fsync => Log::open(&dir.log_path())?,
            Durability::InMemory => Log::in_memory(),
        };
        let log = Arc::new(log);
        let machine = Arc::new(recover(&dir, &log)?);
        let fatal = Arc::new(Fatal::new());
        let options = ffi::NodeOptions {
            id: config.node_id,
            port,
            election_timeout_ms_min: clamp(config.election_timeout_ms.0.min(TIMEOUT_MS_MAX)),
            election_timeout_ms_max: clamp(config.election_timeout_ms.1.min(TIMEOUT_MS_MAX)),
            heartbeat_ms: clamp(config.heartbeat_ms.min(TIMEOUT_MS_MAX)),
            snapshot_distance: clamp(config.snapshot_distance),
            reserved_entries: clamp(config.snapshot_distance.saturating_mul(RESERVED_DISTANCES)),
            parallel_log: config.durability == Durability::Fsync,
        };
        let core =
            Core::start(&options, &machine, &log, Arc::new(dir), &fatal).map_err(|reason| {
                StartError::Core {
                    node_id: config.node_id,
                    raft_addr: config.raft_addr.clone(),
                    reason,
                }
            })?;
        Ok(Node {
            core,
            id: config.node_id,
            machine,
            log,
            fatal,
            closing: AtomicBool::new(false),
            closed: Mutex::new(false),
        })
    }

    /// If this node leads, asks another member to take over, and returns at once.
    pub fn yield_leadership(&self) {
        if let Err(error) = self.core.yield_leadership() {
            tracing::warn!(error, "cannot hand over the leadership");
        }
    }

    /// Resolves to the reason once the node cannot go on: its disk failed, or the core found
    /// itself in a state it must not be in. The node then acknowledges nothing any more and
    /// should be shut down, for the others to go on without it. What it has applied can be read
    /// until it is dropped.
    pub async fn failure(&self) -> String {
        self.fatal.reason().await
    }

    /// How many entries the log took and how often it synced them, since the start.
    pub fn log_stats(&self) -> LogStats {
        self.log.stats()
    }

    /// Stops the node: no proposal is taken any more, those without an outcome end as unknown,
    /// the core's threads are joined and the log is closed. Blocks until that is done, also when
    /// another thread does it. Calling it again does nothing.
    pub fn shutdown(&self) {
        self.closing.store(true, Ordering::Release);
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return;
        }
        self.machine.stop_snapshots();
        self.core.shutdown();
        self.log.close();
        *closed = true;
    }

    /// Why no proposal is taken, if that is so.
    fn refusal(&self) -> Option<ProposeError> {
        match self.fatal.reported() {
            Some(reason) => Some(ProposeError::NodeFailed(reason)),
            None if self.closing.load(Ordering::Acquire) => Some(ProposeError::ShuttingDown),
            None => None,
        }
    }

    fn role(&self, view: &ffi::NodeView) -> Role {
        match view {
            view if view.leading => Role::Leader,
            // The core does not tell whether it asks for votes. One that has heard of a leader
            // before and knows none now does.
            view if view.leader < 0 && view.initialized && self.refusal().is_none() => {
                Role::Candidate
            }
            _ => Role::Follower,
        }
    }

    /// What the core says, except that a node which cannot go on has no part in the cluster.
    fn view(&self) -> ffi::NodeView {
        let mut view = self.core.view();
        if self.fatal.reported().is_some() {
            view.leading = false;
            view.leader = -1;
        }
        view
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Consensus for Node {
    fn propose(
        &self,
        command: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, ProposeError>> + Send {
        let (sender, receiver) = oneshot::channel();
        let refusal = self.refusal();
        if refusal.is_none() {
            self.core.propose(&command, sender);
        }
        async move {
            if let Some(error) = refusal {
                return Err(error);
            }
            receiver.await.unwrap_or_else(|_| {
                let reason = "this node dropped the proposal without an answer";
                Err(ProposeError::Unknown(reason.into()))
            })
        }
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    fn wait_applied(&self, index: u64) -> impl Future<Output = ()> + Send {
        let mut applied = self.machine.applied();
        async move {
            if applied.wait_for(|now| *now >= index).await.is_err() {
                // The node is gone and will never apply it.
                std::future::pending().await
            }
        }
    }

    fn status(&self) -> Status {
        let view = self.view();
        let member = |m: &ffi::Member| Member {
            id: m.id,
            raft_addr: m.endpoint.clone(),
            learner: m.learner,
            last_log_index: match m.id == self.id {
                true => Some(view.last_log_index),
                false => u64::try_from(m.last_log_index).ok(),
            },
            last_contact_ms: u64::try_from(m.last_contact_ms).ok(),
        };
        let mut members: Vec<_> = view.members.iter().map(member).collect();
        members.sort_by_key(|m| m.id);
        Status {
            node_id: self.id,
            leader: (view.leader >= 0).then_some(view.leader),
            role: self.role(&view),
            term: view.term,
            last_log_index: view.last_log_index,
            committed_index: view.committed_index,
            applied_index: *self.machine.applied().borrow(),
            snapshot_index: self.machine.newest_snapshot().map_or(0, |(id, _)| id.index),
            log_start_index: self.log.first_index(),
            members,
            failure: self.fatal.reported(),
        }
    }

    fn create_snapshot(&self) -> u64 {
        self.core.create_snapshot().unwrap_or_else(|error| {
            tracing::warn!(error, "cannot create a snapshot");
            0
        })
    }
}

fn listening_port(config: &NodeConfig) -> Result<u16, StartError> {
    let port = config
        .raft_addr
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    port.filter(|port| *port != 0).ok_or_else(|| {
        let addr = &config.raft_addr;
        StartError::Config(format!(
            "the Raft address {addr:?} has no port; write it as HOST:PORT"
        ))
    })
}

fn first_members(config: &NodeConfig) -> Result<Vec<ffi::Member>, StartError> {
    if !config
        .initial_cluster
        .iter()
        .any(|(id, _)| *id == config.node_id)
    {
        return Err(StartError::Config(format!(
            "node {} is not in the initial cluster {:?}",
            config.node_id, config.initial_cluster
        )));
    }
    let member = |(id, endpoint): &(i32, String)| ffi::Member {
        id: *id,
        endpoint: endpoint.clone(),
        learner: false,
        last_log_index: -1,
        last_contact_ms: -1,
    };
    Ok(config.initial_cluster.iter().map(member).collect())
}

/// What is saved counts; a differing flag is worth a word.
fn warn_of_other_members(dir: &DataDir, flag: &[ffi::Member]) -> Result<(), StartError> {
    let saved = ffi::decode_config(&dir.load_config()?)
        .map_err(|reason| StorageError::damaged(&dir.config_path(), reason))?;
    let list = |members: &[ffi::Member]| {
        let mut list: Vec<_> = members.iter().map(|m| (m.id, m.endpoint.clone())).collect();
        list.sort();
        list
    };
    let (saved, flag) = (list(&saved), list(flag));
    if saved != flag {
        tracing::warn!(
            ?saved,
            ?flag,
            "the saved members differ from the initial cluster given; those saved count"
        );
    }
    Ok(())
}

/// Loads the newest snapshot and makes the log continue from it: the state that a starting node
/// has before the log is replayed.
pub fn recover(dir: &DataDir, log: &Log) -> Result<Machine, StartError> {
    let snapshots = SnapshotStore::open(&dir.snapshots_path())?;
    let loaded = snapshots.load(log.first_index(), log.next_index(), machine::decode)?;
    let state = match loaded {
        None => State::new(),
        Some((id, state)) => {
            let known = log.first_index()..log.next_index();
            if known.contains(&id.index) && log.term_at(id.index) != id.term {
                // The snapshot was received over entries that another leader never committed;
                // the crash came before they were removed.
                log.truncate(log.first_index());
            }
            if id.index >= log.next_index() {
                log.purge(id.index);
            }
            state
        }
    };
    tracing::info!(
        snapshot = state.applied_index(),
        log_first = log.first_index(),
        log_last = log.next_index() - 1,
        "storage opened"
    );
    Ok(Machine::new(state, snapshots))
}

/// The core counts in signed 32 bits.
fn clamp(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
