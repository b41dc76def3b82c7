//! What one measurement is about, and what all drivers have in common.

use std::path::Path;

use raft3d::domain::command::Op;
use raft3d::raft::Durability;

use crate::support::{nodes, report};

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
        drive(self, report::scratch().path())
    }
}

/// A command that changes nothing: as little as possible besides the commit itself.
pub fn payload() -> Vec<u8> {
    nodes::command(Op::Barrier)
}
