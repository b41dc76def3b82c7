//! The log's files: what they keep, what they lose in a crash, and what damage is noticed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft3d::storage::{Entry, Log, StorageError};

use crate::support::{content, entry};

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
fn dir_with(name: &OsStr, bytes: &[u8]) -> tempfile::TempDir {
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

#[test]
fn two_users_of_one_log_directory_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let _log = Log::open(dir.path()).unwrap();
    assert!(Log::open(dir.path()).is_err());
}
