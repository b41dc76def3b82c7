//! The one bridge to the consensus core in C++, and the only module with `unsafe` code.
//!
//! `include/raft3d/node.hxx` opens with the conventions that hold on both sides. Above the bridge,
//! [`Core`] is what the rest of the program uses. This file declares what crosses, and says which
//! of the C++ side's types threads may share; what the C++ side calls is in the modules beside it.

use crate::raft::passport::Passports;
use crate::raft::proposals::{Encoded, Proposals};
use crate::storage::snapshot::PieceReader;
use crate::tls::audit::TlsAudit;

pub mod bench;
mod core;
mod encoding;
mod fsm;
mod log;
mod proposals;
mod read_index;
mod sink;
mod state;
mod tls;

pub use self::core::{Core, Parts};
pub use encoding::{decode_config, encode_config, encode_snapshot, encode_term};
use fsm::{Fsm, read_piece};
use log::LogHandle;
pub use read_index::ReadAnswer;
use read_index::{ReadCompletion, complete_read};
use sink::LogSink;
use state::StateHandle;
pub use tls::RaftTls;

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
