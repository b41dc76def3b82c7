//! What the service needs from a replicated log: the seam between the farm's rules and Raft.
//!
//! [`crate::raft::Node`] implements it over the C++ core; tests of the upper layers use a fake.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::state::State;
use crate::identity::{ClusterId, DirectoryId};
use crate::storage::{SnapshotStore, Stage};

/// A node of the replicated log, as seen by the service above it.
///
/// All methods may be called from any thread; none blocks.
pub trait Consensus: Send + Sync + 'static {
    /// Submits one encoded [`crate::domain::command::Command`] and resolves, once it is committed
    /// and applied, to the encoded [`crate::domain::outcome::Outcome`].
    ///
    /// On a node that is not the leader the command travels to the leader. There is no timeout
    /// here: dropping the future abandons the answer, never the command.
    fn propose(
        &self,
        command: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, ProposeError>> + Send {
        self.propose_holding(command, Arc::new(()))
    }

    /// The same, and drops `held` when the command has an outcome or is sure to get none, however
    /// long that takes and whether or not anybody waits for it.
    fn propose_holding(
        &self,
        command: Vec<u8>,
        held: Held,
    ) -> impl Future<Output = Result<Vec<u8>, ProposeError>> + Send;

    /// Resolves to a log index such that whoever has applied it sees every write that any node had
    /// acknowledged when this was called. It costs a round of messages and no entry in the log.
    ///
    /// There is no timeout here; dropping the future is harmless. A log that cannot do it says so,
    /// and its users commit a barrier instead.
    fn read_index(&self) -> impl Future<Output = Result<u64, ReadIndexError>> + Send {
        async { Err(ReadIndexError::Unsupported) }
    }

    /// This node's applied state: a consistent, immutable view that costs O(1) to take.
    fn state(&self) -> State;

    /// Resolves when this node has applied `index` (at once if it already has).
    fn wait_applied(&self, index: u64) -> impl Future<Output = ()> + Send;

    /// This node's present view of the cluster.
    fn status(&self) -> Status;

    /// Adds to `registry` what the log measures itself; by default nothing.
    fn register_metrics(&self, _registry: &mut Registry) {}

    /// The snapshots on this node's disk; none by default.
    fn snapshots(&self) -> Option<Arc<SnapshotStore>> {
        None
    }

    /// Asks for a snapshot of the applied state. Returns the log index it covers, or 0 when one
    /// is under way already or none is needed.
    fn create_snapshot(&self) -> u64;

    /// If this node leads: begins to take in node `id`, which listens at `raft_addr` and waits for
    /// that, as a learner. That it is done shows in [`Consensus::status`], as for the next two.
    fn add_learner(&self, id: i32, raft_addr: &str) -> Result<(), ChangeError>;

    /// If this node leads: begins to remove member `id`, dead or alive, but not itself.
    fn remove_member(&self, id: i32) -> Result<(), ChangeError>;

    /// If this node leads: whether it still tells node `id`, which is no member any more, of its
    /// removal. No other node can have that id until then; it takes five heartbeats at most.
    fn is_leaving(&self, _id: i32) -> bool {
        false
    }

    /// If this node leads: begins to let the learner `id` vote.
    fn make_voter(&self, id: i32) -> Result<(), ChangeError>;

    /// If this node leads: asks `successor`, or whoever is fit, to take over.
    fn yield_leadership(&self, successor: Option<i32>);
}

/// What is kept for as long as something else lasts, and is of use only by that.
pub type Held = Arc<dyn Send + Sync>;

/// Why a change of the members has not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// This node does not lead, or is handing the leadership over.
    #[error("this node does not lead")]
    NotLeader,
    /// A member has the id.
    #[error("a member has that id")]
    Exists,
    /// No member has the id.
    #[error("no member has that id")]
    NotFound,
    /// Another change is under way.
    #[error("another change of the members is under way")]
    Busy,
    /// The rules of Raft forbid it.
    #[error("the members cannot be changed like that")]
    Forbidden,
}

/// Why a proposal has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No leader took the command: it is in no log, and trying again is safe.
    #[error("no leader accepted the command: {0}")]
    NotAccepted(String),
    /// A leader may have taken the command and it may still commit. Never to be reported as
    /// failed.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// This node is stopping; the command was not taken.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// This node has no part in the cluster any more; the command was not taken.
    #[error("this node has failed: {0}")]
    NodeFailed(String),
}

/// Why there is no index to read at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadIndexError {
    /// The log, or the node that leads, does not know the question.
    #[error("the leader cannot confirm a read without an entry in the log")]
    Unsupported,
    /// No leader has confirmed that it still leads; trying again is safe.
    #[error("no leader confirmed the read: {0}")]
    Unconfirmed(String),
    /// This node is stopping.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// This node has no part in the cluster any more.
    #[error("this node has failed: {0}")]
    NodeFailed(String),
}

/// The part that a node plays in the present term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads the term.
    Leader,
}

/// One member of the cluster's committed configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Server id, positive.
    pub id: i32,
    /// `host:port` of the member's Raft listener.
    pub raft_addr: String,
    /// Receives the log, never votes.
    pub learner: bool,
    /// Highest log index known to be on that member; only the leader knows it of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_log_index: Option<u64>,
    /// Time since that member last answered; only the leader knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_contact_ms: Option<u64>,
    /// `host:port` of the member's HTTP API, once it has announced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_addr: Option<String>,
}

/// One node's view of the cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// This node's server id.
    pub node_id: i32,
    /// The cluster's name, once this node knows it.
    pub cluster_id: Option<ClusterId>,
    /// The name of this node's data directory.
    pub directory_id: DirectoryId,
    /// `host:port` where this node is reached by the others.
    pub raft_addr: String,
    /// The newest version of commands that this node reads.
    pub command_version: u8,
    /// Whether this node takes part in the cluster.
    pub stage: Stage,
    /// The leader this node knows of.
    pub leader: Option<i32>,
    /// This node's part in the present term.
    pub role: Role,
    /// The present term.
    pub term: u64,
    /// Index of the last entry of this node's log.
    pub last_log_index: u64,
    /// Highest index this node knows to be committed.
    pub committed_index: u64,
    /// Highest index applied to this node's state machine.
    pub applied_index: u64,
    /// Last index covered by this node's newest snapshot; 0 if it has none.
    pub snapshot_index: u64,
    /// First index still in this node's log.
    pub log_start_index: u64,
    /// Members of the committed configuration, by id.
    pub members: Vec<Member>,
    /// Why this node has no part in the cluster any more, if that is so: its disk failed, or it
    /// found a state that must not be. It answers from memory until it is stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
}

/// How far a follower may lag behind what it knows to be committed and still call itself caught
/// up, in entries.
pub const CAUGHT_UP_GAP: u64 = 1_000;

/// How long a retried proposal waits between two tries.
pub const RETRY_PAUSE: Duration = Duration::from_millis(20);
