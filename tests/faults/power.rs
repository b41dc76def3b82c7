//! What a power failure leaves of a directory: a model of what is durable in it, kept from the
//! journal that `disk.c` writes.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::rng::Rng;

/// Unit in which the parts of a torn write reach the disk, in bytes.
const SECTOR: usize = 512;

/// How many changes a power failure found not yet durable, and how many of those were lost, in
/// whole or in part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Changes since the last sync of what they changed.
    pub unsynced: usize,
    /// Those that did not reach the disk whole.
    pub lost: usize,
}

/// What is in the files, as the running system sees it and as the disk has it.
#[derive(Default)]
pub struct Model {
    /// How much of the journal is replayed.
    replayed: usize,
    files: Vec<FileModel>,
    by_inode: HashMap<u64, usize>,
    /// Every path by which an inode was opened: tells which directory a sync is of.
    paths: HashMap<u64, PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<(usize, NameChange)>,
}

struct FileModel {
    durable: Vec<u8>,
    /// In the order made; each with its place in the journal.
    changes: Vec<Unsynced>,
}

struct Unsynced {
    at: usize,
    /// A sync of it has failed, and none that succeeds later says anything about it.
    given_up: bool,
    change: Change,
}

enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate { len: usize },
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Create(path, _) | NameChange::Rename(_, path) => path.parent(),
            NameChange::Remove(path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, data } => write_at(content, *offset, data),
            Change::Truncate { len } => content.resize(*len, 0),
        }
    }

    /// Whether any byte of `other` is overwritten or cut off.
    fn covers(&self, other: &Change) -> bool {
        match (self, other) {
            (Change::Truncate { .. }, _) | (_, Change::Truncate { .. }) => true,
            (
                Change::Write { offset, data },
                Change::Write {
                    offset: other_offset,
                    data: other_data,
                },
            ) => *offset < other_offset + other_data.len() && *other_offset < offset + data.len(),
        }
    }
}

impl FileModel {
    fn new(durable: Vec<u8>) -> FileModel {
        FileModel {
            durable,
            changes: Vec::new(),
        }
    }

    fn cached(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        for unsynced in &self.changes {
            unsynced.change.apply(&mut content);
        }
        content
    }

    /// Makes durable what was changed before the place `upto` in the journal.
    fn sync(&mut self, upto: usize) {
        let changes = std::mem::take(&mut self.changes);
        for unsynced in changes {
            if unsynced.at < upto && !unsynced.given_up {
                // What was given up below it is gone for good.
                self.changes
                    .retain(|earlier| !unsynced.change.covers(&earlier.change));
                unsynced.change.apply(&mut self.durable);
            } else {
                self.changes.push(unsynced);
            }
        }
    }

    fn give_up(&mut self, upto: usize) {
        for unsynced in self.changes.iter_mut().filter(|u| u.at < upto) {
            unsynced.given_up = true;
        }
    }

    /// What of the file is there after a power failure, and how many changes are not.
    fn after_power_failure(&self, forgets_all: bool, rng: &mut Rng) -> (Vec<u8>, usize) {
        let mut content = self.durable.clone();
        // All, none, a torn beginning, or whatever sectors made it.
        let mode = if forgets_all { 1 } else { rng.between(0, 3) };
        let whole = rng.between(0, self.changes.len() as u64) as usize;
        let mut lost = 0;
        for (number, unsynced) in self.changes.iter().enumerate() {
            let survives = match mode {
                0 => true,
                1 => false,
                2 => number < whole,
                _ => rng.percent(50),
            };
            match &unsynced.change {
                change if survives => change.apply(&mut content),
                Change::Write { offset, data } if mode >= 2 => {
                    lost += 1;
                    if mode == 3 || number == whole {
                        write_torn(&mut content, *offset, data, mode == 3, rng);
                    }
                }
                _ => lost += 1,
            }
        }
        (content, lost)
    }
}

/// Part of a write: its beginning, or any of its sectors. The size counts the whole of it if a
/// later part made it, so that zeros are in between.
fn write_torn(content: &mut Vec<u8>, offset: usize, data: &[u8], any: bool, rng: &mut Rng) {
    if !any {
        let len = rng.between(0, data.len() as u64) as usize;
        return write_at(content, offset, &data[..len]);
    }
    let mut at = 0;
    while at < data.len() {
        // Sectors are those of the file, not of the write.
        let end = data.len().min(at + SECTOR - (offset + at) % SECTOR);
        if rng.percent(50) {
            write_at(content, offset + at, &data[at..end]);
        }
        at = end;
    }
}

fn write_at(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}

/// A record of the journal; `disk.c` has its layout.
struct Record<'a> {
    kind: u32,
    inode: u64,
    offset: usize,
    path: &'a [u8],
    data: &'a [u8],
}

const RECORD_HEADER_LEN: usize = 32;

// Kinds of records.
const OPENED: u32 = 1;
const CREATED: u32 = 2;
const WROTE: u32 = 3;
const TRUNCATED: u32 = 4;
const SYNCED: u32 = 5;
const SYNC_FAILED: u32 = 6;
const RENAMED: u32 = 7;
const REMOVED: u32 = 8;

impl<'a> Record<'a> {
    /// The first record of `bytes` and its length; `None` if the process died writing it.
    fn read(bytes: &'a [u8]) -> Option<(Record<'a>, usize)> {
        let header = bytes.get(..RECORD_HEADER_LEN)?;
        let u32_at = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| header[at + i]));
        let u64_at = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| header[at + i]));
        let path_end = RECORD_HEADER_LEN + u32_at(4) as usize;
        let end = path_end + u64_at(24) as usize;
        let record = Record {
            kind: u32_at(0),
            inode: u64_at(8),
            offset: u64_at(16) as usize,
            path: bytes.get(RECORD_HEADER_LEN..path_end)?,
            data: bytes.get(path_end..end)?,
        };
        Some((record, end))
    }

    fn path(&self) -> PathBuf {
        path_of(self.path)
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

impl Model {
    /// A file that is there, and durable as it is.
    pub fn adopt(&mut self, path: &Path, content: Vec<u8>) {
        let inode = fs::metadata(path)
            .expect("a file that was just written")
            .ino();
        let file = self.new_file(inode, content);
        self.names.insert(path.to_owned(), file);
        self.durable_names.insert(path.to_owned(), file);
    }

    fn new_file(&mut self, inode: u64, durable: Vec<u8>) -> usize {
        self.files.push(FileModel::new(durable));
        self.by_inode.insert(inode, self.files.len() - 1);
        self.files.len() - 1
    }

    /// All files, as the running system names them.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.keys().map(PathBuf::as_path)
    }

    /// Takes in what the journal has gained since the last time.
    pub fn replay(&mut self, journal: &[u8]) {
        while let Some((record, len)) = Record::read(&journal[self.replayed..]) {
            self.take(self.replayed, &record);
            self.replayed += len;
        }
        // The process may have died in the middle of a record; the next one begins behind it.
        self.replayed = journal.len();
    }

    fn take(&mut self, at: usize, record: &Record<'_>) {
        let file = self.by_inode.get(&record.inode).copied();
        match record.kind {
            OPENED => {
                self.paths.insert(record.inode, record.path());
            }
            CREATED => {
                let file = self.new_file(record.inode, Vec::new());
                self.change_name(at, NameChange::Create(record.path(), file));
            }
            WROTE | TRUNCATED => {
                let change = match record.kind {
                    WROTE => Change::Write {
                        offset: record.offset,
                        data: record.data.to_vec(),
                    },
                    _ => Change::Truncate { len: record.offset },
                };
                let file = file.expect("only files that were opened are written");
                self.files[file].changes.push(Unsynced {
                    at,
                    given_up: false,
                    change,
                });
            }
            SYNCED => match file {
                Some(file) => self.files[file].sync(record.offset),
                None => self.sync_names(record.inode, record.offset),
            },
            // A failed sync of a directory changes nothing: the next one may succeed.
            SYNC_FAILED => {
                if let Some(file) = file {
                    self.files[file].give_up(record.offset);
                }
            }
            RENAMED => {
                let zero = record.path.iter().position(|byte| *byte == 0);
                let zero = zero.expect("two paths with a zero between");
                let (from, to) = (
                    path_of(&record.path[..zero]),
                    path_of(&record.path[zero + 1..]),
                );
                self.change_name(at, NameChange::Rename(from, to));
            }
            REMOVED => self.change_name(at, NameChange::Remove(record.path())),
            other => panic!("record {other} in the journal"),
        }
    }

    fn change_name(&mut self, at: usize, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push((at, change));
    }

    /// Makes durable the names in the directory `inode` that were changed before `upto`, and no
    /// others.
    fn sync_names(&mut self, inode: u64, upto: usize) {
        let Some(dir) = self.paths.get(&inode) else {
            return;
        };
        for (at, change) in std::mem::take(&mut self.name_changes) {
            match at < upto && change.dir() == Some(dir) {
                true => change.apply(&mut self.durable_names),
                false => self.name_changes.push((at, change)),
            }
        }
    }

    /// Takes what is really in the directory for what the running system sees: the process may
    /// have been killed between a change and its record.
    pub fn reconcile(&mut self, dirs: &[PathBuf]) {
        let found = files_in(dirs);
        let gone: Vec<_> = self
            .names
            .keys()
            .filter(|path| !found.contains_key(*path))
            .cloned()
            .collect();
        for path in gone {
            let file = self.names[&path];
            let renamed = found
                .iter()
                .find(|(_, inode)| self.by_inode.get(inode) == Some(&file));
            let change = match renamed {
                Some((to, _)) => NameChange::Rename(path, to.clone()),
                None => NameChange::Remove(path),
            };
            self.change_name(self.replayed, change);
        }
        for (path, inode) in found {
            let file = match self.names.get(&path) {
                Some(file) => *file,
                None => {
                    let file = self.new_file(inode, Vec::new());
                    self.change_name(self.replayed, NameChange::Create(path.clone(), file));
                    file
                }
            };
            let content = fs::read(&path).expect("a file that was just seen");
            if self.files[file].cached() != content {
                let truncate = Change::Truncate { len: content.len() };
                let write = Change::Write {
                    offset: 0,
                    data: content,
                };
                let at = self.replayed;
                self.files[file]
                    .changes
                    .extend([truncate, write].map(|change| Unsynced {
                        at,
                        given_up: false,
                        change,
                    }));
            }
        }
    }

    /// Every file with its content after a power failure, and what is lost.
    pub fn after_power_failure(
        &self,
        forgets_all: bool,
        rng: &mut Rng,
    ) -> (BTreeMap<PathBuf, Vec<u8>>, Loss) {
        let mut names = self.durable_names.clone();
        let kept = match forgets_all {
            true => 0,
            false => rng.between(0, self.name_changes.len() as u64) as usize,
        };
        for (_, change) in &self.name_changes[..kept] {
            change.apply(&mut names);
        }
        let mut loss = Loss {
            unsynced: self.name_changes.len(),
            lost: self.name_changes.len() - kept,
        };
        let files = names.into_iter().map(|(path, file)| {
            let (content, lost) = self.files[file].after_power_failure(forgets_all, rng);
            loss.unsynced += self.files[file].changes.len();
            loss.lost += lost;
            (path, content)
        });
        (files.collect(), loss)
    }
}

/// The files in `dirs`, with their inodes, but for what the harness itself keeps there.
fn files_in(dirs: &[PathBuf]) -> BTreeMap<PathBuf, u64> {
    let items = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten();
    let items = items.map(|item| item.expect("a directory that can be listed"));
    let files = items.filter_map(|item| {
        let metadata = item.metadata().ok().filter(|metadata| metadata.is_file())?;
        let ours = !["raft3d.log", "pid"]
            .iter()
            .any(|name| item.file_name() == *name);
        ours.then(|| (item.path(), metadata.ino()))
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_not() {
        let mut model = Model::default();
        let file = model.new_file(1, Vec::new());
        let (dir, path) = (PathBuf::from("/d"), PathBuf::from("/d/f"));
        model.paths.insert(2, dir);
        model.change_name(0, NameChange::Create(path.clone(), file));
        let write = |at, offset, data: &[u8]| Unsynced {
            at,
            given_up: false,
            change: Change::Write {
                offset,
                data: data.to_vec(),
            },
        };
        model.files[file].changes.push(write(10, 0, b"durable"));
        model.files[file].sync(11);
        model.files[file].changes.push(write(20, 7, b" or not"));
        let outcomes = |model: &Model| -> Vec<Option<Vec<u8>>> {
            let mut outcomes: Vec<_> = (0..200)
                .map(|seed| {
                    let (mut files, _) = model.after_power_failure(false, &mut Rng::new(seed));
                    files.remove(&path)
                })
                .collect();
            outcomes.sort();
            outcomes.dedup();
            outcomes
        };
        assert_eq!(outcomes(&model)[0], None, "its name was never synced");
        model.sync_names(2, 30);
        let all = outcomes(&model);
        assert!(
            all.iter()
                .flatten()
                .all(|content| content.starts_with(b"durable"))
        );
        for possible in [b"durable".as_slice(), b"durable or not", b"durable or"] {
            assert!(all.contains(&Some(possible.to_vec())), "{possible:?}");
        }
        model.files[file].give_up(30);
        model.files[file].sync(40);
        assert!(
            outcomes(&model).contains(&Some(b"durable".to_vec())),
            "a sync that succeeds after one that failed proves nothing"
        );
    }
}
