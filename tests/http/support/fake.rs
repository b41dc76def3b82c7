//! A replicated log in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use raft3d::consensus::{
    ChangeError, Consensus, Held, Member, ProposeError, ReadIndexError, Role, Status,
};
use raft3d::domain::command::{Command, NEWEST_VERSION, Op};
use raft3d::domain::state::State;
use raft3d::domain::time::Timestamp;
use raft3d::identity::{ClusterId, DirectoryId};
use raft3d::storage::{SnapshotStore, Stage};
use tokio::sync::watch;

use super::DEADLINE;

/// The node id of every fake.
pub const NODE_ID: i32 = 3;

/// Why a fake with [`Mode::NodeFailed`] failed.
pub const FAILURE: &str = "the log cannot be written";

/// What becomes of proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Committed, and applied wherever the fake does not lag.
    #[default]
    Commit,
    /// Taken by no leader.
    NotAccepted,
    /// Lost on the way to the leader, or with it.
    UnknownAndLost,
    /// Committed, but the answer is lost.
    UnknownYetCommitted,
    /// Never answered.
    Hang,
    /// The node is stopping.
    ShuttingDown,
    /// The node has left the cluster.
    NodeFailed,
}

/// A whole cluster in memory, seen from one node.
#[derive(Debug)]
pub struct Fake {
    /// For what goes on though nobody waits for it.
    this: Weak<Fake>,
    script: Mutex<Script>,
    /// What this node has applied: a state of the history.
    local: watch::Sender<State>,
    /// Proposals that have their place in the log.
    proposed: watch::Sender<usize>,
    /// Answers that may be given; more than can be counted unless they are held.
    answers: watch::Sender<usize>,
    in_flight: watch::Sender<usize>,
    most_in_flight: AtomicUsize,
}

/// How a log answers that tells read indexes.
#[derive(Debug)]
struct ReadIndex {
    /// What it answers first.
    failures: Vec<ReadIndexError>,
    asked: usize,
}

#[derive(Debug)]
struct Script {
    /// What comes next, first; [`Script::mode`] when it is empty.
    next_modes: Vec<Mode>,
    mode: Mode,
    /// This node applies only what it is told to.
    lagging: bool,
    /// This node applies what is waited for, and no more.
    reluctant: bool,
    /// The state after each log entry that was applied.
    history: BTreeMap<u64, State>,
    committed: State,
    status: Status,
    snapshot: u64,
    snapshots_asked: usize,
    status_looks: usize,
    snapshot_store: Option<Arc<SnapshotStore>>,
    /// How wishes to change the members are answered; one that begins is done at once, unless
    /// changes hang.
    change_error: Option<ChangeError>,
    changes_hang: bool,
    /// How often a change is yet answered that another one is under way.
    busy_for: usize,
    /// A node that was removed, and how often the leader is yet found to tell it so.
    leaving: Option<(i32, usize)>,
    /// To whom the leadership was to be handed over.
    yielded: Vec<Option<i32>>,
    /// What the leader confirms of reads; without it they take a barrier.
    read_index: Option<ReadIndex>,
    heirs_take_over: bool,
}

impl Fake {
    /// An empty farm.
    pub fn new() -> Arc<Fake> {
        let state = State::new();
        Arc::new_cyclic(|this| Fake {
            this: Weak::clone(this),
            script: Mutex::new(Script {
                next_modes: Vec::new(),
                mode: Mode::Commit,
                lagging: false,
                reluctant: false,
                history: BTreeMap::new(),
                committed: state.clone(),
                status: initial_status(),
                snapshot: 0,
                snapshots_asked: 0,
                status_looks: 0,
                snapshot_store: None,
                change_error: None,
                changes_hang: false,
                busy_for: 0,
                leaving: None,
                yielded: Vec::new(),
                read_index: None,
                heirs_take_over: true,
            }),
            local: watch::Sender::new(state),
            proposed: watch::Sender::new(0),
            answers: watch::Sender::new(usize::MAX),
            in_flight: watch::Sender::new(0),
            most_in_flight: AtomicUsize::new(0),
        })
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// From now on proposals go as `mode` says.
    pub fn set_mode(&self, mode: Mode) {
        self.script().mode = mode;
    }

    /// The next proposals go as `modes` say, one after the other.
    pub fn set_next_modes(&self, modes: &[Mode]) {
        self.script().next_modes = modes.to_vec();
    }

    /// Changes what the node says of the cluster.
    pub fn set_status(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.script().status);
    }

    /// The index the next snapshots will cover; 0 for none.
    pub fn set_snapshot(&self, index: u64) {
        self.script().snapshot = index;
    }

    /// How often a snapshot was asked for.
    pub fn snapshots_asked(&self) -> usize {
        self.script().snapshots_asked
    }

    /// How often the status was looked at.
    pub fn status_looks(&self) -> usize {
        self.script().status_looks
    }

    /// The snapshots that the node has from now on.
    pub fn set_snapshot_store(&self, store: Arc<SnapshotStore>) {
        self.script().snapshot_store = Some(store);
    }

    /// From now on changes of the members do not begin, for this reason.
    pub fn refuse_changes(&self, error: ChangeError) {
        self.script().change_error = Some(error);
    }

    /// From now on the log tells read indexes: the next times it fails like this, and then it does
    /// not.
    pub fn confirm_reads(&self, failures: &[ReadIndexError]) {
        self.script().read_index = Some(ReadIndex {
            failures: failures.to_vec(),
            asked: 0,
        });
    }

    /// How often the log was asked for a read index since [`Fake::confirm_reads`].
    pub fn read_indexes_asked(&self) -> usize {
        self.script()
            .read_index
            .as_ref()
            .map_or(0, |read| read.asked)
    }

    /// The next changes of the members, this many, find another one under way.
    pub fn be_busy_for(&self, changes: usize) {
        self.script().busy_for = changes;
    }

    /// Node `id` was removed, and the next `looks` at it find the leader telling it so.
    pub fn part_slowly(&self, id: i32, looks: usize) {
        self.script().leaving = Some((id, looks));
    }

    /// From now on changes of the members begin and are never done.
    pub fn hang_changes(&self) {
        self.script().changes_hang = true;
        self.script().heirs_take_over = false;
    }

    /// To whom the leadership was to be handed over, so far.
    pub fn yielded(&self) -> Vec<Option<i32>> {
        self.script().yielded.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Member>)) -> Result<(), ChangeError> {
        let mut script = self.script();
        if let Some(error) = script.change_error {
            return Err(error);
        }
        if script.busy_for > 0 {
            script.busy_for -= 1;
            return Err(ChangeError::Busy);
        }
        if !script.changes_hang {
            change(&mut script.status.members);
        }
        Ok(())
    }

    /// From now on this node applies only what [`Fake::apply_to`] says.
    pub fn lag(&self) {
        self.script().lagging = true;
    }

    /// From now on this node applies only as much as somebody waits for: the stalest node that
    /// keeps its promises.
    pub fn apply_when_waited_for(&self) {
        self.script().lagging = true;
        self.script().reluctant = true;
    }

    /// This node applies the log up to `index`.
    pub fn apply_to(&self, index: u64) {
        let state = self
            .script()
            .history
            .get(&index)
            .expect("a committed index")
            .clone();
        self.local.send_if_modified(|local| {
            let newer = state.applied_index() > local.applied_index();
            if newer {
                *local = state;
            }
            newer
        });
    }

    /// From now on answers wait for [`Fake::release_answers`].
    pub fn hold_answers(&self) {
        self.answers.send_replace(0);
    }

    /// Lets the answer of the next `count` proposals go, beyond those let go before.
    pub fn release_answers(&self, count: usize) {
        self.answers.send_modify(|answers| *answers += count);
    }

    /// Another node's client writes; returns the log index when that is acknowledged.
    pub fn commit_elsewhere(&self, op: Op) -> u64 {
        let command = Command {
            stamped_at: Timestamp::EPOCH,
            actor: None,
            idempotency: None,
            op,
        };
        self.commit(&command.encode()).0
    }

    /// How many proposals have come so far.
    pub fn proposal_count(&self) -> usize {
        *self.proposed.borrow()
    }

    /// Resolves when `count` proposals have come.
    pub async fn wait_for_proposals(&self, count: usize) {
        let mut proposed = self.proposed.subscribe();
        let wait = proposed.wait_for(|&proposed| proposed >= count);
        let waited = tokio::time::timeout(DEADLINE, wait).await;
        let seen = self.proposal_count();
        waited
            .unwrap_or_else(|_| panic!("{count} proposals should come, {seen} came"))
            .unwrap();
    }

    /// Resolves when no proposal is in flight.
    pub async fn wait_until_idle(&self) {
        let mut in_flight = self.in_flight.subscribe();
        let wait = in_flight.wait_for(|&in_flight| in_flight == 0);
        let waited = tokio::time::timeout(DEADLINE, wait).await;
        waited.expect("all proposals should end").unwrap();
    }

    /// The most proposals that were in flight at a time.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::SeqCst)
    }

    /// The state of this node.
    pub fn local_state(&self) -> State {
        self.local.borrow().clone()
    }

    /// Puts a command into the log: its index and encoded outcome.
    fn commit(&self, command: &[u8]) -> (u64, Vec<u8>) {
        let mut script = self.script();
        let index = script.committed.applied_index() + 1;
        let outcome = script.committed.apply_bytes(index, command);
        let state = script.committed.clone();
        script.history.insert(index, state.clone());
        if !script.lagging {
            self.local.send_replace(state);
        }
        (index, outcome.encode())
    }

    async fn answer(&self, command: &[u8]) -> Result<Vec<u8>, ProposeError> {
        let mode = {
            let mut script = self.script();
            match script.next_modes.is_empty() {
                true => script.mode,
                false => script.next_modes.remove(0),
            }
        };
        // The place in the log comes first, the answer when it may.
        let committed = matches!(mode, Mode::Commit | Mode::UnknownYetCommitted)
            .then(|| self.commit(command).1);
        let mut number = 0;
        self.proposed.send_modify(|proposed| {
            *proposed += 1;
            number = *proposed;
        });
        tokio::task::yield_now().await;
        let mut answers = self.answers.subscribe();
        let _ = answers.wait_for(|&answers| answers >= number).await;
        match (mode, committed) {
            (Mode::Commit, Some(outcome)) => Ok(outcome),
            (Mode::NotAccepted, _) => Err(ProposeError::NotAccepted("no leader is known".into())),
            (Mode::Hang, _) => std::future::pending().await,
            (Mode::ShuttingDown, _) => Err(ProposeError::ShuttingDown),
            (Mode::NodeFailed, _) => Err(ProposeError::NodeFailed(FAILURE.into())),
            _ => Err(ProposeError::Unknown("the leader was lost".into())),
        }
    }
}

impl Consensus for Fake {
    async fn propose_holding(&self, command: Vec<u8>, held: Held) -> Result<Vec<u8>, ProposeError> {
        self.in_flight.send_modify(|in_flight| *in_flight += 1);
        let in_flight = *self.in_flight.borrow();
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        let fake = self.this.upgrade().expect("it is being called");
        let proposal = async move {
            let answer = fake.answer(&command).await;
            drop(held);
            fake.in_flight.send_modify(|in_flight| *in_flight -= 1);
            answer
        };
        tokio::spawn(proposal).await.expect("no panic")
    }

    async fn read_index(&self) -> Result<u64, ReadIndexError> {
        let mut script = self.script();
        let committed = script.committed.applied_index();
        let Some(read) = &mut script.read_index else {
            return Err(ReadIndexError::Unsupported);
        };
        read.asked += 1;
        match read.failures.is_empty() {
            true => Ok(committed),
            false => Err(read.failures.remove(0)),
        }
    }

    fn state(&self) -> State {
        self.local_state()
    }

    async fn wait_applied(&self, index: u64) {
        if self.script().reluctant {
            self.apply_to(index);
        }
        let mut local = self.local.subscribe();
        let _ = local.wait_for(|state| state.applied_index() >= index).await;
    }

    fn status(&self) -> Status {
        let mut script = self.script();
        script.status_looks += 1;
        script.status.clone()
    }

    fn snapshots(&self) -> Option<Arc<SnapshotStore>> {
        self.script().snapshot_store.clone()
    }

    fn create_snapshot(&self) -> u64 {
        let mut script = self.script();
        script.snapshots_asked += 1;
        script.snapshot
    }

    fn add_learner(&self, id: i32, raft_addr: &str) -> Result<(), ChangeError> {
        self.change(|members| {
            members.push(Member {
                id,
                raft_addr: raft_addr.to_owned(),
                learner: true,
                last_log_index: None,
                last_contact_ms: None,
                http_addr: None,
            });
        })
    }

    fn remove_member(&self, id: i32) -> Result<(), ChangeError> {
        self.change(|members| members.retain(|m| m.id != id))
    }

    fn is_leaving(&self, id: i32) -> bool {
        match &mut self.script().leaving {
            Some((leaver, looks)) if *leaver == id && *looks > 0 => {
                *looks -= 1;
                true
            }
            _ => false,
        }
    }

    fn make_voter(&self, id: i32) -> Result<(), ChangeError> {
        self.change(|members| {
            for member in members.iter_mut().filter(|m| m.id == id) {
                member.learner = false;
            }
        })
    }

    fn yield_leadership(&self, successor: Option<i32>) {
        let mut script = self.script();
        script.yielded.push(successor);
        if script.heirs_take_over {
            script.status.leader = successor;
            script.status.role = Role::Follower;
        }
    }
}

fn initial_status() -> Status {
    let members = [(1, Some(30)), (2, None), (NODE_ID, None)].map(|(id, last_log_index)| Member {
        id,
        raft_addr: format!("127.0.0.1:{}", 9080 + id),
        learner: false,
        last_log_index,
        last_contact_ms: None,
        http_addr: None,
    });
    Status {
        node_id: NODE_ID,
        cluster_id: ClusterId::from_bytes([1; 16]),
        directory_id: DirectoryId::from_bytes([2; 16]).expect("an identity"),
        command_version: NEWEST_VERSION,
        raft_addr: format!("127.0.0.1:{}", 9080 + NODE_ID),
        stage: Stage::Member,
        leader: Some(1),
        role: Role::Follower,
        term: 4,
        last_log_index: 31,
        committed_index: 30,
        applied_index: 29,
        snapshot_index: 20,
        log_start_index: 11,
        members: members.into(),
        failure: None,
    }
}
