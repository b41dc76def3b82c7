//! Nodes of the real core over real storage and sockets, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use raft3d::consensus::{Consensus, ProposeError, Role};
use raft3d::domain::command::{Command, Idempotency, NEWEST_VERSION, NewPrinter, Op};
use raft3d::domain::id::Id;
use raft3d::domain::outcome::{Outcome, Reply};
use raft3d::domain::time::Timestamp;
use raft3d::raft::{Durability, FirstStart, Node, NodeConfig, StartError};
use tokio::task::JoinSet;

/// How long a test waits for a condition before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Addresses that were free a moment ago.
fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let address = |l: &TcpListener| l.local_addr().expect("a bound address").to_string();
    listeners.iter().map(address).collect()
}

/// A printer that is created once, however often it is proposed.
fn printer(model: &str) -> Vec<u8> {
    let key = model.into();
    printer_with(
        model,
        Some(Idempotency {
            key,
            fingerprint: [0; 32],
        }),
    )
}

fn printer_with(model: &str, idempotency: Option<Idempotency>) -> Vec<u8> {
    let op = Op::CreatePrinter(NewPrinter {
        id: None,
        company: "Prusa".into(),
        model: model.into(),
    });
    Command {
        stamped_at: Timestamp::from_millis(1_700_000_000_000),
        actor: None,
        idempotency,
        op,
    }
    .encode()
}

fn models(node: &Node) -> BTreeSet<String> {
    node.state().printers().map(|p| p.model.clone()).collect()
}

async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Proposes until there is an outcome, and returns its index. Repeating is safe even if the
/// outcome of one attempt is unknown: the key is the same each time.
async fn create(node: &Node, model: &str) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match node.propose(printer(model)).await {
            Ok(bytes) => return created(&bytes, model).0,
            Err(ProposeError::NotAccepted(_) | ProposeError::Unknown(_))
                if Instant::now() < deadline =>
            {
                tokio::time::sleep(POLL).await;
            }
            Err(error) => panic!("creating {model}: {error}"),
        }
    }
}

/// The index and the id in the outcome of creating a printer of `model`.
fn created(outcome: &[u8], model: &str) -> (u64, Id) {
    let outcome = Outcome::decode(outcome).expect("an outcome");
    match outcome.result {
        Ok(Reply::Printer(created)) => {
            assert_eq!(created.model, model, "another's outcome");
            (outcome.index, created.id)
        }
        other => panic!("creating {model}: {other:?}"),
    }
}

/// Creates printers until the condition holds; returns the last index. Snapshots are taken while
/// entries come, so waiting alone would not bring one about.
async fn create_until(node: &Node, what: &str, mut condition: impl FnMut() -> bool) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut count = 0;
    loop {
        count += 1;
        let last = create(node, &format!("model {count}")).await;
        if condition() {
            return last;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
    }
}

struct Cluster {
    root: tempfile::TempDir,
    addresses: Vec<String>,
    snapshot_distance: u32,
    nodes: Vec<Option<Node>>,
}

impl Cluster {
    /// `size` running nodes with ids 1, 2, ...
    fn start(size: usize, snapshot_distance: u32) -> Cluster {
        let mut cluster = Cluster {
            root: tempfile::tempdir().expect("a directory"),
            addresses: free_addresses(size),
            snapshot_distance,
            nodes: Vec::new(),
        };
        for id in 1..=size {
            let node = cluster.launch(id).expect("a node starts");
            cluster.nodes.push(Some(node));
        }
        cluster
    }

    fn config(&self, id: usize) -> NodeConfig {
        NodeConfig {
            node_id: id as i32,
            data_dir: self.dir(id),
            raft_addr: self.addresses[id - 1].clone(),
            first_start: FirstStart::Found((1..).zip(self.addresses.iter().cloned()).collect()),
            election_timeout_ms: (300, 600),
            heartbeat_ms: 75,
            snapshot_distance: self.snapshot_distance,
            durability: Durability::Fsync,
            command_version: NEWEST_VERSION,
        }
    }

    fn launch(&self, id: usize) -> Result<Node, StartError> {
        Node::start(self.config(id))
    }

    fn dir(&self, id: usize) -> PathBuf {
        self.root.path().join(format!("node{id}"))
    }

    fn node(&self, id: usize) -> &Node {
        self.nodes[id - 1].as_ref().expect("a running node")
    }

    fn stop(&mut self, id: usize) {
        self.nodes[id - 1] = None;
    }

    fn restart(&mut self, id: usize) {
        self.nodes[id - 1] = Some(self.launch(id).expect("a node starts again"));
    }

    fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    async fn leader(&self) -> usize {
        let leads = |node: &&Node| node.status().role == Role::Leader;
        wait_for("a leader", || self.running().any(|n| leads(&n))).await;
        let leader = self.running().find(leads).expect("a leader").status();
        leader.node_id as usize
    }

    /// Waits until all running nodes have applied `index` and agree to the last byte.
    async fn converge(&self, index: u64) {
        wait_for("all nodes to apply the same", || {
            let states: Vec<_> = self.running().map(|n| n.state()).collect();
            let first = states[0].applied_index();
            first >= index && states.iter().all(|s| s.applied_index() == first)
        })
        .await;
        let hashes: BTreeSet<_> = self.running().map(|n| n.state().hash()).collect();
        assert_eq!(hashes.len(), 1, "the states differ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_commits_and_remembers() {
    let mut cluster = Cluster::start(1, 1000);
    let mut expected = BTreeSet::new();
    let mut last = 0;
    for i in 0..20 {
        let model = format!("model {i}");
        last = create(cluster.node(1), &model).await;
        expected.insert(model);
    }
    let status = cluster.node(1).status();
    assert_eq!((status.leader, status.role), (Some(1), Role::Leader));
    assert_eq!(status.applied_index, last);
    assert_eq!(status.members.len(), 1);

    cluster.stop(1);
    cluster.restart(1);
    let node = cluster.node(1);
    tokio::time::timeout(PATIENCE, node.wait_applied(last))
        .await
        .expect("entries applied again");
    assert_eq!(models(node), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_shorten_the_log_and_replace_it_at_a_restart() {
    let mut cluster = Cluster::start(1, 30);
    let last = create_until(cluster.node(1), "snapshots and a shorter log", || {
        let status = cluster.node(1).status();
        status.snapshot_index > 100 && status.log_start_index > 30
    })
    .await;
    let before = cluster.node(1).state();
    cluster.stop(1);
    cluster.restart(1);
    let node = cluster.node(1);
    assert!(
        node.state().applied_index() > 100,
        "the snapshot is the state from the start"
    );
    tokio::time::timeout(PATIENCE, node.wait_applied(last))
        .await
        .expect("entries applied again");
    assert_eq!(
        models(node),
        before.printers().map(|p| p.model.clone()).collect()
    );
    create(node, "one more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_farm_has_snapshots_further_apart_than_is_set() {
    let cluster = Cluster::start(1, 10);
    let node = cluster.node(1);
    create_until(node, "a snapshot of 400 printers", || {
        node.status().snapshot_index > 400
    })
    .await;
    let before = node.status().snapshot_index;
    // Each printer brought an event, so a period is 128 entries; half of one passes in any case.
    for i in 0..40 {
        create(node, &format!("late model {i}")).await;
    }
    assert_eq!(node.status().snapshot_index, before);
    create_until(node, "the next snapshot", || {
        node.status().snapshot_index > before
    })
    .await;
    wait_for("a log that begins behind the older of them", || {
        node.status().log_start_index == before + 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_can_be_asked_for() {
    let cluster = Cluster::start(1, 1_000_000);
    let index = create(cluster.node(1), "any").await;
    assert_eq!(cluster.node(1).create_snapshot(), index);
    wait_for("the snapshot", || {
        cluster.node(1).status().snapshot_index == index
    })
    .await;
    assert_eq!(cluster.node(1).create_snapshot(), 0, "it is there already");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_agree_and_outlive_their_leader() {
    let mut cluster = Cluster::start(3, 1000);
    let leader = cluster.leader().await;
    for id in 1..=3 {
        for i in 0..10 {
            create(cluster.node(id), &format!("model {i} by {id}")).await;
        }
    }
    cluster.stop(leader);
    let survivor = (1..=3).find(|id| *id != leader).expect("two are left");
    let last = create(cluster.node(survivor), "after the leader").await;
    assert_ne!(cluster.leader().await, leader);

    cluster.restart(leader);
    cluster.converge(last).await;
    assert_eq!(models(cluster.node(leader)).len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_node_is_filled_by_a_snapshot() {
    let mut cluster = Cluster::start(3, 25);
    let leader = cluster.leader().await;
    let follower = (1..=3).find(|id| *id != leader).expect("two follow");
    cluster.stop(follower);
    std::fs::remove_dir_all(cluster.dir(follower)).expect("the directory can go");
    let last = create_until(cluster.node(leader), "compacted logs", || {
        let compacted = |node: &Node| node.status().log_start_index > 1;
        cluster.running().all(compacted)
    })
    .await;
    cluster.restart(follower);
    cluster.converge(last).await;
    let status = cluster.node(follower).status();
    assert!(status.snapshot_index > 0, "{status:?}");
    assert!(status.log_start_index > 1, "{status:?}");

    cluster.stop(follower);
    cluster.restart(follower);
    let last = create(cluster.node(follower), "after another restart").await;
    cluster.converge(last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_proposals_at_once_all_get_their_own_outcome() {
    let cluster = Arc::new(Cluster::start(3, 100));
    cluster.leader().await;
    create(cluster.node(1), "warm").await;
    let mut proposals = JoinSet::new();
    for i in 0..300 {
        let cluster = Arc::clone(&cluster);
        proposals
            .spawn(async move { create(cluster.node(1 + i % 3), &format!("model {i}")).await });
    }
    let indexes: BTreeSet<_> = proposals.join_all().await.into_iter().collect();
    assert_eq!(indexes.len(), 300, "an index was given twice");
    cluster.converge(*indexes.last().expect("an index")).await;
    assert_eq!(models(cluster.node(2)).len(), 301);
}

/// Clients of one node that create printers, each a model of its own and none twice, until they are
/// told to stop or the node is shut down.
struct Writers {
    cluster: Arc<Cluster>,
    acknowledged: AtomicUsize,
    stop: AtomicBool,
}

/// What became of the printer of a model.
type Fates = BTreeMap<String, Result<Id, ProposeError>>;

impl Writers {
    async fn write(self: Arc<Self>, number: usize) -> Fates {
        let node = self.cluster.node(1 + number % 3);
        let mut fates = Fates::new();
        while !self.stop.load(Ordering::Relaxed) {
            let model = format!("writer {number} model {}", fates.len());
            let fate = match node.propose(printer_with(&model, None)).await {
                Ok(outcome) => Ok(created(&outcome, &model).1),
                Err(ProposeError::ShuttingDown) => return fates,
                Err(error) => Err(error),
            };
            match &fate {
                Ok(_) => drop(self.acknowledged.fetch_add(1, Ordering::Relaxed)),
                Err(_) => tokio::time::sleep(POLL).await,
            }
            fates.insert(model, fate);
        }
        fates
    }

    async fn acknowledge(&self, more: usize) {
        let wanted = self.acknowledged.load(Ordering::Relaxed) + more;
        wait_for("more printers", || {
            self.acknowledged.load(Ordering::Relaxed) >= wanted
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_made_together_get_their_own_outcomes_whatever_becomes_of_the_leader() {
    let cluster = Arc::new(Cluster::start(3, 100));
    create(cluster.node(1), "warm").await;
    let leader = cluster.leader().await;
    let writers = Arc::new(Writers {
        cluster: Arc::clone(&cluster),
        acknowledged: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    for number in 0..90 {
        tasks.spawn(Arc::clone(&writers).write(number));
    }
    writers.acknowledge(1_000).await;
    cluster.node(leader).shutdown();
    writers.acknowledge(1_000).await;
    writers.stop.store(true, Ordering::Relaxed);
    let fates: Fates = tasks.join_all().await.into_iter().flatten().collect();

    let survivor = cluster.node(1 + leader % 3);
    let last = create(survivor, "last").await;
    survivor.wait_applied(last).await;
    let mut there: BTreeMap<String, Vec<Id>> = BTreeMap::new();
    for printer in survivor.state().printers() {
        let ids = there.entry(printer.model.clone()).or_default();
        ids.push(printer.id.clone());
    }
    for (model, fate) in fates {
        let ids = there.remove(&model).unwrap_or_default();
        match fate {
            Ok(id) => assert_eq!(ids, [id], "{model} was acknowledged"),
            Err(ProposeError::NotAccepted(_)) => assert_eq!(ids, [], "{model} was in no log"),
            Err(_) => assert!(ids.len() <= 1, "{model} is there as {ids:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_taken_and_reading_goes_on() {
    let mut cluster = Cluster::start(3, 1000);
    let last = create(cluster.node(1), "early").await;
    cluster.converge(last).await;
    cluster.stop(2);
    cluster.stop(3);
    wait_for("the lonely node to know that it is alone", || {
        cluster.node(1).status().leader.is_none()
    })
    .await;
    let refused = cluster.node(1).propose(printer("too late")).await;
    assert!(
        matches!(refused, Err(ProposeError::NotAccepted(_))),
        "{refused:?}"
    );
    assert_eq!(models(cluster.node(1)), BTreeSet::from(["early".into()]));
    cluster.restart(2);
    create(cluster.node(2), "back again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over() {
    let cluster = Cluster::start(3, 1000);
    let before = cluster.leader().await;
    create(cluster.node(before), "any").await;
    cluster.node(before).yield_leadership(None);
    wait_for("another leader", || {
        cluster.running().any(|n| n.status().role == Role::Leader)
            && cluster.node(before).status().role != Role::Leader
    })
    .await;
    create(cluster.node(before), "through the new leader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_shutdown_proposals_are_refused() {
    let cluster = Cluster::start(1, 1000);
    create(cluster.node(1), "any").await;
    cluster.node(1).shutdown();
    cluster.node(1).shutdown();
    let refused = cluster.node(1).propose(printer("too late")).await;
    assert_eq!(refused, Err(ProposeError::ShuttingDown));
    assert_eq!(
        models(cluster.node(1)).len(),
        1,
        "the state can still be read"
    );
}

#[test]
fn what_cannot_start_says_why() {
    let root = tempfile::tempdir().expect("a directory");
    let occupied = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let address = format!(
        "127.0.0.1:{}",
        occupied.local_addr().expect("an address").port()
    );
    let config = |dir: &Path, id, addr: &str| NodeConfig {
        node_id: id,
        data_dir: dir.to_path_buf(),
        raft_addr: addr.to_owned(),
        first_start: FirstStart::Found(vec![(1, addr.to_owned())]),
        election_timeout_ms: (300, 600),
        heartbeat_ms: 75,
        snapshot_distance: 100,
        durability: Durability::Fsync,
        command_version: NEWEST_VERSION,
    };
    let start = |config| match Node::start(config) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    let error = start(config(&root.path().join("a"), 1, &address));
    assert!(
        error.contains(&address) && error.contains("cannot listen"),
        "{error}"
    );
    let error = start(config(&root.path().join("b"), 2, &address));
    assert!(
        error.contains("node 2 is not in the initial cluster"),
        "{error}"
    );
    let error = start(config(&root.path().join("c"), 1, "nonsense"));
    assert!(error.contains("nonsense"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_save_its_vote_gives_up_and_says_why() {
    let mut cluster = Cluster::start(1, 1000);
    create(cluster.node(1), "any").await;
    cluster.stop(1);
    // Where the new state would be written first.
    let obstacle = cluster.dir(1).join("state.tmp");
    std::fs::create_dir(&obstacle).expect("a directory");
    cluster.restart(1);
    let reason = tokio::time::timeout(PATIENCE, cluster.node(1).failure())
        .await
        .expect("the node notices");
    assert!(reason.contains("state.tmp"), "{reason}");
    assert_ne!(cluster.node(1).status().role, Role::Leader);

    cluster.stop(1);
    std::fs::remove_dir(&obstacle).expect("the obstacle goes");
    cluster.restart(1);
    create(cluster.node(1), "another").await;
    assert_eq!(models(cluster.node(1)).len(), 2);
}
