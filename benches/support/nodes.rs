//! Nodes to measure, in this process: the real core over real storage and loopback sockets.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft3d::consensus::{Consensus, Role};
use raft3d::domain::command::{Command, NEWEST_VERSION, NewFilament, NewJob, NewPrinter, Op};
use raft3d::domain::id::Id;
use raft3d::domain::model::FilamentType;
use raft3d::domain::time::Timestamp;
use raft3d::domain::weight::Grams;
use raft3d::raft::{Durability, FirstStart, Node, NodeConfig};
use tokio::task::JoinSet;

/// Range of the election timeout of every server measured, in milliseconds.
pub const ELECTION_TIMEOUT_MS: (u32, u32) = (300, 600);
/// Time between two of its heartbeats, in milliseconds.
pub const HEARTBEAT_MS: u32 = 75;

/// Longest wait for anything that nodes do by themselves.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster; it ends with this value.
pub struct Nodes {
    /// Those that were started, in that order.
    pub nodes: Vec<Arc<Node>>,
    setup: Setup,
    dir: PathBuf,
    members: Vec<(i32, String)>,
}

/// How the nodes of a cluster are started.
#[derive(Clone, Copy)]
pub struct Setup {
    /// How many there are.
    pub size: usize,
    /// Where their logs are.
    pub durability: Durability,
    /// Entries between two snapshots; 0 for none.
    pub snapshot_distance: u32,
}

impl Setup {
    /// A cluster without snapshots.
    pub fn new(size: usize, durability: Durability) -> Setup {
        Setup {
            size,
            durability,
            snapshot_distance: 0,
        }
    }

    /// The cluster under `dir`, with no node started yet.
    pub fn prepare(self, dir: &Path) -> Nodes {
        Nodes {
            nodes: Vec::new(),
            setup: self,
            dir: dir.to_owned(),
            members: (1..).zip(free_addresses(self.size)).collect(),
        }
    }

    /// Starts the cluster under `dir` and waits for its leader.
    pub fn start(self, dir: &Path) -> Nodes {
        let mut nodes = self.prepare(dir);
        (1..=self.size).for_each(|id| nodes.start(id));
        nodes.leader();
        nodes
    }
}

impl Nodes {
    /// Starts the node with this id, which begin with 1.
    pub fn start(&mut self, id: usize) {
        let (node_id, raft_addr) = self.members[id - 1].clone();
        let config = NodeConfig {
            node_id,
            data_dir: self.dir.join(format!("node{id}")),
            raft_addr,
            first_start: FirstStart::Found(self.members.clone()),
            election_timeout_ms: ELECTION_TIMEOUT_MS,
            heartbeat_ms: HEARTBEAT_MS,
            snapshot_distance: self.setup.snapshot_distance,
            durability: self.setup.durability,
            command_version: NEWEST_VERSION,
        };
        let node = Node::start(config).expect("a node starts");
        self.nodes.push(Arc::new(node));
    }

    /// Waits for the leader.
    pub fn leader(&self) -> &Arc<Node> {
        let leads = |node: &&Arc<Node>| node.status().role == Role::Leader;
        wait_for("a leader", || self.nodes.iter().any(|node| leads(&node)));
        self.nodes.iter().find(leads).expect("a leader")
    }
}

/// Waits until `condition` holds, looking often.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ports of the loopback interface that were free a moment ago, all different.
pub fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listeners: Vec<_> = (0..count).map(bind).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("a bound address").port();
    listeners.iter().map(port).collect()
}

/// The same as addresses.
pub fn free_addresses(count: usize) -> Vec<String> {
    let ports = free_ports(count).into_iter();
    ports.map(|port| format!("127.0.0.1:{port}")).collect()
}

/// A runtime for whoever proposes: one thread, so that as much as possible is left to the nodes.
pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// A command as the service would write it, at a fixed time.
pub fn command(op: Op) -> Vec<u8> {
    Command {
        stamped_at: Timestamp::from_millis(1_700_000_000_000),
        actor: None,
        idempotency: None,
        op,
    }
    .encode()
}

/// The commands that create `count` printers and as many filaments; jobs use them in turns.
pub fn equipment(count: i64) -> Vec<Vec<u8>> {
    let printer = NewPrinter {
        id: None,
        company: "Creality".into(),
        model: "Ender 3".into(),
    };
    let filament = NewFilament {
        id: None,
        filament_type: FilamentType::Pla,
        color: "red".into(),
        total_weight_in_grams: Grams::MAX,
        remaining_weight_in_grams: None,
    };
    let both = [Op::CreatePrinter(printer), Op::CreateFilament(filament)].map(command);
    (0..count).flat_map(|_| both.clone()).collect()
}

/// The command that creates the job with this number, of one gram, on [`equipment`] of `count`.
pub fn job(number: i64, count: i64) -> Vec<u8> {
    let id = Id::from_integer(number % count + 1).expect("a small integer");
    command(Op::CreateJob(NewJob {
        id: None,
        printer_id: id.clone(),
        filament_id: id,
        filepath: "prints/benchy.gcode".into(),
        print_weight_in_grams: Grams::new(1).expect("a weight"),
    }))
}

/// Proposes all of `commands` to `node`, with `in_flight` unanswered at any time.
pub async fn propose_all(
    node: &Arc<Node>,
    in_flight: usize,
    commands: impl Iterator<Item = Vec<u8>>,
) {
    let mut unanswered = JoinSet::new();
    for command in commands {
        if unanswered.len() == in_flight {
            unanswered.join_next().await;
        }
        let node = Arc::clone(node);
        unanswered.spawn(async move { node.propose(command).await.expect("it commits") });
    }
    unanswered.join_all().await;
}
