//! The log as the core calls it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use cxx::SharedPtr;

use super::bridge;
use crate::raft::Fatal;
use crate::storage::log::Notifier;
use crate::storage::{Entry, Log, SnapshotStore};

pub(super) struct LogHandle {
    pub(super) log: Arc<Log>,
    /// What is behind them is to be kept.
    pub(super) snapshots: Option<Arc<SnapshotStore>>,
}

impl LogHandle {
    pub(super) fn first_index(&self) -> u64 {
        self.log.first_index()
    }

    pub(super) fn next_index(&self) -> u64 {
        self.log.next_index()
    }

    pub(super) fn durable_index(&self) -> u64 {
        self.log.durable_index()
    }

    pub(super) fn term_at(&self, index: u64) -> u64 {
        self.log.term_at(index)
    }

    pub(super) fn append(&self, term: u64, kind: u8, timestamp_us: u64, data: &[u8]) -> u64 {
        let data = Bytes::copy_from_slice(data);
        self.log.append(&Entry::new(term, kind, timestamp_us, data))
    }

    pub(super) fn truncate(&self, from: u64) {
        self.log.truncate(from);
    }

    pub(super) fn purge(&self, upto: u64) {
        let dispensable = match &self.snapshots {
            Some(snapshots) => snapshots.dispensable(upto),
            None => upto,
        };
        self.log.purge(dispensable);
    }

    pub(super) fn request_flush(&self) {
        self.log.request_flush();
    }

    pub(super) fn flush(&self) -> bool {
        self.log.flush()
    }

    pub(super) fn read(
        &self,
        from: u64,
        to: u64,
        bytes_max: u64,
        mut sink: Pin<&mut bridge::entry_sink>,
    ) -> bool {
        let Some(entries) = self.log.read(from, to, bytes_max) else {
            return false;
        };
        for e in &entries {
            sink.as_mut()
                .push(e.term, e.kind, e.timestamp_us, e.crc, &e.data);
        }
        true
    }
}

/// What the log's teller calls. It holds the log weakly: the log owns it.
pub(super) fn notify_core(
    notifier: SharedPtr<bridge::append_notifier>,
    log: &Arc<Log>,
    fatal: &Arc<Fatal>,
) -> Notifier {
    let log = Arc::downgrade(log);
    let fatal = Arc::clone(fatal);
    Arc::new(move |ok| {
        if let Some(reason) = log.upgrade().filter(|_| !ok).and_then(|log| log.failure()) {
            fatal.report(format!("the log cannot be written: {reason}"));
        }
        if let Some(notifier) = notifier.as_ref() {
            notifier.notify(ok);
        }
    })
}
