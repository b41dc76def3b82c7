//! One run: a new cluster, clients, faults from a seed, and the verdict.

use std::collections::BTreeSet;
use std::fs;
use std::mem::take;
use std::path::Path;

use raft3d::raft::recover;
use raft3d::storage::{DataDir, Log, StorageError};
use serde_json::Value;

use super::attack::Attack;
use super::clients::{Client, Shared};
use super::disk::Control;
use super::fault::{Draw, Tally};
use super::history::{History, Size};
use super::network::Network;
use super::nodes::{Endpoint, Nodes};
use super::rng::Rng;
use crate::cluster_support::{FILAMENTS, JOBS, PRINTERS, Reply, http_client, send, wait_until};

/// Clients at a time: enough to race for the same grams, and modest.
const CLIENTS: usize = 5;
/// Settings that bring snapshots and unknown outcomes about quickly.
const ARGS: [&str; 4] = ["--snapshot-distance", "60", "--request-timeout-ms", "1500"];

/// Of how many syncs one is carried out where writes are acknowledged before they are on disk.
const SYNCS_SKIPPED: i32 = 20;

/// Kind of the log entries that hold commands.
const COMMAND: u8 = 1;

/// What a run is to be.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub seed: u64,
    /// How many nodes.
    pub nodes: u8,
    /// How many faults.
    pub faults: usize,
    /// The faults to draw from, with weights.
    pub kinds: &'a [(u64, Draw)],
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// Defects that the checker has to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Writes are acknowledged before they are on disk: most syncs of the log do nothing.
    AcknowledgeBeforeSync,
    /// Reads may be stale: the clients take eventual reads for linearizable ones.
    StaleReads,
    /// Whether a job fits is looked up before it is proposed, and not where the log is applied.
    ReservationOutsideTheLog,
}

/// How a run went.
pub struct Outcome {
    /// Why a node did not come back, if one did not; the run ended with that.
    pub broken: Option<String>,
    /// What clients saw that cannot be.
    pub violations: Vec<String>,
    pub size: Size,
    pub tally: Tally,
    /// The faults, in words.
    pub log: Vec<String>,
}

/// Runs `plan` in `network`, with files under `dir`, which are removed again.
pub async fn run(plan: Plan<'_>, network: &Network, shim: &Path, dir: &Path) -> Outcome {
    let dir = dir.join(format!("run-{}", plan.seed));
    fs::create_dir_all(&dir).expect("room for a run");
    network.reset(plan.seed);
    let env: &[(&str, &str)] = match plan.sabotage {
        Some(Sabotage::ReservationOutsideTheLog) => {
            &[("RAFT3D_SABOTAGE", "reservation-outside-the-log")]
        }
        _ => &[],
    };
    let mut nodes = Nodes::new(plan.nodes, &dir, Some(shim), &ARGS, env);
    if plan.sabotage == Some(Sabotage::AcknowledgeBeforeSync) {
        for id in nodes.ids() {
            nodes.disk(id).set(Control::SyncSkipped, SYNCS_SKIPPED);
            nodes.forget_all(id);
        }
    }
    for id in nodes.ids() {
        nodes.start(id).await;
    }
    let stale_reads = plan.sabotage == Some(Sabotage::StaleReads);
    let shared = Shared::new(nodes.endpoints(), stale_reads);
    let clients = (0..CLIENTS).map(|number| {
        let rng = Rng::part(plan.seed, 1 + number as u64);
        tokio::spawn(Client::new(&shared, number, rng).run())
    });
    let clients: Vec<_> = clients.collect();

    let mut attack = Attack {
        network,
        nodes: &mut nodes,
        rng: Rng::part(plan.seed, 0),
        faults: plan.kinds,
        leaving: BTreeSet::new(),
        log: Vec::new(),
        tally: Tally::default(),
    };
    let survived = attack.run(plan.faults, shared.done()).await;
    let (log, tally) = (take(&mut attack.log), take(&mut attack.tally));
    drop(attack);
    shared.stop();
    for client in clients {
        client.await.expect("a client does not panic");
    }
    let mut violations = Vec::new();
    let mut end = None;
    if survived.is_ok() {
        let rng = Rng::part(plan.seed, 1 + CLIENTS as u64);
        let mut last = Client::new(&shared, CLIENTS, rng);
        last.read_everything().await;
        let (index, differences) = compare_objects(&nodes.endpoints()).await;
        violations.extend(differences);
        end = Some(index);
    }
    for id in nodes.ids() {
        nodes.kill(id).await;
    }
    violations.extend(
        end.map(|index| compare_disks(&nodes, index))
            .into_iter()
            .flatten(),
    );
    fs::remove_dir_all(&dir).expect("our own directory");
    let history: History = shared.take_history();
    violations.extend(history.violations());
    Outcome {
        broken: survived.err(),
        violations,
        size: history.size(),
        tally,
        log,
    }
}

impl Outcome {
    /// Whether all promises were kept.
    pub fn is_good(&self) -> bool {
        self.broken.is_none() && self.violations.is_empty()
    }
}

/// Waits until all nodes have applied the same log to its end, and compares what they show. Gives
/// the index of that end, too.
async fn compare_objects(endpoints: &[Endpoint]) -> (u64, Vec<String>) {
    let all = wait_until("all nodes are at the same log index", async || {
        let mut all = Vec::new();
        for endpoint in endpoints {
            all.push(everything(endpoint).await?);
        }
        let index = all[0].0;
        all.iter().all(|(other, _)| *other == index).then_some(all)
    })
    .await;
    let (index, first) = &all[0];
    let differing = endpoints
        .iter()
        .zip(&all)
        .filter(|(_, (_, objects))| objects != first);
    let differing = differing.map(|(endpoint, (_, objects))| {
        let id = endpoint.id;
        format!("at index {index} node 1 has {first:?}\nand node {id} {objects:?}")
    });
    (*index, differing.collect())
}

/// Compares what the nodes, none of which runs, have on disk: the whole state as of `index`, with
/// what no client sees.
fn compare_disks(nodes: &Nodes, index: u64) -> Vec<String> {
    let states: Vec<_> = nodes
        .ids()
        .into_iter()
        .map(|id| state_on_disk(nodes.dir(id), i32::from(id), index))
        .collect();
    match states
        .iter()
        .all(|state| state.is_ok() && *state == states[0])
    {
        true => Vec::new(),
        false => vec![format!(
            "the states on disk at index {index} differ: {states:?}"
        )],
    }
}

/// Hash of the state as of `index` in a data directory.
fn state_on_disk(dir: &Path, id: i32, index: u64) -> Result<[u8; 32], String> {
    let text = |error: StorageError| error.to_string();
    let data = DataDir::open(dir, id, &[]).map_err(text)?;
    let log = Log::open(&data.log_path()).map_err(text)?;
    let machine = recover(id, &data, &log).map_err(|error| error.to_string())?;
    let mut state = machine.state();
    let from = state.applied_index() + 1;
    let entries = log.read(from, index + 1, u64::MAX);
    let entries = entries.ok_or_else(|| format!("no log from {from} to {index}"))?;
    for (index, entry) in (from..).zip(entries) {
        match entry.kind {
            COMMAND => drop(state.apply_bytes(index, &entry.data)),
            _ => state.advance(index),
        }
    }
    Ok(state.hash())
}

/// All objects of one node and the one index that they are as of, or nothing.
async fn everything(endpoint: &Endpoint) -> Option<(u64, Vec<Value>)> {
    let http = http_client();
    let mut objects = Vec::new();
    let mut indexes = Vec::new();
    for path in [PRINTERS, FILAMENTS, JOBS] {
        let url = format!("{}{path}?consistency=eventual", endpoint.url);
        let reply: Reply = send(http.get(url)).await.ok()?;
        indexes.push(reply.header("x-raft3d-index").parse().ok()?);
        objects.push(reply.body);
    }
    let index = indexes[0];
    indexes
        .iter()
        .all(|other| *other == index)
        .then_some((index, objects))
}
