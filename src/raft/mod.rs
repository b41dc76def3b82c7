//! A node of the replicated log: the consensus core over this node's storage, behind a safe face.
//!
//! [`Node`] puts the parts together and implements [`Consensus`]; [`machine`] is what the core
//! drives. The bridge itself is [`crate::ffi`].

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::consensus::{
    ChangeError, Consensus, Held, Member, ProposeError, ReadIndexError, Role, Status,
};
use crate::domain::state::State;
use crate::ffi::{self, Core, RaftTls};
use crate::identity::{ClusterId, DirectoryId};
use crate::storage::log::LogStats;
use crate::storage::{DataDir, Log, SnapshotStore, Stage, StorageError};

mod departure;
mod fatal;
pub mod founding;
mod leaders;
pub mod machine;
pub mod outcomes;
pub mod passport;
pub mod proposals;
mod reader;
mod steps;

pub use departure::{Departure, Parting};
pub use fatal::Fatal;
pub use leaders::Leaders;
use machine::Machine;
use proposals::{Answer, PATIENCE, Waiter};
pub use reader::Reader;
pub use steps::Steps;

/// Fewest entries kept before the newest snapshot, as a multiple of the snapshot distance: enough that a node
/// which was away for a moment needs no snapshot.
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
    /// `host:port` it listens on for the others, and where they reach it.
    pub raft_addr: String,
    /// What it is part of. Only the first start looks at it; afterwards what is in `data_dir`
    /// counts.
    pub first_start: FirstStart,
    /// Range of the election timeout in milliseconds.
    pub election_timeout_ms: (u32, u32),
    /// Time between two heartbeats in milliseconds.
    pub heartbeat_ms: u32,
    /// Fewest entries between two snapshots; 0 for none. In a large farm there are more
    /// ([`machine::Machine::snapshot_due`]).
    pub snapshot_distance: u32,
    /// Whether the log survives the process.
    pub durability: Durability,
    /// The newest version of commands that it reads: that of this build, but in tests of upgrades.
    pub command_version: u8,
}

/// What a node with an empty data directory is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstStart {
    /// A new cluster of these members, by id and address, this node among them.
    Found(Vec<(i32, String)>),
    /// A cluster that will take it in.
    Join(ClusterId),
    /// It has started before: an empty directory is an error.
    Past,
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
    /// The node was removed from its cluster.
    #[error(
        "node {node_id} was removed from its cluster and takes no part in it any more. To take it \
         in again, move {} away and start it with --join",
        data_dir.display()
    )]
    Removed {
        /// This node.
        node_id: i32,
        /// Its directory, which is of no use to it now.
        data_dir: PathBuf,
    },
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
    raft_addr: String,
    command_version: u8,
    dir: Arc<DataDir>,
    machine: Arc<Machine>,
    log: Arc<Log>,
    fatal: Arc<Fatal>,
    departure: Arc<Departure>,
    leaders: Arc<Leaders>,
    closing: AtomicBool,
    closed: Mutex<bool>,
}

impl Node {
    /// Opens the storage, recovers the state and starts the server. Blocks for the time that
    /// takes, at least the core's start-up pause of some tens of milliseconds.
    pub fn start(config: NodeConfig) -> Result<Node, StartError> {
        Node::start_secured(config, None)
    }

    /// The same, with connections that `tls` secures.
    pub fn start_secured(config: NodeConfig, tls: Option<RaftTls>) -> Result<Node, StartError> {
        let port = listening_port(&config)?;
        let dir = Arc::new(open_dir(&config)?);
        refuse_removed(&dir, &config)?;
        let log = match config.durability {
            Durability::Fsync => Log::open(&dir.log_path())?,
            Durability::InMemory => Log::in_memory(),
        };
        let log = Arc::new(log);
        let machine = Arc::new(recover(config.node_id, &dir, &log)?);
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
            joining: dir.standing().stage == Stage::Joining,
        };
        let departure = Arc::new(Departure::default());
        let leaders = Arc::new(Leaders::default());
        let parts = ffi::Parts {
            machine: Arc::clone(&machine),
            log: Arc::clone(&log),
            dir: Arc::clone(&dir),
            fatal: Arc::clone(&fatal),
            departure: Arc::clone(&departure),
            leaders: Arc::clone(&leaders),
            command_version: config.command_version,
            tls,
        };
        let core = Core::start(&options, &parts).map_err(|reason| StartError::Core {
            node_id: config.node_id,
            raft_addr: config.raft_addr.clone(),
            reason,
        })?;
        Ok(Node {
            core,
            id: config.node_id,
            raft_addr: config.raft_addr,
            command_version: config.command_version,
            dir,
            machine,
            log,
            fatal,
            departure,
            leaders,
            closing: AtomicBool::new(false),
            closed: Mutex::new(false),
        })
    }

    /// The name of its data directory.
    pub fn directory_id(&self) -> DirectoryId {
        self.dir.id()
    }

    /// Saves in the data directory which cluster this node belongs to, if the log has told by
    /// now; whether it has. Waits for the disk.
    pub fn remember_cluster(&self) -> bool {
        let Some(cluster) = self.machine.roster().cluster() else {
            return false;
        };
        if let Err(error) = self.dir.set_cluster(cluster) {
            self.fatal.report(error.to_string());
        }
        true
    }

    /// Notes that the cluster knows this node with another data directory.
    pub fn note_stranger(&self, reason: String) {
        self.departure.announce(Parting::Stranger(reason));
    }

    /// Resolves once this node has no part in its cluster, or none any more. It should be shut
    /// down then.
    pub async fn parting(&self) -> Parting {
        self.departure.wait().await
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

    /// Waits for the answer to a command that was submitted.
    async fn answer(&self, mut answer: oneshot::Receiver<Answer>) -> Answer {
        loop {
            match timeout(PATIENCE, &mut answer).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => {
                    let reason = "this node dropped the proposal without an answer";
                    return Err(ProposeError::Unknown(reason.into()));
                }
                // Perhaps it waits for proposals that will never be answered.
                Err(_) => self.core.propose_gathered(),
            }
        }
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
    fn propose_holding(
        &self,
        command: Vec<u8>,
        held: Held,
    ) -> impl Future<Output = Result<Vec<u8>, ProposeError>> + Send {
        let (sender, receiver) = oneshot::channel();
        let refusal = self.refusal();
        if refusal.is_none() {
            self.core.propose(command, Waiter::new(sender, held));
        }
        async move {
            match refusal {
                Some(error) => Err(error),
                None => self.answer(receiver).await,
            }
        }
    }

    fn read_index(&self) -> impl Future<Output = Result<u64, ReadIndexError>> + Send {
        let (sender, receiver) = oneshot::channel();
        let refusal = self.refusal();
        if refusal.is_none() {
            self.core.read_index(sender);
        }
        async move {
            match refusal {
                Some(ProposeError::NodeFailed(reason)) => {
                    return Err(ReadIndexError::NodeFailed(reason));
                }
                Some(_) => return Err(ReadIndexError::ShuttingDown),
                None => {}
            }
            receiver.await.unwrap_or_else(|_| {
                let reason = "this node dropped the question without an answer";
                Err(ReadIndexError::Unconfirmed(reason.into()))
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
        let roster = self.machine.roster();
        let standing = self.dir.standing();
        let member = |m: &ffi::Member| Member {
            id: m.id,
            raft_addr: m.endpoint.clone(),
            learner: m.learner,
            last_log_index: match m.id == self.id {
                true => Some(view.last_log_index),
                false => u64::try_from(m.last_log_index).ok(),
            },
            last_contact_ms: u64::try_from(m.last_contact_ms).ok(),
            http_addr: roster.node(m.id).map(|record| record.http_addr.clone()),
        };
        let mut members: Vec<_> = view.members.iter().map(member).collect();
        members.sort_by_key(|m| m.id);
        Status {
            node_id: self.id,
            cluster_id: standing.cluster.or(roster.cluster()),
            directory_id: self.dir.id(),
            raft_addr: self.raft_addr.clone(),
            command_version: self.command_version,
            stage: standing.stage,
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

    fn register_metrics(&self, registry: &mut Registry) {
        registry.register(
            "leader_changes",
            "How often a leader took office in a newer term, as far as this node has seen",
            self.leaders.changes.clone(),
        );
        self.machine.register_metrics(registry);
        self.log.register_metrics(registry);
    }

    fn snapshots(&self) -> Option<Arc<SnapshotStore>> {
        Some(Arc::clone(self.machine.snapshots()))
    }

    fn create_snapshot(&self) -> u64 {
        self.core.create_snapshot().unwrap_or_else(|error| {
            tracing::warn!(error, "cannot create a snapshot");
            0
        })
    }

    fn add_learner(&self, id: i32, raft_addr: &str) -> Result<(), ChangeError> {
        self.core.add_learner(id, raft_addr)
    }

    fn remove_member(&self, id: i32) -> Result<(), ChangeError> {
        self.core.remove_member(id)
    }

    fn is_leaving(&self, id: i32) -> bool {
        self.core.is_leaving(id)
    }

    fn make_voter(&self, id: i32) -> Result<(), ChangeError> {
        self.core.make_voter(id)
    }

    fn yield_leadership(&self, successor: Option<i32>) {
        if let Err(error) = self.core.yield_leadership(successor) {
            tracing::warn!(error, "cannot hand over the leadership");
        }
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

/// The data directory, as a first start makes it or as it was left.
fn open_dir(config: &NodeConfig) -> Result<DataDir, StartError> {
    let (path, id) = (&config.data_dir, config.node_id);
    // Before it is taken in, a node is all that it knows of a cluster.
    let alone = || ffi::encode_config(&[member(id, &config.raft_addr)]);
    match &config.first_start {
        FirstStart::Found(members) => {
            if !members.iter().any(|(member, _)| *member == id) {
                return Err(StartError::Config(format!(
                    "node {id} is not in the initial cluster {members:?}"
                )));
            }
            let members: Vec<_> = members.iter().map(|(id, addr)| member(*id, addr)).collect();
            let dir = DataDir::open(path, id, &ffi::encode_config(&members))?;
            warn_of_other_members(&dir, &members)?;
            Ok(dir)
        }
        FirstStart::Join(cluster) => Ok(DataDir::open_joining(path, id, &alone(), *cluster)?),
        FirstStart::Past if DataDir::is_used(path) => Ok(DataDir::open(path, id, &alone())?),
        FirstStart::Past => Err(StartError::Config(format!(
            "the data directory {} is empty, and nothing says which cluster node {id} is part of",
            path.display()
        ))),
    }
}

fn member(id: i32, endpoint: &str) -> ffi::Member {
    ffi::Member {
        id,
        endpoint: endpoint.to_owned(),
        learner: false,
        last_log_index: -1,
        last_contact_ms: -1,
    }
}

/// A node that was removed has no part in its cluster any more. One that was a member and is not
/// in the saved configuration was killed before it could note that.
fn refuse_removed(dir: &DataDir, config: &NodeConfig) -> Result<(), StartError> {
    let listed = saved_members(dir)?.iter().any(|m| m.id == config.node_id);
    let removed = match dir.standing().stage {
        Stage::Joining => false,
        Stage::Member => !listed,
        Stage::Removed => true,
    };
    if !removed {
        return Ok(());
    }
    dir.set_stage(Stage::Removed)?;
    Err(StartError::Removed {
        node_id: config.node_id,
        data_dir: config.data_dir.clone(),
    })
}

/// The members of the last committed configuration that `dir` holds.
pub(crate) fn saved_members(dir: &DataDir) -> Result<Vec<ffi::Member>, StartError> {
    let members = ffi::decode_config(&dir.load_config()?);
    Ok(members.map_err(|reason| StorageError::damaged(&dir.config_path(), reason))?)
}

/// What is saved counts. That members have come and gone since the flag was written is as it should
/// be; that one of them is said to be elsewhere is not.
fn warn_of_other_members(dir: &DataDir, flag: &[ffi::Member]) -> Result<(), StartError> {
    let saved = saved_members(dir)?;
    let moved = flag.iter().filter_map(|given| {
        let known = saved.iter().find(|member| member.id == given.id)?;
        (known.endpoint != given.endpoint).then_some((known, given))
    });
    for (known, given) in moved {
        tracing::warn!(
            node = known.id,
            saved = known.endpoint,
            given = given.endpoint,
            "the initial cluster given has another address of a member than is saved; that counts"
        );
    }
    Ok(())
}

/// Loads the newest snapshot and makes the log continue from it: the state that the node `node_id`
/// starts with, before the log is replayed.
pub fn recover(node_id: i32, dir: &DataDir, log: &Log) -> Result<Machine, StartError> {
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
    Ok(Machine::new(node_id, state, snapshots))
}

/// The core counts in signed 32 bits.
fn clamp(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
