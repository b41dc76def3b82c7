//! The log's flushes: what each makes durable, what they share, and what is known when one fails.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft3d::storage::medium::{FlushDone, Medium, MemoryMedium, ReadMore};
use raft3d::storage::{Entry, Log};

use crate::support::entry;

/// How long a test waits for another thread before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A log in memory whose flushes the test finishes one by one.
struct Held {
    memory: MemoryMedium,
    flushes: Sender<FlushDone>,
    append_error: Arc<Mutex<bool>>,
}

impl Held {
    fn log() -> (Log, Receiver<FlushDone>, Arc<Mutex<bool>>) {
        let (flushes, held) = channel();
        let append_error = Arc::new(Mutex::new(false));
        let memory = MemoryMedium::new();
        let medium = Held {
            memory,
            flushes,
            append_error: Arc::clone(&append_error),
        };
        (Log::over(Box::new(medium)).unwrap(), held, append_error)
    }
}

impl Medium for Held {
    fn bounds(&self) -> (u64, u64) {
        self.memory.bounds()
    }

    fn append(&mut self, index: u64, entry: &Entry) -> io::Result<()> {
        if *self.append_error.lock().unwrap() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.memory.append(index, entry)
    }

    fn truncate(&mut self, from: u64) -> io::Result<()> {
        self.memory.truncate(from)
    }

    fn purge(&mut self, upto: u64) -> io::Result<()> {
        self.memory.purge(upto)
    }

    fn read(&self, from: u64, to: u64, take: &mut dyn FnMut(Entry) -> ReadMore) -> io::Result<()> {
        self.memory.read(from, to, take)
    }

    fn flush(&mut self, done: FlushDone) -> io::Result<()> {
        // Once the test has let go of its end, nobody needs to finish the flush.
        let _ = self.flushes.send(done);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    fn syncs(&self) -> u64 {
        0
    }
}

/// The notifier's calls, in order.
fn notices(log: &Log) -> Receiver<bool> {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    log.set_notifier(Some(Arc::new(move |ok| {
        // The test may have seen enough.
        let _ = sender.lock().unwrap().send(ok);
    })));
    receiver
}

fn next<T>(receiver: &Receiver<T>, what: &str) -> T {
    receiver
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|e| panic!("waiting for {what}: {e}"))
}

#[test]
fn what_is_appended_during_a_flush_shares_the_next_one() {
    let (log, flushes, _) = Held::log();
    let notices = notices(&log);
    log.append(&entry(1, "first"));
    log.request_flush();
    let first = next(&flushes, "the first flush");
    for _ in 0..100 {
        log.append(&entry(1, "more"));
        log.request_flush();
    }
    assert_eq!(log.durable_index(), 0);
    first.send(Ok(()));
    assert!(next(&notices, "news of the first flush"));
    assert_eq!(
        log.durable_index(),
        1,
        "the first flush covers what was there when it began"
    );
    next(&flushes, "the second flush").send(Ok(()));
    assert!(next(&notices, "news of the second flush"));
    assert_eq!(log.durable_index(), 101, "one flush for a hundred entries");
    assert!(flushes.try_recv().is_err(), "no third flush was needed");
}

#[test]
fn on_disk_many_entries_cost_one_sync() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    assert!(log.flush());
    let before = log.stats();
    for _ in 0..100 {
        log.append(&entry(1, "x"));
    }
    assert!(log.flush());
    let after = log.stats();
    assert_eq!(
        (after.appended - before.appended, after.syncs - before.syncs),
        (100, 1)
    );
}

#[test]
fn a_truncation_during_a_flush_limits_what_the_flush_proves() {
    let (log, flushes, _) = Held::log();
    let notices = notices(&log);
    for _ in 0..10 {
        log.append(&entry(1, "old"));
    }
    log.request_flush();
    let flush = next(&flushes, "the flush");
    log.truncate(5);
    for _ in 0..10 {
        log.append(&entry(2, "new"));
    }
    flush.send(Ok(()));
    assert!(next(&notices, "news of the flush"));
    assert_eq!((log.durable_index(), log.next_index()), (4, 15));
}

#[test]
fn truncating_durable_entries_takes_back_their_durability() {
    let (log, flushes, _) = Held::log();
    let notices = notices(&log);
    for _ in 0..10 {
        log.append(&entry(1, "old"));
    }
    log.request_flush();
    next(&flushes, "the flush").send(Ok(()));
    assert!(next(&notices, "news of the flush"));
    assert_eq!(log.durable_index(), 10);
    log.truncate(7);
    log.append(&entry(2, "new"));
    assert_eq!(log.durable_index(), 6);
}

#[test]
fn a_failed_sync_is_remembered_for_ever() {
    let (log, flushes, _) = Held::log();
    let notices = notices(&log);
    log.append(&entry(1, "a"));
    log.request_flush();
    next(&flushes, "the flush").send(Err(io::Error::other("disk on fire")));
    assert!(!next(&notices, "news of the failure"));
    assert_eq!(log.failure().as_deref(), Some("disk on fire"));

    log.append(&entry(1, "b"));
    log.request_flush();
    assert!(!log.flush());
    let again = flushes.try_recv();
    assert!(
        again.is_err(),
        "the pages of the failed sync may be gone, and a sync succeed without them"
    );
    assert_eq!(log.durable_index(), 0);
}

#[test]
fn a_writer_that_vanishes_counts_as_failed() {
    let (log, flushes, _) = Held::log();
    let notices = notices(&log);
    log.append(&entry(1, "a"));
    log.request_flush();
    drop(next(&flushes, "the flush"));
    assert!(!next(&notices, "news of the failure"));
    assert_eq!(log.durable_index(), 0);
}

#[test]
fn a_failed_append_is_told_and_never_durable() {
    let (log, _, append_error) = Held::log();
    let notices = notices(&log);
    log.append(&entry(1, "kept"));
    *append_error.lock().unwrap() = true;
    assert_eq!(log.append(&entry(1, "lost")), 2);
    assert!(!next(&notices, "news of the failure"));
    assert_eq!((log.next_index(), log.durable_index()), (3, 0));
    assert_eq!(log.read(2, 3, u64::MAX), None);
    assert_eq!(log.read(1, 2, u64::MAX).unwrap(), [entry(1, "kept")]);
}

#[test]
fn a_flush_that_ends_well_after_a_failed_append_proves_nothing() {
    let (log, flushes, append_error) = Held::log();
    let notices = notices(&log);
    log.append(&entry(1, "kept"));
    log.request_flush();
    let flush = next(&flushes, "the flush");
    *append_error.lock().unwrap() = true;
    log.append(&entry(1, "lost"));
    flush.send(Ok(()));
    assert!(!next(&notices, "news of the failure"));
    assert_eq!(log.durable_index(), 0);
    assert!(!log.flush());
}

#[test]
fn a_closed_log_says_that_it_cannot_flush() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    log.close();
    assert!(!log.flush());
    log.close();
}
