//! The running core.

use std::sync::Arc;

use cxx::{SharedPtr, UniquePtr};
use tokio::sync::oneshot;

use super::bridge::{self, NodeOptions, NodeView};
use super::fsm::Fsm;
use super::log::{LogHandle, notify_core};
use super::read_index::{ReadAnswer, ReadCompletion};
use super::sink::LogSink;
use super::state::StateHandle;
use super::tls::RaftTls;
use crate::consensus::ChangeError;
use crate::raft::machine::Machine;
use crate::raft::passport::Passports;
use crate::raft::proposals::{Proposals, Waiter};
use crate::raft::{Departure, Fatal, Leaders, Reader, Steps};
use crate::storage::{DataDir, Log};

/// What the core is built over.
pub struct Parts {
    /// The state machine.
    pub machine: Arc<Machine>,
    /// The log.
    pub log: Arc<Log>,
    /// Term and vote, configuration, standing.
    pub dir: Arc<DataDir>,
    /// Told if the core cannot go on.
    pub fatal: Arc<Fatal>,
    /// Told when the node has no part in its cluster.
    pub departure: Arc<Departure>,
    /// Told of each leader.
    pub leaders: Arc<Leaders>,
    /// The newest version of commands that is read.
    pub command_version: u8,
    /// What secures the connections; they are plain without.
    pub tls: Option<RaftTls>,
}

/// The running core.
pub struct Core {
    node: UniquePtr<bridge::node>,
    proposals: Proposals,
}

impl Core {
    /// Starts the server over the given parts. The error is what the core says.
    pub fn start(options: &NodeOptions, parts: &Parts) -> Result<Core, String> {
        let Parts {
            machine,
            log,
            dir,
            fatal,
            departure,
            leaders,
            command_version,
            tls,
        } = parts;
        let notifier = bridge::new_append_notifier();
        log.set_notifier(Some(notify_core(notifier.clone(), log, fatal)));
        let passports = Passports::new(
            options.id,
            Arc::clone(dir),
            Arc::clone(machine),
            Arc::clone(log),
            Arc::clone(departure),
        );
        let steps = Steps::new(options.id, Arc::clone(log), Arc::clone(leaders));
        let reader = Reader::new(
            Arc::clone(machine),
            Arc::clone(fatal),
            *command_version,
            steps,
        );
        let proposals = Proposals::new(machine.outcomes().clone());
        let program = bridge::Program {
            proposals: Box::new(proposals.clone()),
            fsm: Box::new(Fsm(Arc::clone(machine), reader)),
            log: Box::new(LogHandle {
                log: Arc::clone(log),
                snapshots: Some(Arc::clone(machine.snapshots())),
            }),
            state: Box::new(StateHandle {
                dir: Arc::clone(dir),
                fatal: Arc::clone(fatal),
                departure: Arc::clone(departure),
                leaders: Arc::clone(leaders),
            }),
            sink: Box::new(LogSink::new()),
        };
        let guards = bridge::Guards {
            passports: Box::new(passports),
            tls: tls.clone().map_or_else(SharedPtr::null, |tls| tls.0),
        };
        let node = bridge::start_node(options, program, guards, notifier);
        node.map(|node| Core { node, proposals })
            .map_err(|e| e.what().to_owned())
    }

    /// Submits `command`; the answer goes to `waiter`, which is dropped if there is none.
    pub fn propose(&self, command: Vec<u8>, waiter: Waiter) {
        self.proposals.submit(command, waiter);
        self.propose_gathered();
    }

    /// Proposes what has gathered, unless it has to wait for answers yet.
    pub fn propose_gathered(&self) {
        self.proposals.propose_to(self.node.get_proposer());
    }

    /// Asks at which index a linearizable read may be answered; the answer comes through `sender`,
    /// which is dropped if there is none.
    pub fn read_index(&self, sender: oneshot::Sender<ReadAnswer>) {
        self.node.read_index(Box::new(ReadCompletion(sender)));
    }

    /// What the server knows now.
    pub fn view(&self) -> NodeView {
        self.node.view().unwrap_or_else(|error| {
            tracing::error!(%error, "the core cannot describe itself");
            NodeView {
                leader: -1,
                leading: false,
                initialized: false,
                term: 0,
                last_log_index: 0,
                committed_index: 0,
                members: Vec::new(),
            }
        })
    }

    /// Starts a snapshot; 0 if none was started.
    pub fn create_snapshot(&self) -> Result<u64, String> {
        self.node.create_snapshot().map_err(|e| e.what().to_owned())
    }

    /// Hands the leadership over, if this server has it: to `successor`, or to whoever is fit.
    pub fn yield_leadership(&self, successor: Option<i32>) -> Result<(), String> {
        self.node
            .yield_leadership(successor.unwrap_or(-1))
            .map_err(|e| e.what().to_owned())
    }

    /// Begins to take in server `id`, which listens at `endpoint`, as a learner.
    pub fn add_learner(&self, id: i32, endpoint: &str) -> Result<(), ChangeError> {
        verdict(self.node.add_learner(id, endpoint))
    }

    /// Begins to remove server `id`.
    pub fn remove_member(&self, id: i32) -> Result<(), ChangeError> {
        verdict(self.node.remove_member(id))
    }

    /// Whether this server leads and still tells server `id`, which was removed, of that.
    pub fn is_leaving(&self, id: i32) -> bool {
        self.node.is_leaving(id).unwrap_or(false)
    }

    /// Begins to let server `id`, a learner, vote.
    pub fn make_voter(&self, id: i32) -> Result<(), ChangeError> {
        verdict(self.node.make_voter(id))
    }

    /// Stops the server and joins its threads. Proposals that have no answer by then get none.
    pub fn shutdown(&self) {
        self.node.shutdown();
        self.proposals.abandon();
    }
}

fn verdict(verdict: Result<bridge::ChangeVerdict, cxx::Exception>) -> Result<(), ChangeError> {
    use bridge::ChangeVerdict;
    match verdict {
        Ok(ChangeVerdict::Started) => Ok(()),
        Ok(ChangeVerdict::NotLeader) => Err(ChangeError::NotLeader),
        Ok(ChangeVerdict::Exists) => Err(ChangeError::Exists),
        Ok(ChangeVerdict::NotFound) => Err(ChangeError::NotFound),
        Ok(ChangeVerdict::Busy) => Err(ChangeError::Busy),
        Ok(_) => Err(ChangeError::Forbidden),
        Err(error) => {
            tracing::error!(error = error.what(), "a change of the members failed");
            Err(ChangeError::Forbidden)
        }
    }
}
