//! Entries of a log, and damage to a file.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use raft3d::storage::{Entry, Log};

pub fn entry(term: u64, text: &str) -> Entry {
    Entry::new(
        term,
        1,
        1_000 + term,
        Bytes::copy_from_slice(text.as_bytes()),
    )
}

/// All entries of the log, in order.
pub fn content(log: &Log) -> Vec<Entry> {
    log.read(log.first_index(), log.next_index(), u64::MAX)
        .expect("a log reads its own entries")
}

pub fn flip_last_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}
