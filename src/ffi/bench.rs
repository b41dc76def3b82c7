//! What benchmarks alone have cross the bridge.

use std::sync::Arc;

use cxx::UniquePtr;

use super::bridge::{self, Member, NodeOptions};
use super::fsm::Fsm;
use super::log::{LogHandle, notify_core};
use crate::raft::machine::Machine;
use crate::raft::proposals::{Encoded, Proposals};
use crate::raft::{Fatal, Reader};
use crate::storage::Log;

pub use super::bridge::BenchRun;

/// The servers of the benchmark without the bridge: their state machines are in C++ and do nothing.
/// Dropping them shuts them down.
pub struct NativeCluster(UniquePtr<bridge::native_cluster>);

impl NativeCluster {
    /// A cluster of `members`, which are still to be started.
    pub fn new(members: &[Member]) -> NativeCluster {
        NativeCluster(bridge::new_native_cluster(members))
    }

    /// Starts a member, with `log` or, without one, a log in C++ memory. The error is what the core
    /// says.
    pub fn start(&mut self, options: &NodeOptions, log: Option<Arc<Log>>) -> Result<(), String> {
        let use_log = log.is_some();
        let log = log.unwrap_or_else(|| Arc::new(Log::in_memory()));
        let notifier = bridge::new_append_notifier();
        let fatal = Arc::new(Fatal::new());
        log.set_notifier(Some(notify_core(notifier.clone(), &log, &fatal)));
        let log = Box::new(alone(log));
        let started = self.0.pin_mut().start(options, log, use_log, notifier);
        started.map_err(|e| e.what().to_owned())
    }

    /// Waits until one of the servers leads; its place in their order.
    pub fn leader(&self) -> Result<usize, String> {
        self.0.leader().map_err(|e| e.what().to_owned())
    }

    /// Proposes `payload` at server `leader` for a while, with `in_flight` proposals unanswered, all
    /// from this thread.
    pub fn run(
        &self,
        leader: usize,
        payload: &[u8],
        in_flight: u32,
        duration_ms: u32,
    ) -> Result<BenchRun, String> {
        let run = self.0.run(leader, payload, in_flight, duration_ms);
        run.map_err(|e| e.what().to_owned())
    }
}

/// `log`, without any snapshots.
fn alone(log: Arc<Log>) -> LogHandle {
    let snapshots = None;
    LogHandle { log, snapshots }
}

/// What crosses the bridge for each commit, over and over: see `crossing_bench.hxx`. The errors are
/// those of the C++ side, which finds no memory.
pub mod crossings {
    use super::*;

    /// Has C++ append `payload` to `log`, which is empty, and read it back to be applied.
    pub fn log(log: Arc<Log>, payload: &[u8], count: u64) -> Result<(), String> {
        let done = bridge::log_through_bridge(Box::new(alone(log)), payload, count);
        done.map_err(reason)
    }

    /// Has C++ apply `command` to `machine`, which `reader` is the reader of.
    pub fn commit(
        machine: Arc<Machine>,
        reader: Reader,
        command: &[u8],
        count: u64,
    ) -> Result<(), String> {
        let machine = Box::new(Fsm(machine, reader));
        bridge::commit_through_bridge(machine, command, count).map_err(reason)
    }

    /// Has C++ make an outcome of `bytes`, without a state machine.
    pub fn commit_in_cpp(bytes: &[u8], count: u64) -> Result<(), String> {
        bridge::commit_in_cpp(bytes, count).map_err(reason)
    }

    /// Proposes to no server.
    pub struct Proposer(UniquePtr<bridge::proposer>);

    impl Proposer {
        /// One that answers to `proposals`.
        pub fn new(proposals: Proposals) -> Proposer {
            Proposer(bridge::new_idle_proposer(Box::new(proposals)))
        }

        /// Has C++ take the proposal of `commands` and answer it with `outcome`.
        pub fn propose(
            &self,
            commands: &[Encoded],
            ticket: u64,
            outcome: &[u8],
        ) -> Result<(), String> {
            bridge::propose_through_bridge(&self.0, ticket, commands, outcome).map_err(reason)
        }
    }

    /// Has C++ do the same alone.
    pub fn propose_in_cpp(command: &[u8], outcome: &[u8], count: u64) -> Result<(), String> {
        bridge::propose_in_cpp(command, outcome, count).map_err(reason)
    }

    fn reason(error: cxx::Exception) -> String {
        error.what().to_owned()
    }
}

/// CPU time that this process has used so far, on all its threads.
pub fn cpu_time() -> std::time::Duration {
    std::time::Duration::from_nanos(bridge::cpu_time_ns())
}
