//! What one measurement is about, and what all drivers have in common.

use std::net::TcpListener;
use std::path::Path;

use raft3d::domain::command::{Command, Op};
use raft3d::domain::time::Timestamp;
use raft3d::raft::Durability;

/// Range of the election timeout in milliseconds.
pub const ELECTION_TIMEOUT_MS: (u32, u32) = (300, 600);
/// Time between two heartbeats in milliseconds.
pub const HEARTBEAT_MS: u32 = 75;
/// How long a new cluster is used before it is measured, in milliseconds.
pub const WARM_UP_MS: u32 = 50;

/// Where the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// On disk, and acknowledged when the disk has confirmed it.
    Fsync,
    /// In memory.
    Memory,
}

impl LogKind {
    /// As tables show it.
    pub fn name(self) -> &'static str {
        match self {
            LogKind::Fsync => "fsync",
            LogKind::Memory => "memory",
        }
    }

    /// As a node's configuration has it.
    pub fn durability(self) -> Durability {
        match self {
            LogKind::Fsync => Durability::Fsync,
            LogKind::Memory => Durability::InMemory,
        }
    }
}

/// What one measurement is about.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Servers, all of them in this process.
    pub nodes: u32,
    /// Where the log is kept.
    pub log: LogKind,
    /// Proposals without an answer, at any time.
    pub in_flight: u32,
    /// Length of a run in milliseconds.
    pub run_ms: u32,
}

impl Setup {
    /// The ids of the servers.
    pub fn ids(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.nodes
    }

    /// The same setup for the time before it is measured.
    pub fn warm_up(&self) -> Setup {
        Setup {
            run_ms: WARM_UP_MS,
            ..*self
        }
    }

    /// Calls `drive` with a directory that is empty, and removed afterwards.
    pub fn in_directory<T>(&self, drive: impl FnOnce(&Setup, &Path) -> T) -> T {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        drive(self, dir.path())
    }
}

/// A command that changes nothing: as little as possible besides the commit itself.
pub fn payload() -> Vec<u8> {
    Command {
        stamped_at: Timestamp::from_millis(1_700_000_000_000),
        actor: None,
        idempotency: None,
        op: Op::Barrier,
    }
    .encode()
}

/// Ports of the loopback interface that nobody listens on, all different.
pub fn free_ports(count: u32) -> Vec<u16> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listeners: Vec<_> = (0..count).map(bind).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("a bound address").port();
    listeners.iter().map(port).collect()
}
