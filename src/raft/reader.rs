//! Applies the commands that this program can read, and nothing behind one that it cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::machine::Machine;
use super::{Fatal, Steps};
use crate::domain::command::Command;

/// The state machine as the log is applied to it.
///
/// A command of a newer version must not be passed over: the others apply it, and this node's state
/// would be another one from there on. So it ends the node's part in the cluster instead; the newer
/// program goes on from the same log.
pub struct Reader {
    machine: Arc<Machine>,
    fatal: Arc<Fatal>,
    newest: u8,
    steps: Steps,
    stopped: AtomicBool,
}

impl Reader {
    /// One that reads commands up to version `newest`.
    pub fn new(machine: Arc<Machine>, fatal: Arc<Fatal>, newest: u8, steps: Steps) -> Reader {
        Reader {
            machine,
            fatal,
            newest,
            steps,
            stopped: AtomicBool::new(false),
        }
    }

    /// Applies the command at `index` and returns the encoded outcome; nothing, which is no outcome,
    /// if it or one before it cannot be read.
    pub fn commit(&self, index: u64, command: &[u8]) -> Vec<u8> {
        let version = Command::version_of(command);
        if version > self.newest && !self.stopped.swap(true, Ordering::AcqRel) {
            self.fatal.report(format!(
                "the log has a command of version {version} at index {index}, and this program \
                 reads versions up to {}: the cluster has been upgraded. Nothing is lost: install \
                 the newer program on this node and start it again",
                self.newest
            ));
        }
        if self.stopped.load(Ordering::Acquire) {
            return Vec::new();
        }
        // Until it is dropped.
        let _step = self.steps.apply(index, command);
        self.machine.commit(index, command)
    }

    /// Notes that `index` holds nothing to apply.
    pub fn pass(&self, index: u64) {
        if !self.stopped.load(Ordering::Acquire) {
            self.machine.pass(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::State;
    use crate::storage::{Log, SnapshotStore};

    #[test]
    fn nothing_is_applied_behind_a_command_that_is_too_new() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = SnapshotStore::open(dir.path()).unwrap();
        let machine = Arc::new(Machine::new(1, State::new(), snapshots));
        let fatal = Arc::new(Fatal::new());
        let steps = Steps::new(1, Arc::new(Log::in_memory()), Arc::default());
        let reader = Reader::new(Arc::clone(&machine), Arc::clone(&fatal), 7, steps);
        // Version 7 is read, and found to be no command: that is the same for all who read it.
        assert!(!reader.commit(1, &[7]).is_empty());
        assert_eq!(fatal.reported(), None);
        assert!(reader.commit(2, &[8, 1, 2]).is_empty());
        let reason = fatal.reported().unwrap();
        assert!(reason.contains("version 8 at index 2"), "{reason}");
        assert!(reader.commit(3, &[1]).is_empty());
        reader.pass(4);
        assert_eq!(machine.state().applied_index(), 1);
    }
}
