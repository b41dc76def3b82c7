//! Term and vote, configuration and standing of this server, as the core keeps them.

use std::sync::Arc;

use crate::raft::{Departure, Fatal, Leaders, Parting};
use crate::storage::{DataDir, Stage, StorageError};

pub(super) struct StateHandle {
    pub(super) dir: Arc<DataDir>,
    pub(super) fatal: Arc<Fatal>,
    pub(super) departure: Arc<Departure>,
    pub(super) leaders: Arc<Leaders>,
}

impl StateHandle {
    pub(super) fn load_config(&self) -> Result<Vec<u8>, StorageError> {
        self.dir.load_config()
    }

    pub(super) fn save_config(&self, config: &[u8]) -> Result<(), StorageError> {
        self.or_fatal(self.dir.save_config(config))
    }

    pub(super) fn load_state(&self) -> Result<Vec<u8>, StorageError> {
        self.dir.load_state()
    }

    pub(super) fn save_state(&self, state: &[u8]) -> Result<(), StorageError> {
        self.or_fatal(self.dir.save_state(state))
    }

    pub(super) fn fatal(&self, reason: &[u8]) {
        self.fatal
            .report(String::from_utf8_lossy(reason).into_owned());
    }

    pub(super) fn joined(&self) {
        tracing::info!("this node is a member of the cluster now");
        // A failure is fatal and reported as such; nothing more can be done here.
        let _ = self.or_fatal(self.dir.set_stage(Stage::Member));
    }

    pub(super) fn removed(&self) {
        tracing::warn!("this node was removed from its cluster");
        let _ = self.or_fatal(self.dir.set_stage(Stage::Removed));
        self.departure.announce(Parting::Removed);
    }

    pub(super) fn leader_seen(&self, term: u64, own: bool) {
        self.leaders.seen(term, own);
    }

    fn or_fatal<T>(&self, outcome: Result<T, StorageError>) -> Result<T, StorageError> {
        outcome.inspect_err(|error| self.fatal.report(error.to_string()))
    }
}
