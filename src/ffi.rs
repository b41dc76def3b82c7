//! The one bridge to the consensus core in C++, and the only module with `unsafe` code.
//!
//! `include/raft3d/node.hxx` opens with the conventions that hold on both sides. Above the bridge,
//! [`Core`] is what the rest of the program uses.

use std::fmt::Display;
use std::sync::Arc;

use cxx::{SharedPtr, UniquePtr};
use tokio::sync::oneshot;

use crate::consensus::{ChangeError, ProposeError, ReadIndexError};
use crate::raft::machine::Machine;
use crate::raft::passport::Passports;
use crate::raft::proposals::{Encoded, Proposals, Waiter};
use crate::raft::{Departure, Fatal, Leaders, Parting, Reader, Steps};
use crate::storage::snapshot::{PieceReader, SnapshotId};
use crate::storage::{DataDir, Entry, Log, SnapshotStore, Stage, StorageError};
use crate::telemetry::Crowd;
use crate::tls::audit::TlsAudit;

pub mod bench;

pub use bridge::{Member, NodeOptions, NodeView};

#[cxx::bridge(namespace = "raft3d")]
mod bridge {
    /// One member of a cluster.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Member {
        /// Server id, positive.
        id: i32,
        /// `host:port` of its Raft listener.
        endpoint: String,
        /// Receives the log, never votes.
        learner: bool,
        /// Highest index known to be on it; -1 if not known.
        last_log_index: i64,
        /// Milliseconds since it last answered; -1 if not known.
        last_contact_ms: i64,
    }

    /// What the core is told once.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct NodeOptions {
        /// This server's id, positive.
        id: i32,
        /// TCP port to listen on.
        port: u16,
        /// Shortest election timeout, milliseconds.
        election_timeout_ms_min: i32,
        /// Longest election timeout, milliseconds.
        election_timeout_ms_max: i32,
        /// Heartbeat interval, milliseconds.
        heartbeat_ms: i32,
        /// Entries between two snapshots; 0 for none.
        snapshot_distance: i32,
        /// Entries kept behind the newest snapshot.
        reserved_entries: i32,
        /// The log becomes durable in the background and says when.
        parallel_log: bool,
        /// Waits to be taken into a cluster and stands for no election before.
        joining: bool,
    }

    /// What a server works on and answers to.
    struct Program {
        proposals: Box<Proposals>,
        fsm: Box<Fsm>,
        log: Box<LogHandle>,
        state: Box<StateHandle>,
        sink: Box<LogSink>,
    }

    /// What keeps strangers from a server's connections.
    struct Guards {
        /// Shown and asked for with each message.
        passports: Box<Passports>,
        /// Secures the connections; null for plain ones.
        tls: SharedPtr<tls_credentials>,
    }

    /// What a server knows at one moment.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct NodeView {
        /// Id of the leader; negative if none is known.
        leader: i32,
        /// This server leads.
        leading: bool,
        /// This server has heard of a leader since it started, or been one.
        initialized: bool,
        /// The present term.
        term: u64,
        /// Index of the last entry in the log.
        last_log_index: u64,
        /// Highest index known to be committed.
        committed_index: u64,
        /// The committed configuration.
        members: Vec<Member>,
    }

    /// What one run of the benchmark without the bridge measured.
    #[derive(Debug, Clone)]
    struct BenchRun {
        /// From the first proposal to the last answer.
        elapsed_ns: u64,
        /// From each proposal to its answer.
        latencies_ns: Vec<u64>,
    }

    /// How a proposal ended.
    #[derive(Debug)]
    enum Verdict {
        /// Committed and applied; the bytes are the outcome.
        Applied,
        /// In no log; the bytes say why.
        NotAccepted,
        /// Perhaps in a log; the bytes say why that is not known.
        Unknown,
    }

    /// Whether a read may be answered.
    #[derive(Debug)]
    enum ReadVerdict {
        /// Whoever has applied the index may.
        At,
        /// No leader confirmed that it leads.
        Unconfirmed,
        /// This core, or that of the leader, does not know the question.
        Unsupported,
    }

    /// What became of the wish to change the members or the leader.
    #[derive(Debug)]
    enum ChangeVerdict {
        /// Under way; that it is done shows in the configuration.
        Started,
        /// This server does not lead, or is handing the leadership over.
        NotLeader,
        /// A member has the id.
        Exists,
        /// No member has the id.
        NotFound,
        /// Another change is not done yet.
        Busy,
        /// The rules of Raft forbid it.
        Forbidden,
    }

    extern "Rust" {
        type Encoded;
        fn bytes(self: &Encoded) -> &[u8];

        type Proposals;
        /// Answers a proposal of `proposer`; `bytes` are the outcome of its last command or the reason,
        /// as the verdict says. Has `proposer` make those that waited for this.
        fn answer(
            self: &Proposals,
            proposer: &proposer,
            ticket: u64,
            verdict: Verdict,
            bytes: &[u8],
        );

        type ReadCompletion;
        /// Answers whether a read may be, with an index or else a reason.
        fn complete_read(
            completion: Box<ReadCompletion>,
            verdict: ReadVerdict,
            index: u64,
            reason: &[u8],
        );

        type Fsm;
        fn commit(self: &Fsm, index: u64, command: &[u8]) -> Vec<u8>;
        fn pass(self: &Fsm, index: u64);
        /// The core's description of the newest durable snapshot; empty if there is none.
        fn newest_snapshot(self: &Fsm) -> Vec<u8>;
        fn newest_snapshot_index(self: &Fsm) -> u64;
        fn snapshot_due(self: &Fsm) -> bool;
        fn start_snapshot(
            self: &Fsm,
            index: u64,
            term: u64,
            metadata: &[u8],
            done: UniquePtr<snapshot_done>,
        );
        fn open_snapshot(self: &Fsm, index: u64, term: u64) -> Result<Box<PieceReader>>;
        fn save_piece(
            self: &Fsm,
            index: u64,
            term: u64,
            piece: u64,
            bytes: &[u8],
            last: bool,
        ) -> Result<u64>;
        fn apply_snapshot(self: &Fsm, index: u64, term: u64) -> bool;

        type PieceReader;
        fn read_piece(reader: &PieceReader, piece: u64, last: &mut bool) -> Result<Vec<u8>>;

        type LogHandle;
        fn first_index(self: &LogHandle) -> u64;
        fn next_index(self: &LogHandle) -> u64;
        fn durable_index(self: &LogHandle) -> u64;
        fn term_at(self: &LogHandle, index: u64) -> u64;
        fn append(self: &LogHandle, term: u64, kind: u8, timestamp_us: u64, data: &[u8]) -> u64;
        fn truncate(self: &LogHandle, from: u64);
        fn purge(self: &LogHandle, upto: u64);
        fn request_flush(self: &LogHandle);
        fn flush(self: &LogHandle) -> bool;
        fn read(
            self: &LogHandle,
            from: u64,
            to: u64,
            bytes_max: u64,
            sink: Pin<&mut entry_sink>,
        ) -> bool;

        type StateHandle;
        fn load_config(self: &StateHandle) -> Result<Vec<u8>>;
        fn save_config(self: &StateHandle, config: &[u8]) -> Result<()>;
        fn load_state(self: &StateHandle) -> Result<Vec<u8>>;
        fn save_state(self: &StateHandle, state: &[u8]) -> Result<()>;
        fn fatal(self: &StateHandle, reason: &[u8]);
        /// A configuration with this server has been committed, the first for it.
        fn joined(self: &StateHandle);
        /// This server is no member any more.
        fn removed(self: &StateHandle);
        /// There is a leader in `term`: this server (`own`), or one that it follows.
        fn leader_seen(self: &StateHandle, term: u64, own: bool);

        type Passports;
        /// What a message to server `to` carries.
        fn issue(self: &Passports, to: i32) -> String;
        /// Whether a message from server `from` that carries `shown` is listened to.
        fn admits(self: &Passports, from: i32, asks_for_vote: bool, shown: &[u8]) -> bool;

        type LogSink;
        /// The most detailed level listened to, in the core's numbers.
        fn level(self: &LogSink) -> i32;
        fn put(self: &LogSink, level: i32, file: &[u8], line: usize, text: &[u8]);

        type TlsAudit;
        /// A peer's certificate was refused.
        fn refused(self: &TlsAudit, incoming: bool, subject: &[u8], reason: &[u8]);
    }

    unsafe extern "C++" {
        include!("raft3d/crossing_bench.hxx");
        include!("raft3d/node.hxx");
        include!("raft3d/durable_log.hxx");
        include!("raft3d/fsm.hxx");
        include!("raft3d/native_bench.hxx");
        include!("raft3d/proposer.hxx");
        include!("raft3d/tls_credentials.hxx");

        type entry_sink;
        fn push(
            self: Pin<&mut entry_sink>,
            term: u64,
            kind: u8,
            timestamp_us: u64,
            crc: u32,
            data: &[u8],
        );

        type snapshot_done;
        fn finish(self: Pin<&mut snapshot_done>, ok: bool);

        type append_notifier;
        fn new_append_notifier() -> SharedPtr<append_notifier>;
        fn notify(self: &append_notifier, ok: bool);

        type tls_credentials;
        fn new_tls_credentials(
            chain: &[u8],
            key: &[u8],
            roots: &[u8],
            audit: Box<TlsAudit>,
        ) -> Result<SharedPtr<tls_credentials>>;
        fn replace(self: &tls_credentials, chain: &[u8], key: &[u8], roots: &[u8]) -> Result<()>;

        type proposer;
        fn propose(self: &proposer, commands: &[Encoded], ticket: u64);

        type node;
        fn start_node(
            options: &NodeOptions,
            program: Program,
            guards: Guards,
            notifier: SharedPtr<append_notifier>,
        ) -> Result<UniquePtr<node>>;
        fn get_proposer(self: &node) -> &proposer;
        fn read_index(self: &node, completion: Box<ReadCompletion>);
        fn view(self: &node) -> Result<NodeView>;
        fn create_snapshot(self: &node) -> Result<u64>;
        fn add_learner(self: &node, id: i32, endpoint: &str) -> Result<ChangeVerdict>;
        fn remove_member(self: &node, id: i32) -> Result<ChangeVerdict>;
        fn is_leaving(self: &node, id: i32) -> Result<bool>;
        fn make_voter(self: &node, id: i32) -> Result<ChangeVerdict>;
        fn yield_leadership(self: &node, successor: i32) -> Result<()>;
        fn shutdown(self: &node);

        type native_cluster;
        fn new_native_cluster(members: &[Member]) -> UniquePtr<native_cluster>;
        fn start(
            self: Pin<&mut native_cluster>,
            options: &NodeOptions,
            log: Box<LogHandle>,
            use_log: bool,
            notifier: SharedPtr<append_notifier>,
        ) -> Result<()>;
        fn leader(self: &native_cluster) -> Result<usize>;
        fn run(
            self: &native_cluster,
            leader: usize,
            payload: &[u8],
            in_flight: u32,
            duration_ms: u32,
        ) -> Result<BenchRun>;

        fn log_through_bridge(log: Box<LogHandle>, payload: &[u8], count: u64) -> Result<()>;
        fn commit_through_bridge(machine: Box<Fsm>, command: &[u8], count: u64) -> Result<()>;
        fn commit_in_cpp(bytes: &[u8], count: u64) -> Result<()>;
        fn new_idle_proposer(proposals: Box<Proposals>) -> UniquePtr<proposer>;
        fn propose_through_bridge(
            proposer: &proposer,
            ticket: u64,
            commands: &[Encoded],
            outcome: &[u8],
        ) -> Result<()>;
        fn propose_in_cpp(command: &[u8], outcome: &[u8], count: u64) -> Result<()>;

        fn cpu_time_ns() -> u64;

        fn encode_config(members: &[Member]) -> Vec<u8>;
        fn encode_snapshot(index: u64, term: u64, members: &[Member]) -> Vec<u8>;
        fn encode_term(term: u64) -> Vec<u8>;
        fn decode_config(bytes: &[u8]) -> Result<Vec<Member>>;
    }
}

// SAFETY: node.hxx: all methods may be called from any thread; `raft_server` and the launcher
// guard themselves, and shutting down is behind a `std::once_flag`.
unsafe impl Send for bridge::node {}
// SAFETY: as above.
unsafe impl Sync for bridge::node {}
// SAFETY: append_notifier.hxx: calls may come from any thread; its mutex guards its fields.
unsafe impl Send for bridge::append_notifier {}
// SAFETY: as above.
unsafe impl Sync for bridge::append_notifier {}
// SAFETY: tls_credentials.hxx: calls may come from any thread; its mutex guards what it replaces.
unsafe impl Send for bridge::tls_credentials {}
// SAFETY: as above.
unsafe impl Sync for bridge::tls_credentials {}
// SAFETY: it owns a copy of the core's handler, which the core allows to be called from any
// thread (api.md 11.2, `create_snapshot`), and moves with its one user.
unsafe impl Send for bridge::snapshot_done {}

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

/// What this node shows to the others on its Raft connections, and whom it believes. Clones are
/// the same.
#[derive(Clone)]
pub struct RaftTls(SharedPtr<bridge::tls_credentials>);

impl RaftTls {
    /// From this node's chain, its key, and the CA of all nodes, in PEM. The error is what OpenSSL
    /// says of them.
    pub fn new(chain: &[u8], key: &[u8], roots: &[u8]) -> Result<RaftTls, String> {
        let audit = Box::new(TlsAudit::new());
        let made = bridge::new_tls_credentials(chain, key, roots, audit);
        made.map(RaftTls).map_err(|e| e.what().to_owned())
    }

    /// Has handshakes that begin from now on use these instead. After an error nothing has changed.
    pub fn replace(&self, chain: &[u8], key: &[u8], roots: &[u8]) -> Result<(), String> {
        self.0
            .replace(chain, key, roots)
            .map_err(|e| e.what().to_owned())
    }
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
            sink: Box::new(LogSink {
                span: tracing::Span::current(),
                crowd: Crowd::default(),
            }),
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

/// The encoded configuration of a new cluster of `members`.
pub fn encode_config(members: &[Member]) -> Vec<u8> {
    bridge::encode_config(members)
}

/// The encoded description of a snapshot that begins a cluster of `members`: its last entry is
/// `index`, above 0, of `term`.
pub fn encode_snapshot(index: u64, term: u64, members: &[Member]) -> Vec<u8> {
    bridge::encode_snapshot(index, term, members)
}

/// The encoded term and vote of a server in `term` that has voted for nobody.
pub fn encode_term(term: u64) -> Vec<u8> {
    bridge::encode_term(term)
}

/// The members in an encoded configuration.
pub fn decode_config(bytes: &[u8]) -> Result<Vec<Member>, String> {
    bridge::decode_config(bytes).map_err(|e| e.what().to_owned())
}

/// What the log's teller calls. It holds the log weakly: the log owns it.
fn notify_core(
    notifier: SharedPtr<bridge::append_notifier>,
    log: &Arc<Log>,
    fatal: &Arc<Fatal>,
) -> crate::storage::log::Notifier {
    let log = Arc::downgrade(log);
    let fatal = Arc::clone(fatal);
    Arc::new(move |ok| {
        if let Some(reason) = log.upgrade().filter(|_| !ok).and_then(|log| log.failure()) {
            fatal.report(format!("the log cannot be written: {reason}"));
        }
        if let Some(notifier) = notifier.as_ref() {
            notifier.notify(ok);
        }
    })
}

impl Proposals {
    fn propose_to(&self, proposer: &bridge::proposer) {
        self.propose_gathered(|commands, ticket| proposer.propose(commands, ticket));
    }

    fn answer(
        &self,
        proposer: &bridge::proposer,
        ticket: u64,
        verdict: bridge::Verdict,
        bytes: &[u8],
    ) {
        let reason = || String::from_utf8_lossy(bytes).into_owned();
        let answer = match verdict {
            bridge::Verdict::Applied => Ok(bytes.to_vec()),
            bridge::Verdict::NotAccepted => Err(ProposeError::NotAccepted(reason())),
            _ => Err(ProposeError::Unknown(reason())),
        };
        self.resolve(ticket, answer);
        self.propose_to(proposer);
    }
}

/// At which index a read may be answered.
pub type ReadAnswer = Result<u64, ReadIndexError>;

struct ReadCompletion(oneshot::Sender<ReadAnswer>);

#[expect(clippy::boxed_local, reason = "ownership crosses the bridge in a box")]
fn complete_read(
    completion: Box<ReadCompletion>,
    verdict: bridge::ReadVerdict,
    index: u64,
    reason: &[u8],
) {
    let answer = match verdict {
        bridge::ReadVerdict::At => Ok(index),
        bridge::ReadVerdict::Unsupported => Err(ReadIndexError::Unsupported),
        _ => Err(ReadIndexError::Unconfirmed(
            String::from_utf8_lossy(reason).into_owned(),
        )),
    };
    // Whoever asked may have stopped waiting.
    let _ = completion.0.send(answer);
}

struct Fsm(Arc<Machine>, Reader);

impl Fsm {
    fn commit(&self, index: u64, command: &[u8]) -> Vec<u8> {
        self.1.commit(index, command)
    }

    fn pass(&self, index: u64) {
        self.1.pass(index);
    }

    fn newest_snapshot(&self) -> Vec<u8> {
        self.0
            .newest_snapshot()
            .map(|(_, metadata)| metadata)
            .unwrap_or_default()
    }

    fn newest_snapshot_index(&self) -> u64 {
        self.0.newest_snapshot().map_or(0, |(id, _)| id.index)
    }

    fn snapshot_due(&self) -> bool {
        self.0.snapshot_due()
    }

    fn start_snapshot(
        &self,
        index: u64,
        term: u64,
        metadata: &[u8],
        mut done: UniquePtr<bridge::snapshot_done>,
    ) {
        let tell = move |ok| {
            if let Some(done) = done.as_mut() {
                done.finish(ok);
            }
        };
        self.0.start_snapshot(
            SnapshotId { index, term },
            metadata.to_vec(),
            Box::new(tell),
        );
    }

    fn open_snapshot(&self, index: u64, term: u64) -> Result<Box<PieceReader>, StorageError> {
        logged(
            "cannot send a snapshot",
            self.0
                .open_snapshot(SnapshotId { index, term })
                .map(Box::new),
        )
    }

    fn save_piece(
        &self,
        index: u64,
        term: u64,
        piece: u64,
        bytes: &[u8],
        last: bool,
    ) -> Result<u64, StorageError> {
        let id = SnapshotId { index, term };
        logged(
            "cannot receive a snapshot",
            self.0.save_piece(id, piece, bytes, last),
        )
    }

    fn apply_snapshot(&self, index: u64, term: u64) -> bool {
        self.0.apply_snapshot(SnapshotId { index, term })
    }
}

fn read_piece(reader: &PieceReader, piece: u64, last: &mut bool) -> std::io::Result<Vec<u8>> {
    let (bytes, is_last) = logged("cannot read a snapshot", reader.read(piece))?;
    *last = is_last;
    Ok(bytes)
}

struct LogHandle {
    log: Arc<Log>,
    /// What is behind them is to be kept.
    snapshots: Option<Arc<SnapshotStore>>,
}

impl LogHandle {
    fn first_index(&self) -> u64 {
        self.log.first_index()
    }

    fn next_index(&self) -> u64 {
        self.log.next_index()
    }

    fn durable_index(&self) -> u64 {
        self.log.durable_index()
    }

    fn term_at(&self, index: u64) -> u64 {
        self.log.term_at(index)
    }

    fn append(&self, term: u64, kind: u8, timestamp_us: u64, data: &[u8]) -> u64 {
        let data = bytes::Bytes::copy_from_slice(data);
        self.log.append(&Entry::new(term, kind, timestamp_us, data))
    }

    fn truncate(&self, from: u64) {
        self.log.truncate(from);
    }

    fn purge(&self, upto: u64) {
        let dispensable = match &self.snapshots {
            Some(snapshots) => snapshots.dispensable(upto),
            None => upto,
        };
        self.log.purge(dispensable);
    }

    fn request_flush(&self) {
        self.log.request_flush();
    }

    fn flush(&self) -> bool {
        self.log.flush()
    }

    fn read(
        &self,
        from: u64,
        to: u64,
        bytes_max: u64,
        mut sink: std::pin::Pin<&mut bridge::entry_sink>,
    ) -> bool {
        let Some(entries) = self.log.read(from, to, bytes_max) else {
            return false;
        };
        for e in &entries {
            sink.as_mut()
                .push(e.term, e.kind, e.timestamp_us, e.crc, &e.data);
        }
        true
    }
}

struct StateHandle {
    dir: Arc<DataDir>,
    fatal: Arc<Fatal>,
    departure: Arc<Departure>,
    leaders: Arc<Leaders>,
}

impl StateHandle {
    fn load_config(&self) -> Result<Vec<u8>, StorageError> {
        self.dir.load_config()
    }

    fn save_config(&self, config: &[u8]) -> Result<(), StorageError> {
        self.or_fatal(self.dir.save_config(config))
    }

    fn load_state(&self) -> Result<Vec<u8>, StorageError> {
        self.dir.load_state()
    }

    fn save_state(&self, state: &[u8]) -> Result<(), StorageError> {
        self.or_fatal(self.dir.save_state(state))
    }

    fn fatal(&self, reason: &[u8]) {
        self.fatal
            .report(String::from_utf8_lossy(reason).into_owned());
    }

    fn joined(&self) {
        tracing::info!("this node is a member of the cluster now");
        // A failure is fatal and reported as such; nothing more can be done here.
        let _ = self.or_fatal(self.dir.set_stage(Stage::Member));
    }

    fn removed(&self) {
        tracing::warn!("this node was removed from its cluster");
        let _ = self.or_fatal(self.dir.set_stage(Stage::Removed));
        self.departure.announce(Parting::Removed);
    }

    fn leader_seen(&self, term: u64, own: bool) {
        self.leaders.seen(term, own);
    }

    fn or_fatal<T>(&self, outcome: Result<T, StorageError>) -> Result<T, StorageError> {
        outcome.inspect_err(|error| self.fatal.report(error.to_string()))
    }
}

/// Where the core's log lines go, under the span of their node.
struct LogSink {
    span: tracing::Span,
    crowd: Crowd,
}

impl LogSink {
    fn level(&self) -> i32 {
        use tracing::level_filters::LevelFilter;
        match LevelFilter::current() {
            LevelFilter::TRACE => 6,
            LevelFilter::DEBUG => 5,
            LevelFilter::INFO => 4,
            LevelFilter::WARN => 3,
            LevelFilter::ERROR => 2,
            _ => 0,
        }
    }

    fn put(&self, level: i32, file: &[u8], line: usize, text: &[u8]) {
        let file = String::from_utf8_lossy(file);
        let file = file.rsplit('/').next().unwrap_or_default();
        // Who debugs wants all of it.
        let admitted = if level > 4 {
            Some(0)
        } else {
            self.crowd.admit(file, line)
        };
        let Some(more) = admitted else { return };
        let mut text = String::from_utf8_lossy(text);
        if more > 0 {
            text.to_mut()
                .push_str(&format!(" (and {more} more like it)"));
        }
        self.span.in_scope(|| match level {
            6.. => tracing::trace!(target: "raft3d::core", file, line, "{text}"),
            5 => tracing::debug!(target: "raft3d::core", file, line, "{text}"),
            4 => tracing::info!(target: "raft3d::core", file, line, "{text}"),
            3 => tracing::warn!(target: "raft3d::core", file, line, "{text}"),
            _ => tracing::error!(target: "raft3d::core", file, line, "{text}"),
        });
    }
}

/// The core turns errors into its own kinds of failure and forgets the text: log it before.
fn logged<T, E: Display>(what: &str, outcome: Result<T, E>) -> Result<T, E> {
    outcome.inspect_err(|error| tracing::error!(%error, "{what}"))
}
