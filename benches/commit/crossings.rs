//! The bridge by itself: what it costs to cross it, and what the same costs without.
//!
//! "Without" is what would have to be done if both sides were in one language: the call itself in
//! Rust for the log and the state machine, the handler of a result in C++ for a proposal. What the
//! core's interface wants in any case, as the buffer of an outcome, is in both figures.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use raft3d::consensus::Held;
use raft3d::domain::command::NEWEST_VERSION;
use raft3d::domain::state::State;
use raft3d::ffi::bench::crossings;
use raft3d::raft::machine::Machine;
use raft3d::raft::outcomes::Outcomes;
use raft3d::raft::proposals::{Proposals, Waiter};
use raft3d::raft::{Fatal, Reader, Steps};
use raft3d::storage::{Entry, Log, SnapshotStore};

use crate::allocations;
use crate::setup::payload;
use crate::support::report::Figures;

/// How often each is done.
const COUNT: u64 = 200_000;
/// Outcomes as long as a short real one, in bytes.
const OUTCOME: [u8; 16] = [7; 16];

/// One crossing of a commit.
#[derive(Debug, Clone, Copy)]
pub struct Crossing {
    /// What crosses.
    pub name: &'static str,
    /// Through the bridge.
    pub through: Cost,
    /// The same without it.
    pub without: Cost,
}

/// What one of many costs.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Time in nanoseconds.
    pub ns: f64,
    /// Calls of the allocator that gave memory.
    pub allocations: f64,
}

impl Crossing {
    /// What the bridge itself costs.
    pub fn bridge(&self) -> Cost {
        Cost {
            ns: self.through.ns - self.without.ns,
            allocations: self.through.allocations - self.without.allocations,
        }
    }
}

/// All crossings of a commit at a single server, in their order.
pub fn measure() -> Vec<Crossing> {
    let command = payload();
    vec![proposal(&command), log(&command), commit(&command)]
}

/// Their costs, and what they come to for a commit.
pub fn table(crossings: &[Crossing]) -> Figures {
    let mut table = Figures::new(
        "The bridge by itself, and what the same costs without it",
        &[
            "crossing",
            "ns",
            "ns without",
            "ns of the bridge",
            "allocations",
            "allocations without",
            "allocations of the bridge",
        ],
    );
    let sum = |of: fn(&Crossing) -> Cost| Cost {
        ns: crossings.iter().map(|c| of(c).ns).sum(),
        allocations: crossings.iter().map(|c| of(c).allocations).sum(),
    };
    let commit = Crossing {
        name: "a commit",
        through: sum(|c| c.through),
        without: sum(|c| c.without),
    };
    for crossing in crossings.iter().chain([&commit]) {
        let bridge = crossing.bridge();
        table.row([
            crossing.name.to_owned(),
            format!("{:.0}", crossing.through.ns),
            format!("{:.0}", crossing.without.ns),
            format!("{:.0}", bridge.ns),
            format!("{:.1}", crossing.through.allocations),
            format!("{:.1}", crossing.without.allocations),
            format!("{:.1}", bridge.allocations),
        ]);
    }
    table
}

/// A proposal and its answer. Rust makes the command and a channel for it in any case, here and
/// there.
fn proposal(command: &[u8]) -> Crossing {
    let proposals = Proposals::new(Outcomes::new(0));
    let proposer = crossings::Proposer::new(proposals.clone());
    let held: Held = Arc::new(());
    let through = cost(|| {
        for _ in 0..COUNT {
            let (sender, mut answer) = oneshot::channel();
            proposals.submit(command.to_vec(), Waiter::new(sender, held.clone()));
            proposals.propose_gathered(|commands, ticket| {
                let proposed = proposer.propose(commands, ticket, &OUTCOME);
                proposed.expect("memory");
            });
            drop(answer.try_recv().expect("an answer"));
        }
    });
    let command_and_channel = cost(|| {
        for _ in 0..COUNT {
            let (sender, mut answer) = oneshot::channel();
            sender.send(command.to_vec()).expect("a receiver");
            drop(answer.try_recv().expect("an answer"));
        }
    });
    let handler = cost(|| crossings::propose_in_cpp(command, &OUTCOME, COUNT).expect("memory"));
    Crossing {
        name: "proposal and answer",
        through,
        without: both(command_and_channel, handler),
    }
}

/// The core reads each entry back to have it applied.
fn log(command: &[u8]) -> Crossing {
    let log = Arc::new(Log::in_memory());
    let through = cost(|| crossings::log(log, command, COUNT).expect("memory"));
    let (log, data) = (Log::in_memory(), Bytes::copy_from_slice(command));
    let without = cost(|| {
        for _ in 0..COUNT {
            let index = log.append(&Entry::new(1, 1, 1, data.clone()));
            drop(log.read(index, index + 1, u64::MAX).expect("an entry"));
        }
    });
    Crossing {
        name: "log: append, read back",
        through,
        without,
    }
}

fn commit(command: &[u8]) -> Crossing {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let machine = || {
        let snapshots = SnapshotStore::open(dir.path()).expect("a directory for snapshots");
        let machine = Arc::new(Machine::new(1, State::new(), snapshots));
        let fatal = Arc::new(Fatal::new());
        let steps = Steps::new(1, Arc::new(Log::in_memory()), Arc::default());
        let reader = Reader::new(Arc::clone(&machine), fatal, NEWEST_VERSION, steps);
        (machine, reader)
    };
    let (applied, reader) = machine();
    let through = cost(|| crossings::commit(applied, reader, command, COUNT).expect("memory"));
    let (_applied, reader) = machine();
    let apply = cost(|| {
        for index in 1..=COUNT {
            drop(reader.commit(index, command));
        }
    });
    let outcome = cost(|| crossings::commit_in_cpp(&OUTCOME, COUNT).expect("memory"));
    Crossing {
        name: "apply",
        through,
        without: both(apply, outcome),
    }
}

/// The cost of one of the `COUNT` times that `work` does something.
fn cost(work: impl FnOnce()) -> Cost {
    let (began, allocations) = (Instant::now(), allocations::count());
    work();
    let (elapsed, allocations) = (began.elapsed(), allocations::count() - allocations);
    Cost {
        ns: elapsed.as_nanos() as f64 / COUNT as f64,
        allocations: allocations as f64 / COUNT as f64,
    }
}

fn both(one: Cost, other: Cost) -> Cost {
    Cost {
        ns: one.ns + other.ns,
        allocations: one.allocations + other.allocations,
    }
}
