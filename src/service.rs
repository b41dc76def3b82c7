//! The farm as a service: submits commands to the replicated log and reads state at the asked
//! consistency, each within the request timeout.

mod in_flight;
pub mod members;
mod proposals;
mod reads;
pub mod snapshots;
mod upgrade;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus_client::registry::Registry;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::consensus::{Consensus, Held, ProposeError, RETRY_PAUSE, Status};
use crate::domain::command::{Command, Idempotency, Op, TRACED_VERSION};
use crate::domain::outcome::Outcome;
use crate::domain::state::State;
use crate::domain::time::Timestamp;
use crate::domain::tokens::Actor;
use crate::domain::trace::TraceContext;
use crate::sabotage;
use crate::storage::SnapshotStore;
use crate::traces::Step;
use in_flight::InFlight;
use proposals::Proposals;
use reads::ReadPoint;

/// What one node's service takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a request may wait for the cluster.
    pub request_timeout: Duration,
    /// Most submissions in flight at a time, and most linearizable reads waiting at a time; one
    /// more is refused at once. A submission is in flight until its command has an outcome, even
    /// if nobody waits for that any more.
    pub in_flight_max: usize,
    /// Most bytes of commands in flight at a time, in the same sense.
    pub bytes_in_flight_max: usize,
    /// A member that answered the leader within this time counts as alive.
    pub alive_within: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_timeout: Duration::from_secs(5),
            in_flight_max: 4_096,
            bytes_in_flight_max: 64 << 20,
            alive_within: Duration::from_secs(2),
        }
    }
}

/// How fresh a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Never older than any write acknowledged, on any node, before the read began.
    #[default]
    Linearizable,
    /// This node's own state, without asking anybody.
    Eventual,
}

/// Where a submission comes from; the default is the node itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Who had it submitted, if somebody was asked who he is.
    pub actor: Option<Actor>,
    /// What recognises repetitions of it.
    pub idempotency: Option<Idempotency>,
}

/// Why a submission has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// No leader took the command in time: nothing was written.
    #[error("no leader took the command within the request timeout: {0}")]
    NoQuorum(String),
    /// The command may have been, or may yet be, carried out.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// Not every member can read the command yet: nothing was written.
    #[error("the upgrade of the cluster is not finished: {0}")]
    UpgradeNotFinished(String),
    /// Too many submissions are in flight: nothing was written.
    #[error("this node has as many requests in flight as it takes")]
    Overloaded,
    /// This node is stopping: nothing was written.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// This node has no part in the cluster any more: nothing was written.
    #[error("this node has failed: {0}")]
    NodeFailed(String),
}

/// Why a read has no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No quorum confirmed within the request timeout that this node's state is fresh.
    #[error("no quorum confirmed the read within the request timeout: {0}")]
    NoQuorum(String),
    /// The read is confirmed, but this node did not apply the log up to there in time.
    #[error("this node did not apply log index {index} within the request timeout")]
    Behind {
        /// The log index that the answer would have had to reflect.
        index: u64,
    },
    /// Too many reads wait already.
    #[error("this node has as many requests in flight as it takes")]
    Overloaded,
    /// This node is stopping.
    #[error("this node is shutting down")]
    ShuttingDown,
    /// This node has no part in the cluster any more.
    #[error("this node has failed: {0}")]
    NodeFailed(String),
}

/// The service over one node of the replicated log. Clones share everything.
#[derive(Debug)]
pub struct FarmService<C>(Arc<Inner<C>>);

#[derive(Debug)]
struct Inner<C> {
    consensus: Arc<C>,
    node_id: i32,
    limits: Limits,
    in_flight: Arc<InFlight>,
    /// Held while the members or the leader are being changed through this node.
    changing: Mutex<()>,
    reads: mpsc::Sender<oneshot::Sender<ReadPoint>>,
    proposals: Proposals,
}

impl<C> Clone for FarmService<C> {
    fn clone(&self) -> FarmService<C> {
        FarmService(Arc::clone(&self.0))
    }
}

impl<C: Consensus> FarmService<C> {
    /// A service over `consensus` with the usual limits but for the request timeout.
    pub fn new(consensus: Arc<C>, request_timeout: Duration) -> FarmService<C> {
        FarmService::with_limits(
            consensus,
            Limits {
                request_timeout,
                ..Limits::default()
            },
        )
    }

    /// A service over `consensus`. To be called in a tokio runtime: it starts the task that
    /// finds read points, which ends when the last clone is dropped.
    pub fn with_limits(consensus: Arc<C>, limits: Limits) -> FarmService<C> {
        let (reads, waiting) = mpsc::channel(limits.in_flight_max);
        tokio::spawn(reads::find_read_points(
            Arc::clone(&consensus),
            limits,
            waiting,
        ));
        FarmService(Arc::new(Inner {
            node_id: consensus.status().node_id,
            consensus,
            limits,
            in_flight: Arc::new(InFlight::new(&limits)),
            changing: Mutex::default(),
            reads,
            proposals: Proposals::new(),
        }))
    }

    /// Submits `op`, stamped with this node's time, and resolves to its outcome once it is
    /// committed and applied, here too unless that takes longer than the request timeout: so a
    /// read of any consistency on this node sees it.
    ///
    /// A command that no leader took is proposed again until the request timeout. One that a
    /// leader may have taken is proposed again only with an idempotency key.
    pub async fn submit(&self, op: Op, provenance: Provenance) -> Result<Outcome, SubmitError> {
        let began = Instant::now();
        let step = Step::of_request("propose");
        let result = self.submit_within_limits(op, provenance, step.as_ref());
        let result = result.await;
        self.0.proposals.note(&result, began);
        if let (Some(step), Err(error)) = (step, &result) {
            step.fail(error.to_string());
        }
        result
    }

    async fn submit_within_limits(
        &self,
        op: Op,
        provenance: Provenance,
        step: Option<&Step>,
    ) -> Result<Outcome, SubmitError> {
        // Of the first version everybody reads everything, and most are.
        if op.version() > 1 {
            self.require_version(op.version())?;
        }
        if sabotage::reserves_outside_the_log() {
            let state = self.0.consensus.state();
            if let Some(refusal) = sabotage::refusal(&state, &op) {
                return Ok(Outcome::new(state.applied_index(), Err(refusal)));
            }
        }
        let time = Time::from_now(self.0.limits.request_timeout);
        let mut proposal = self.traced(&command_now(op, provenance), step);
        proposal.place = Arc::new(self.0.in_flight.enter(proposal.bytes.len())?);
        let outcome = propose(self.0.consensus.as_ref(), proposal, time).await?;
        // The write stands, whether or not this node is quick to apply it.
        let _ = timeout_at(time.deadline, self.0.consensus.wait_applied(outcome.index)).await;
        Ok(outcome)
    }

    /// Refuses commands of `version` while a member is known not to read them.
    fn require_version(&self, version: u8) -> Result<(), SubmitError> {
        let (state, status) = (self.0.consensus.state(), self.0.consensus.status());
        upgrade::require_finished(version, &status, state.roster())
    }

    /// The proposal of `command` as `step` of a trace, if it is one; the nodes that apply it are told if
    /// all of them understand that.
    fn traced(&self, command: &Command, step: Option<&Step>) -> Proposal {
        let told = step.filter(|_| self.require_version(TRACED_VERSION).is_ok());
        Proposal {
            step: step.cloned(),
            ..Proposal::of(command, told.map(Step::context))
        }
    }

    /// The state as of `consistency`. It costs O(1) to hold and never changes.
    pub async fn read(&self, consistency: Consistency) -> Result<State, ReadError> {
        if consistency == Consistency::Linearizable {
            self.wait_for_read_point().await?;
        }
        Ok(self.0.consensus.state())
    }

    /// Resolves when this node has applied all that was acknowledged before the call.
    async fn wait_for_read_point(&self) -> Result<(), ReadError> {
        let deadline = Instant::now() + self.0.limits.request_timeout;
        let (read, point) = oneshot::channel();
        self.0.reads.try_send(read).map_err(|error| match error {
            TrySendError::Full(_) => ReadError::Overloaded,
            TrySendError::Closed(_) => ReadError::ShuttingDown,
        })?;
        let index = match timeout_at(deadline, point).await {
            Ok(Ok(result)) => result?,
            Ok(Err(_)) => return Err(ReadError::ShuttingDown),
            Err(_) => return Err(ReadError::NoQuorum("no answer from the leader".into())),
        };
        timeout_at(deadline, self.0.consensus.wait_applied(index))
            .await
            .map_err(|_| ReadError::Behind { index })
    }

    /// Commands in flight, in the sense of [`Limits::in_flight_max`].
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.count()
    }

    /// Adds to `registry` what this service and the log below it measure.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.proposals.register(registry);
        self.0.consensus.register_metrics(registry);
    }

    /// How long a request may wait for the cluster.
    pub fn request_timeout(&self) -> Duration {
        self.0.limits.request_timeout
    }

    /// This node's server id.
    pub fn node_id(&self) -> i32 {
        self.0.node_id
    }

    /// This node's own state, at once.
    pub fn local_state(&self) -> State {
        self.0.consensus.state()
    }

    /// Resolves when this node has applied `index`; never if it does not.
    pub async fn wait_applied(&self, index: u64) {
        self.0.consensus.wait_applied(index).await;
    }

    /// This node's view of the cluster.
    pub fn status(&self) -> Status {
        self.0.consensus.status()
    }

    /// The snapshots on this node's disk, if it has one.
    pub fn snapshots(&self) -> Option<Arc<SnapshotStore>> {
        self.0.consensus.snapshots()
    }

    /// Asks for a snapshot of the applied state; the log index it covers, or `None` when one is
    /// under way already or none is needed.
    pub fn create_snapshot(&self) -> Option<u64> {
        Some(self.0.consensus.create_snapshot()).filter(|&index| index > 0)
    }
}

/// The time that one request has.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// When it must be answered.
    deadline: Instant,
    /// When the last try may begin: a proposal still unanswered at the deadline may have been
    /// taken, which says less than that no leader takes any.
    last_try: Instant,
}

impl Time {
    fn from_now(request_timeout: Duration) -> Time {
        let now = Instant::now();
        Time {
            deadline: now + request_timeout,
            last_try: now + request_timeout / 10 * 9,
        }
    }
}

/// An encoded command on its way.
struct Proposal {
    bytes: Vec<u8>,
    /// Whether the command does nothing if it was carried out before.
    repeatable: bool,
    /// What it takes of the limits. Free again when the command has an outcome, or is sure to get
    /// none, however long that takes.
    place: Held,
    /// The step that it is of a recorded trace.
    step: Option<Step>,
}

impl Proposal {
    /// One of a command that is part of `trace`. It takes nothing of the limits yet.
    fn of(command: &Command, trace: Option<TraceContext>) -> Proposal {
        Proposal {
            bytes: command.encode_in(trace),
            repeatable: command.idempotency.is_some() || command.op.is_repeatable(),
            place: Arc::new(()),
            step: None,
        }
    }

    /// Proposes once. Whoever waits may stop waiting, but the command that is on its way stays there,
    /// and with it the place that bounds how many are.
    async fn attempt<C: Consensus>(&self, consensus: &C) -> Result<Vec<u8>, ProposeError> {
        let place = Arc::clone(&self.place);
        let held = match self.forwarding(consensus) {
            Some(forward) => Arc::new((place, forward)),
            None => place,
        };
        consensus.propose_holding(self.bytes.clone(), held).await
    }

    /// The step in which this node waits for the one that leads, if the proposal is recorded.
    fn forwarding(&self, consensus: &impl Consensus) -> Option<Step> {
        let step = self.step.as_ref()?;
        let status = consensus.status();
        let leader = status.leader.filter(|leader| *leader != status.node_id)?;
        let forward = step.elsewhere("forward")?;
        forward.set("raft3d.leader.id", i64::from(leader));
        Some(forward)
    }
}

/// Proposes until there is an outcome, trying again wherever that is safe.
async fn propose<C: Consensus>(
    consensus: &C,
    proposal: Proposal,
    time: Time,
) -> Result<Outcome, SubmitError> {
    let mut taken_perhaps = false;
    loop {
        let reason = match timeout_at(time.deadline, proposal.attempt(consensus)).await {
            Ok(Ok(outcome)) => return decode_outcome(&outcome),
            Ok(Err(ProposeError::NotAccepted(reason))) => reason,
            Ok(Err(ProposeError::Unknown(reason))) => {
                taken_perhaps = true;
                reason
            }
            Ok(Err(error)) if taken_perhaps => {
                return Err(SubmitError::OutcomeUnknown(error.to_string()));
            }
            Ok(Err(ProposeError::ShuttingDown)) => return Err(SubmitError::ShuttingDown),
            Ok(Err(ProposeError::NodeFailed(reason))) => {
                return Err(SubmitError::NodeFailed(reason));
            }
            Err(_) => {
                return Err(SubmitError::OutcomeUnknown(
                    "no answer came within the request timeout".into(),
                ));
            }
        };
        if taken_perhaps && !proposal.repeatable {
            return Err(SubmitError::OutcomeUnknown(reason));
        }
        if Instant::now() + RETRY_PAUSE > time.last_try {
            return Err(match taken_perhaps {
                true => SubmitError::OutcomeUnknown(reason),
                false => SubmitError::NoQuorum(reason),
            });
        }
        if let Some(step) = &proposal.step {
            step.note("retry", &reason);
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// The command for `op`, stamped with this node's clock.
fn command_now(op: Op, provenance: Provenance) -> Command {
    Command {
        stamped_at: now(),
        actor: provenance.actor,
        idempotency: provenance.idempotency,
        op,
    }
}

/// This node's clock.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The outcome of a command that was carried out, whether or not this build can read it.
fn decode_outcome(bytes: &[u8]) -> Result<Outcome, SubmitError> {
    Outcome::decode(bytes)
        .map_err(|error| SubmitError::OutcomeUnknown(format!("the answer cannot be read: {error}")))
}
