//! The state machine as the core calls it, and the snapshots.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use cxx::UniquePtr;

use super::bridge;
use crate::raft::Reader;
use crate::raft::machine::Machine;
use crate::storage::StorageError;
use crate::storage::snapshot::{PieceReader, SnapshotId};

pub(super) struct Fsm(pub(super) Arc<Machine>, pub(super) Reader);

impl Fsm {
    pub(super) fn commit(&self, index: u64, command: &[u8]) -> Vec<u8> {
        self.1.commit(index, command)
    }

    pub(super) fn pass(&self, index: u64) {
        self.1.pass(index);
    }

    pub(super) fn newest_snapshot(&self) -> Vec<u8> {
        self.0
            .newest_snapshot()
            .map(|(_, metadata)| metadata)
            .unwrap_or_default()
    }

    pub(super) fn newest_snapshot_index(&self) -> u64 {
        self.0.newest_snapshot().map_or(0, |(id, _)| id.index)
    }

    pub(super) fn snapshot_due(&self) -> bool {
        self.0.snapshot_due()
    }

    pub(super) fn start_snapshot(
        &self,
        index: u64,
        term: u64,
        metadata: &[u8],
        mut done: UniquePtr<bridge::snapshot_done>,
    ) {
        let tell = move |ok| {
            if let Some(done) = done.as_mut() {
                done.finish(ok);
            }
        };
        self.0.start_snapshot(
            SnapshotId { index, term },
            metadata.to_vec(),
            Box::new(tell),
        );
    }

    pub(super) fn open_snapshot(
        &self,
        index: u64,
        term: u64,
    ) -> Result<Box<PieceReader>, StorageError> {
        logged(
            "cannot send a snapshot",
            self.0
                .open_snapshot(SnapshotId { index, term })
                .map(Box::new),
        )
    }

    pub(super) fn save_piece(
        &self,
        index: u64,
        term: u64,
        piece: u64,
        bytes: &[u8],
        last: bool,
    ) -> Result<u64, StorageError> {
        let id = SnapshotId { index, term };
        logged(
            "cannot receive a snapshot",
            self.0.save_piece(id, piece, bytes, last),
        )
    }

    pub(super) fn apply_snapshot(&self, index: u64, term: u64) -> bool {
        self.0.apply_snapshot(SnapshotId { index, term })
    }
}

pub(super) fn read_piece(reader: &PieceReader, piece: u64, last: &mut bool) -> io::Result<Vec<u8>> {
    let (bytes, is_last) = logged("cannot read a snapshot", reader.read(piece))?;
    *last = is_last;
    Ok(bytes)
}

/// The core turns errors into its own kinds of failure and forgets the text: log it before.
fn logged<T, E: Display>(what: &str, outcome: Result<T, E>) -> Result<T, E> {
    outcome.inspect_err(|error| tracing::error!(%error, "{what}"))
}
