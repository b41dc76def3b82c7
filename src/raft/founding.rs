//! The data directory of a member of a new cluster that begins with a given state.

use std::io::Write;
use std::path::Path;

use super::member;
use crate::domain::state::State;
use crate::ffi;
use crate::identity::ClusterId;
use crate::storage::data_dir::Beginning;
use crate::storage::snapshot::SnapshotId;
use crate::storage::{DataDir, SnapshotStore, StorageError};

/// The term that a new cluster's snapshot is of, and in which its members start. Terms of another
/// cluster mean nothing here: its members are not listened to.
const FIRST_TERM: u64 = 1;

/// A new cluster.
#[derive(Debug)]
pub struct Founding<'a> {
    /// Its name.
    pub cluster: ClusterId,
    /// Its members, by id and Raft address.
    pub members: &'a [(i32, String)],
    /// The farm that it begins with, of index 1 or above.
    pub state: State,
}

impl Founding<'_> {
    /// Makes the data directory of `node_id`, one of the members, at `path`, where nothing is or an
    /// empty directory. All members must be given the same state, or their logs will differ.
    pub fn make_directory(&self, path: &Path, node_id: i32) -> Result<DataDir, StorageError> {
        let members: Vec<_> = self
            .members
            .iter()
            .map(|(id, addr)| member(*id, addr))
            .collect();
        let state = self.state.clone().refounded(self.cluster);
        let id = SnapshotId {
            index: state.applied_index(),
            term: FIRST_TERM,
        };
        let metadata = ffi::encode_snapshot(id.index, id.term, &members);
        let beginning = Beginning {
            config: &ffi::encode_config(&members),
            state: &ffi::encode_term(FIRST_TERM),
            cluster: Some(self.cluster),
        };
        DataDir::create(path, node_id, beginning, |snapshots| {
            let body = |mut sink: &mut dyn Write| state.write_snapshot(&mut sink);
            SnapshotStore::open(snapshots)?.write(id, &metadata, body)
        })
    }
}
