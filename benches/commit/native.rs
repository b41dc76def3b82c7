//! The driver "c++": the same core, with a state machine in C++ that does nothing and, in memory, a
//! log in C++ too; with fsync it has the log of the other drivers.

use std::path::Path;
use std::sync::Arc;

use raft3d::ffi::bench::NativeCluster;
use raft3d::ffi::{Member, NodeOptions};
use raft3d::storage::Log;

use crate::run::{Meter, Run};
use crate::setup::{LogKind, Setup, payload};
use crate::support::nodes::{ELECTION_TIMEOUT_MS, HEARTBEAT_MS, free_ports};

/// One run in `dir`, which is empty.
pub fn run(setup: &Setup, dir: &Path) -> Run {
    let logs: Vec<_> = setup.ids().map(|id| log(setup, dir, id)).collect();
    let options = setup.ids().zip(free_ports(setup.nodes as usize));
    let options: Vec<_> = options
        .map(|(id, port)| options_of(setup, id, port))
        .collect();
    let members: Vec<_> = options.iter().map(member).collect();
    let mut cluster = NativeCluster::new(&members);
    for (options, log) in options.iter().zip(&logs) {
        let started = cluster.start(options, log.clone());
        started.expect("the server starts");
    }
    let leader = cluster.leader().expect("one leads");
    let syncs = || logs[leader].as_ref().map_or(0, |log| log.stats().syncs);
    let run = |setup: &Setup| {
        let run = cluster.run(leader, &payload(), setup.in_flight, setup.run_ms);
        run.expect("the leader commits")
    };
    run(&setup.warm_up());
    let (meter, before) = (Meter::start(), syncs());
    let latencies_ns = run(setup).latencies_ns;
    meter.finish(latencies_ns, syncs() - before)
}

fn log(setup: &Setup, dir: &Path, id: u32) -> Option<Arc<Log>> {
    if setup.log == LogKind::Memory {
        return None;
    }
    let dir = dir.join(id.to_string());
    std::fs::create_dir(&dir).expect("a directory");
    Some(Arc::new(Log::open(&dir).expect("the log opens")))
}

fn member(options: &NodeOptions) -> Member {
    Member {
        id: options.id,
        endpoint: format!("127.0.0.1:{}", options.port),
        learner: false,
        last_log_index: -1,
        last_contact_ms: -1,
    }
}

fn options_of(setup: &Setup, id: u32, port: u16) -> NodeOptions {
    NodeOptions {
        id: id as i32,
        port,
        election_timeout_ms_min: ELECTION_TIMEOUT_MS.0 as i32,
        election_timeout_ms_max: ELECTION_TIMEOUT_MS.1 as i32,
        heartbeat_ms: HEARTBEAT_MS as i32,
        snapshot_distance: 0,
        reserved_entries: 0,
        parallel_log: setup.log == LogKind::Fsync,
        joining: false,
    }
}
