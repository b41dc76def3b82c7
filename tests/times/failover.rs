//! How long nothing is acknowledged when a leader is lost, or stops as planned.

use std::time::Duration;

use comfy_table::Table;
use raft3d::consensus::Status;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::report::{Distribution, ms, save};
use super::{job_body, settled, view};
use crate::cluster_support::load::Load;
use crate::cluster_support::wait_until;
use crate::faults::network::Network;
use crate::faults::nodes::Nodes;

/// Time between two writes.
const PACE: Duration = Duration::from_millis(5);
/// Writes that are acknowledged before and after each fault, at least.
const WRITES_EACH_SIDE: usize = 40;
/// How long a leader that was halted or cut off is watched when it is back.
const WATCH: Duration = Duration::from_millis(1_500);

/// How a leader goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Halt,
    CutOff,
    PlannedStop,
}

impl Fault {
    const ALL: [Fault; 4] = [Fault::Kill, Fault::Halt, Fault::CutOff, Fault::PlannedStop];

    fn name(self) -> &'static str {
        match self {
            Fault::Kill => "SIGKILL",
            Fault::Halt => "SIGSTOP",
            Fault::CutOff => "partition",
            Fault::PlannedStop => "planned stop",
        }
    }
}

/// What all trials of one kind gave.
pub struct Kind {
    fault: Fault,
    trials: Vec<Trial>,
}

struct Trial {
    /// From the fault to the first acknowledgement; of a planned stop, the longest time without.
    gap: Duration,
    /// The longest that any write took.
    slowest_write: Duration,
    /// Writes that were not acknowledged, and why.
    failed: Vec<String>,
    /// Terms that it took to elect a leader.
    terms: u64,
    /// Whether the old leader deposed the new one when it was back.
    disturbed: bool,
}

/// Makes `trials` of each kind, one kind after the other.
pub fn measure(trials: u64) -> Vec<Kind> {
    let network = Network::new(3);
    let runtime = Runtime::new().expect("a runtime");
    let kinds = Fault::ALL.into_iter();
    kinds
        .map(|fault| runtime.block_on(measure_kind(fault, trials, &network)))
        .collect()
}

/// Prints and saves the result.
pub fn report(kinds: &[Kind]) {
    let data: Vec<_> = kinds.iter().map(Kind::json).collect();
    save("failover", &table(kinds), &json!(data));
    for kind in kinds {
        if let Some(failed) = kind.trials.iter().find_map(|trial| trial.failed.first()) {
            println!("{}, for example: {failed}", kind.fault.name());
        }
    }
}

/// Panics unless the goals at default settings are met.
pub fn assert_goals(kinds: &[Kind]) {
    for kind in kinds {
        let gaps = kind.gaps();
        let name = kind.fault.name();
        match kind.fault {
            Fault::PlannedStop => {
                assert!(
                    gaps.at(100) < Duration::from_millis(100),
                    "{name}: {gaps:?}"
                );
                assert_eq!(kind.failed(), 0, "{name}: failed writes");
            }
            _ => {
                assert!(gaps.at(50) < Duration::from_millis(600), "{name}: {gaps:?}");
                assert!(
                    gaps.at(99) < Duration::from_millis(1_200),
                    "{name}: {gaps:?}"
                );
            }
        }
        assert_eq!(kind.disturbed(), 0, "{name}: the old leader disturbed");
    }
}

async fn measure_kind(fault: Fault, trials: u64, network: &Network) -> Kind {
    // On a real disk, whose syncs take their time.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut nodes = Nodes::new(3, dir.path(), None, &[], &[]);
    for id in nodes.ids() {
        nodes.start(id).await;
    }
    settled(&nodes).await;
    let job = job_body(&nodes).await;
    let mut kind = Kind {
        fault,
        trials: Vec::new(),
    };
    for number in 0..trials {
        let leader = settled(&nodes).await;
        let mut urls: Vec<_> = nodes.endpoints();
        // Of a leader that is gone clients know nothing good; one that stops must say so itself.
        urls.retain(|node| fault == Fault::PlannedStop || i32::from(node.id) != leader.node_id);
        let urls = urls.into_iter().map(|node| node.url).collect();
        let keys = (fault != Fault::PlannedStop).then(|| format!("trial{number}"));
        let load = Load::start(urls, job.clone(), PACE, keys);
        load.more(WRITES_EACH_SIDE).await;
        let trial = match fault {
            Fault::PlannedStop => planned_stop(&mut nodes, &leader, load).await,
            _ => loss(fault, &mut nodes, network, &leader, load).await,
        };
        eprintln!("{} {number}: {:.0} ms", fault.name(), ms(trial.gap));
        kind.trials.push(trial);
    }
    for id in nodes.ids() {
        nodes.kill(id).await;
    }
    kind
}

async fn loss(
    fault: Fault,
    nodes: &mut Nodes,
    network: &Network,
    old: &Status,
    load: Load,
) -> Trial {
    let id = u8::try_from(old.node_id).expect("ids are small");
    let begun = Instant::now();
    match fault {
        Fault::Kill => nodes.kill(id).await,
        Fault::Halt => nodes.pause(id),
        _ => network.cut_where(|a, b| a == id || b == id),
    }
    // What began before may still have been acknowledged by the leader that is gone.
    let done = Instant::now();
    let first = wait_until("a write is acknowledged", async || {
        load.first_acknowledged(done)
    })
    .await;
    load.more(WRITES_EACH_SIDE).await;
    let survivor = nodes.ids().into_iter().find(|other| *other != id);
    let survivor = survivor.expect("three nodes");
    let new = wait_until("the survivors have a leader", async || {
        view(nodes, survivor).await
    })
    .await;
    match fault {
        Fault::Kill => nodes.start(id).await,
        Fault::Halt => nodes.resume(id),
        _ => network.heal(),
    }
    if fault != Fault::Kill {
        tokio::time::sleep(WATCH).await;
    }
    let after = settled(nodes).await;
    let writes = load.stop().await;
    let affected = writes.iter().filter(|write| write.ended >= begun);
    Trial {
        gap: first - begun,
        slowest_write: affected
            .map(|write| write.ended - write.begun)
            .max()
            .unwrap_or_default(),
        failed: failures(&writes),
        terms: new.term - old.term,
        disturbed: after.term != new.term,
    }
}

async fn planned_stop(nodes: &mut Nodes, old: &Status, load: Load) -> Trial {
    let id = u8::try_from(old.node_id).expect("ids are small");
    let begun = Instant::now();
    nodes.terminate(id);
    wait_until("the node has stopped", async || {
        (!nodes.is_running(id)).then_some(())
    })
    .await;
    load.more(WRITES_EACH_SIDE).await;
    let gap = load.longest_gap(begun);
    let writes = load.stop().await;
    nodes.start(id).await;
    let new = settled(nodes).await;
    let affected = writes.iter().filter(|write| write.ended >= begun);
    Trial {
        gap,
        slowest_write: affected
            .map(|write| write.ended - write.begun)
            .max()
            .unwrap_or_default(),
        failed: failures(&writes),
        terms: new.term - old.term,
        disturbed: false,
    }
}

fn failures(writes: &[crate::cluster_support::load::Write]) -> Vec<String> {
    let failures = writes
        .iter()
        .filter_map(|write| write.outcome.clone().err());
    failures.collect()
}

impl Kind {
    fn gaps(&self) -> Distribution {
        Distribution::new(self.trials.iter().map(|trial| trial.gap).collect())
    }

    fn slowest_writes(&self) -> Distribution {
        Distribution::new(
            self.trials
                .iter()
                .map(|trial| trial.slowest_write)
                .collect(),
        )
    }

    fn failed(&self) -> usize {
        self.trials.iter().map(|trial| trial.failed.len()).sum()
    }

    fn disturbed(&self) -> usize {
        self.trials.iter().filter(|trial| trial.disturbed).count()
    }

    /// Trials in which the first election chose nobody.
    fn repeated_elections(&self) -> usize {
        self.trials.iter().filter(|trial| trial.terms > 1).count()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "fault": self.fault.name(),
            "gap_ms": self.gaps().json(),
            "slowest_write_ms": self.slowest_writes().json(),
            "failed_writes": self.failed(),
            "repeated_elections": self.repeated_elections(),
            "disturbed": self.disturbed(),
        })
    }
}

fn table(kinds: &[Kind]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "leader lost by",
        "trials",
        "",
        "min ms",
        "p50",
        "p90",
        "p99",
        "max",
        "failed writes",
        "elections repeated",
        "disturbed",
    ]);
    for kind in kinds {
        let mut row = vec![
            kind.fault.name().to_owned(),
            kind.trials.len().to_string(),
            "no acknowledgement".to_owned(),
        ];
        row.extend(kind.gaps().cells());
        row.extend(
            [kind.failed(), kind.repeated_elections(), kind.disturbed()].map(|n| n.to_string()),
        );
        table.add_row(row);
        let mut row = vec![String::new(), String::new(), "slowest write".to_owned()];
        row.extend(kind.slowest_writes().cells());
        table.add_row(row);
    }
    table
}
