//! Clusters of real processes under attack, and a judge of what their clients see.
//! `docs/testing.md` says what is attacked and what is checked.

// Each test program uses its own part of this.
#![allow(dead_code)]

pub mod attack;
mod clients;
pub mod disk;
mod farm;
pub mod fault;
mod history;
pub mod isolation;
mod linearizability;
pub mod network;
pub mod nodes;
mod power;
mod restart;
pub mod rng;
pub mod run;
mod system;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use network::Network;
use run::{Outcome, Plan};
use tokio::runtime::Runtime;

/// Largest cluster that there is room for.
const NODES_MAX: u8 = 5;

/// Where runs take place, one after the other.
pub struct Arena {
    dir: PathBuf,
    network: Network,
    shim: PathBuf,
    runtime: Runtime,
}

impl Arena {
    /// An arena with its files under `dir`, in the namespaces of [`isolation::isolated`].
    pub fn new(dir: &Path) -> Arena {
        Arena {
            dir: dir.to_owned(),
            network: Network::new(NODES_MAX),
            shim: disk::compile_shim(dir),
            runtime: Runtime::new().expect("a runtime"),
        }
    }

    /// Whether a node still has after a power failure what it read at its start.
    pub fn keeps_what_it_read(&self) -> bool {
        let restart = restart::keeps_what_it_read(&self.network, &self.shim, &self.dir);
        self.runtime.block_on(restart)
    }

    /// Runs `plan` and says how it went.
    pub fn run(&self, plan: Plan<'_>) -> Outcome {
        let run = run::run(plan, &self.network, &self.shim, &self.dir);
        self.runtime.block_on(run)
    }
}

/// One line about a run.
pub fn summary(plan: &Plan<'_>, outcome: &Outcome) -> String {
    format!(
        "seed {} on {} nodes: {} calls, {} of them unknown; {}; {} violations{}",
        plan.seed,
        plan.nodes,
        outcome.size.calls,
        outcome.size.unknown,
        outcome.tally,
        outcome.violations.len(),
        if outcome.broken.is_some() {
            ", and a node that does not come back"
        } else {
            ""
        }
    )
}

/// Everything about a run with violations.
pub fn complaint(plan: &Plan<'_>, outcome: &Outcome) -> String {
    let mut text = summary(plan, outcome);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\nWhat was done:\n{}", outcome.log.join("\n"));
    for violation in outcome.broken.iter().chain(&outcome.violations) {
        let _ = writeln!(text, "Violation: {violation}");
    }
    text
}
