//! The durable log: what it keeps, what it loses in a crash, what it does when the disk fails.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use raft3d::storage::medium::{FlushDone, Medium, MemoryMedium, ReadMore};
use raft3d::storage::{Entry, Log, StorageError};

/// How long a test waits for another thread before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn entry(term: u64, text: &str) -> Entry {
    Entry::new(
        term,
        1,
        1_000 + term,
        Bytes::copy_from_slice(text.as_bytes()),
    )
}

/// All entries of the log, in order.
fn content(log: &Log) -> Vec<Entry> {
    log.read(log.first_index(), log.next_index(), u64::MAX)
        .expect("a log reads its own entries")
}

fn only_file(dir: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wal"))
        .collect();
    assert_eq!(files.len(), 1, "expected one log file: {files:?}");
    files.remove(0)
}

/// A log directory with the given bytes as its only file.
fn dir_with(name: &std::ffi::OsStr, bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), bytes).unwrap();
    dir
}

#[test]
fn entries_survive_reopening_with_all_their_fields() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    assert_eq!(
        (log.first_index(), log.next_index(), log.durable_index()),
        (1, 1, 0)
    );
    let entries = [
        entry(1, "a"),
        entry(1, ""),
        Entry::new(4, 2, u64::MAX, Bytes::from("conf")),
    ];
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(log.append(entry), i as u64 + 1);
    }
    assert!(log.flush());
    assert_eq!(log.durable_index(), 3);
    drop(log);

    let log = Log::open(dir.path()).unwrap();
    assert_eq!(
        (log.first_index(), log.next_index(), log.durable_index()),
        (1, 4, 3)
    );
    assert_eq!(content(&log), entries);
    assert_eq!(
        [0, 1, 2, 3, 4].map(|index| log.term_at(index)),
        [0, 1, 1, 4, 0]
    );
}

#[test]
fn reading_stops_at_the_byte_limit_and_refuses_what_is_not_there() {
    let log = Log::in_memory();
    for _ in 0..5 {
        log.append(&entry(1, "0123456789"));
    }
    let lens = |from, to, bytes| log.read(from, to, bytes).map(|entries| entries.len());
    assert_eq!(lens(1, 6, u64::MAX), Some(5));
    assert_eq!(
        lens(1, 6, 1),
        Some(1),
        "at least one entry, however small the limit"
    );
    assert_eq!(lens(1, 6, 20), Some(2));
    assert_eq!(lens(1, 6, 21), Some(3));
    assert_eq!(lens(3, 3, 100), Some(0));
    assert_eq!(lens(1, 7, 100), None);
    log.purge(2);
    assert_eq!(lens(2, 4, 100), None);
    assert_eq!(lens(3, 4, 100), Some(1));
}

#[test]
fn after_a_gap_even_a_lower_term_may_follow() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    log.append(&entry(7, "superseded"));
    log.purge(10);
    assert_eq!((log.first_index(), log.next_index()), (11, 11));
    assert_eq!(log.append(&entry(5, "from the leader")), 11);
    assert!(log.flush());
    drop(log);
    let log = Log::open(dir.path()).unwrap();
    assert_eq!((log.first_index(), log.next_index()), (11, 12));
    assert_eq!(content(&log), [entry(5, "from the leader")]);
}

#[test]
fn a_file_cut_anywhere_gives_the_whole_entries_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    assert!(log.flush());
    let file = only_file(dir.path());
    let mut entries = Vec::new();
    let mut ends = Vec::new();
    for i in 0..6 {
        entries.push(entry(1 + i / 2, &format!("payload number {i}")));
        log.append(&entries[i as usize]);
        assert!(log.flush());
        ends.push(fs::metadata(&file).unwrap().len());
    }
    drop(log);
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.len() as u64 >= ends[5]);

    for cut in 0..bytes.len() {
        let crashed = dir_with(file.file_name().unwrap(), &bytes[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        let log = Log::open(crashed.path()).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        assert_eq!(content(&log), entries[..whole], "cut at {cut}");
        log.append(&entry(9, "life goes on"));
        assert!(log.flush());
        drop(log);
        let log = Log::open(crashed.path()).unwrap_or_else(|e| panic!("after cut {cut}: {e}"));
        assert_eq!(log.next_index(), whole as u64 + 2, "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_never_loses_or_changes_an_entry_silently() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let entries = [entry(1, "one"), entry(1, "two"), entry(2, "three")];
    log.append(&entries[0]);
    log.append(&entry(1, "conflicting"));
    log.truncate(2);
    entries[1..].iter().for_each(|e| {
        log.append(e);
    });
    assert!(log.flush());
    let file = only_file(dir.path());
    drop(log);
    let bytes = fs::read(&file).unwrap();

    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let damaged = dir_with(file.file_name().unwrap(), &bad);
        match Log::open(damaged.path()) {
            Ok(log) => assert_eq!(content(&log), entries, "bit {bit} of byte {}", bit / 8),
            Err(error) => {
                assert!(
                    matches!(error, StorageError::Damaged { .. }),
                    "bit {bit}: {error}"
                );
                refused += 1;
            }
        }
    }
    assert!(
        refused > bytes.len() * 7,
        "only {refused} of {} flips noticed",
        bytes.len() * 8
    );
}

#[test]
fn a_log_that_lost_durable_entries_at_its_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    log.append(&entry(1, "first"));
    assert!(log.flush());
    let file = only_file(dir.path());
    let shorter = fs::metadata(&file).unwrap().len();
    log.append(&entry(1, "second"));
    assert!(log.flush());
    drop(log);

    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..shorter as usize]).unwrap();
    let error = Log::open(dir.path()).map(drop).unwrap_err().to_string();
    assert!(
        error.contains("but entry 2 of epoch 1 was durable"),
        "{error}"
    );
    assert!(error.contains(&dir.path().display().to_string()), "{error}");
    fs::write(&file, &whole).unwrap();
    assert_eq!(content(&Log::open(dir.path()).unwrap()).len(), 2);
}

#[test]
fn a_log_that_was_cut_back_on_purpose_is_not_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    for number in 0..5 {
        log.append(&entry(1, &format!("{number}")));
    }
    assert!(log.flush());
    log.truncate(2);
    assert!(log.flush());
    drop(log);
    let log = Log::open(dir.path()).unwrap();
    assert_eq!((log.first_index(), log.next_index()), (1, 2));
    log.purge(9);
    assert!(log.flush());
    drop(log);
    assert_eq!(Log::open(dir.path()).unwrap().next_index(), 10);
}

#[test]
fn purged_files_are_removed_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let payload = "x".repeat(100 << 10);
    for _ in 0..400 {
        log.append(&entry(1, &payload));
    }
    assert!(log.flush());
    let size = |dir: &Path| -> u64 {
        fs::read_dir(dir)
            .unwrap()
            .map(|item| item.unwrap().metadata().unwrap().len())
            .sum()
    };
    let before = size(dir.path());
    log.purge(390);
    assert!(log.flush());
    log.close();
    assert_eq!((log.first_index(), log.next_index()), (391, 401));
    drop(log);
    let after = size(dir.path());
    assert!(
        after < before / 2,
        "{before} bytes before the purge, {after} after it"
    );
    let log = Log::open(dir.path()).unwrap();
    assert_eq!(content(&log), vec![entry(1, &payload); 10]);
}

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

#[test]
fn two_users_of_one_log_directory_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let _log = Log::open(dir.path()).unwrap();
    assert!(Log::open(dir.path()).is_err());
}

/// One step of the property test.
#[derive(Debug, Clone)]
enum Step {
    Append {
        term_growth: u8,
        len: u16,
        count: u8,
    },
    Truncate {
        back: u8,
    },
    Purge {
        ahead: u8,
    },
    Skip {
        beyond: u8,
    },
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..3, 0u16..2_000, 1u8..40)
            .prop_map(|(term_growth, len, count)| Step::Append { term_growth, len, count }),
        2 => (0u8..60).prop_map(|back| Step::Truncate { back }),
        2 => (0u8..60).prop_map(|ahead| Step::Purge { ahead }),
        1 => (0u8..5).prop_map(|beyond| Step::Skip { beyond }),
        1 => Just(Step::Flush),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// The log as a plain list.
struct Model {
    first: u64,
    entries: VecDeque<Entry>,
}

impl Model {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn purge(&mut self, upto: u64) {
        while self.first <= upto {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_log_behaves_like_a_list(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path()).unwrap();
        let mut model = Model { first: 1, entries: VecDeque::new() };
        let mut term = 1;
        let mut made = 0u64;
        for step in steps {
            match step {
                Step::Append { term_growth, len, count } => {
                    term += u64::from(term_growth);
                    for _ in 0..count {
                        made += 1;
                        let data = Bytes::from(made.to_le_bytes().repeat(usize::from(len) / 8));
                        let entry = Entry::new(term, 1, made, data);
                        prop_assert_eq!(log.append(&entry), model.next());
                        model.entries.push_back(entry);
                    }
                }
                Step::Truncate { back } => {
                    let from = model.next().saturating_sub(u64::from(back)).max(model.first);
                    log.truncate(from);
                    model.entries.truncate((from - model.first) as usize);
                }
                Step::Purge { ahead } => {
                    let upto = (model.first + u64::from(ahead)).min(model.next() - 1);
                    log.purge(upto);
                    model.purge(upto);
                }
                Step::Skip { beyond } => {
                    let upto = model.next() + u64::from(beyond);
                    log.purge(upto);
                    model.purge(upto);
                    term = 1;
                }
                Step::Flush => {
                    prop_assert!(log.flush());
                    prop_assert_eq!(log.durable_index(), model.next() - 1);
                }
                Step::Reopen => {
                    drop(log);
                    log = Log::open(dir.path()).unwrap();
                    prop_assert_eq!(log.durable_index(), model.next() - 1);
                }
            }
            prop_assert_eq!(log.failure(), None);
            prop_assert_eq!(log.first_index(), model.first);
            prop_assert_eq!(log.next_index(), model.next());
            prop_assert!(log.durable_index() < model.next());
            prop_assert_eq!(&content(&log), model.entries.make_contiguous());
            for (index, entry) in (model.first..).zip(&model.entries) {
                prop_assert_eq!(log.term_at(index), entry.term);
            }
        }
    }
}
