//! The log on disk: `raft-log` behind the [`Medium`] seam.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::{Callback, Config, RaftLog, Types};

use super::entry::{Entry, Position};
use super::error::StorageError;
use super::mark::Mark;
use super::medium::{FlushDone, Medium, ReadMore};
use super::record::sync_dir;

/// A file of the log is closed when it has reached this many bytes; whole files are removed once
/// all their entries are purged.
const FILE_LEN_MAX: usize = 16 << 20;
/// The same in entries.
const FILE_ENTRIES_MAX: usize = 1 << 16;
/// Payloads of closed files kept in memory, in bytes. Those of the open file always are.
const CACHE_LEN_MAX: usize = 64 << 20;
/// Buffer for reading files at opening, and for writing them again, in bytes.
const READ_BUFFER_LEN: usize = 1 << 20;

/// What `raft-log` stores for us.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct LogTypes;

impl Types for LogTypes {
    type LogId = Position;
    type LogPayload = Entry;
    /// The present epoch. Term and vote have a file of their own, see `record.rs`.
    type Vote = u64;
    type Callback = Synced;
    type UserData = ();

    fn log_index(position: &Position) -> u64 {
        position.index
    }

    /// The first entry of all has index 1.
    fn next_log_index(position: Option<&Position>) -> u64 {
        position.map_or(1, |p| p.index + 1)
    }

    fn payload_size(entry: &Entry) -> u64 {
        entry.data.len() as u64
    }
}

/// Who hears of a flush: first the mark, then the log above.
struct Synced {
    mark: Arc<Mark>,
    upto: Position,
    done: FlushDone,
}

impl Callback for Synced {
    fn send(self, result: io::Result<()>) {
        let result = result.and_then(|()| self.mark.write(self.upto));
        self.done.send(result);
    }
}

/// Entries in files under one directory.
#[derive(Debug)]
pub(crate) struct DiskMedium {
    log: RaftLog<LogTypes>,
    mark: Arc<Mark>,
    epoch: u64,
    /// Where each epoch begins among the retained entries: first index, epoch; ascending.
    runs: Vec<(u64, u64)>,
    bounds: (u64, u64),
}

impl DiskMedium {
    /// Opens the log in `dir`, which exists, and replays it.
    ///
    /// A record torn by a crash at the very end is cut off; any other damage is an error.
    pub(crate) fn open(dir: &Path) -> Result<DiskMedium, StorageError> {
        write_files_again(dir)?;
        let name = dir.to_str().ok_or_else(|| StorageError::Io {
            action: "use",
            path: dir.to_path_buf(),
            source: io::Error::new(ErrorKind::InvalidInput, "the path is not valid UTF-8"),
        })?;
        let mut config = Config::new(name);
        config.log_cache_capacity = Some(CACHE_LEN_MAX);
        config.wal.read_buffer_size = Some(READ_BUFFER_LEN);
        config.wal.chunk_max_size = Some(FILE_LEN_MAX);
        config.wal.chunk_max_records = Some(FILE_ENTRIES_MAX);
        // The log above gathers entries while a sync is under way; waiting for more of them here
        // would only add to the latency.
        config.wal.flush_batch_wait = Some(Duration::ZERO);

        let log = RaftLog::open(Arc::new(config)).map_err(|e| damage(dir, &e))?;
        let (mark, durable) = Mark::open(&dir.join("durable"))?;
        let mut medium = DiskMedium {
            log,
            mark: Arc::new(mark),
            epoch: 0,
            runs: Vec::new(),
            bounds: (1, 1),
        };
        medium.recover().map_err(|e| damage(dir, &e))?;
        let found = medium.last();
        if let Some(durable) = durable.filter(|durable| *durable > found) {
            return Err(StorageError::LostEnd {
                path: dir.to_path_buf(),
                reason: format!(
                    "the last entry is {} of epoch {}, but entry {} of epoch {} was durable",
                    found.index, found.epoch, durable.index, durable.epoch
                ),
            });
        }
        medium
            .begin_epoch()
            .map_err(StorageError::io("write", dir))?;
        Ok(medium)
    }

    /// Epoch and last index: they grow with everything that is stored.
    fn last(&self) -> Position {
        Position {
            epoch: self.epoch,
            index: self.bounds.1 - 1,
        }
    }

    /// Learns the bounds and epochs of what was replayed.
    fn recover(&mut self) -> io::Result<()> {
        let state = self.log.log_state();
        let first = state.purged().map_or(1, |p| p.index + 1);
        let next = state.last().map_or(first, |p| p.index + 1);
        self.epoch = state.vote().copied().unwrap_or(0);

        let mut expected = first;
        for item in self.log.read(first, next) {
            let (position, _) = item?;
            if position.index != expected {
                return Err(missing(expected));
            }
            if self.runs.last().is_none_or(|run| run.1 != position.epoch) {
                self.runs.push((position.index, position.epoch));
            }
            expected += 1;
        }
        if expected != next {
            return Err(missing(expected));
        }
        self.bounds = (first, next);
        Ok(())
    }

    fn begin_epoch(&mut self) -> io::Result<()> {
        self.epoch += 1;
        self.log.save_vote(self.epoch)?;
        Ok(())
    }

    fn position(&self, index: u64) -> Option<Position> {
        let run = self.runs.iter().rev().find(|run| run.0 <= index)?;
        Some(Position {
            epoch: run.1,
            index,
        })
    }
}

impl Medium for DiskMedium {
    fn bounds(&self) -> (u64, u64) {
        self.bounds
    }

    fn append(&mut self, index: u64, entry: &Entry) -> io::Result<()> {
        let position = Position {
            epoch: self.epoch,
            index,
        };
        self.log.append([(position, entry.clone())])?;
        if self.runs.last().is_none_or(|run| run.1 != self.epoch) {
            self.runs.push((index, self.epoch));
        }
        self.bounds.1 = index + 1;
        Ok(())
    }

    fn truncate(&mut self, from: u64) -> io::Result<()> {
        self.log.truncate(from)?;
        self.runs.retain(|run| run.0 < from);
        self.bounds.1 = from;
        self.begin_epoch()
    }

    fn purge(&mut self, upto: u64) -> io::Result<()> {
        if upto >= self.bounds.1 {
            self.begin_epoch()?;
            self.log.purge(Position {
                epoch: self.epoch,
                index: upto,
            })?;
            self.runs.clear();
            self.bounds = (upto + 1, upto + 1);
            return Ok(());
        }
        let position = self.position(upto).ok_or_else(|| missing(upto))?;
        self.log.purge(position)?;
        self.bounds.0 = upto + 1;
        while self.runs.get(1).is_some_and(|run| run.0 <= upto + 1) {
            self.runs.remove(0);
        }
        Ok(())
    }

    fn read(&self, from: u64, to: u64, take: &mut dyn FnMut(Entry) -> ReadMore) -> io::Result<()> {
        let mut expected = from;
        for item in self.log.read(from, to) {
            let (position, entry) = item?;
            if position.index != expected {
                return Err(missing(expected));
            }
            if take(entry) == ReadMore::No {
                return Ok(());
            }
            expected += 1;
        }
        if expected == to {
            Ok(())
        } else {
            Err(missing(expected))
        }
    }

    fn flush(&mut self, done: FlushDone) -> io::Result<()> {
        let synced = Synced {
            mark: Arc::clone(&self.mark),
            upto: self.last(),
            done,
        };
        self.log.flush(true, Some(synced))
    }

    fn syncs(&self) -> u64 {
        self.log.stat().flush_metrics.sync_batch_count
    }

    fn bytes(&self) -> u64 {
        let stat = self.log.stat();
        let closed: u64 = stat.closed_chunks.iter().map(|file| file.size).sum();
        closed + stat.open_chunk.size
    }
}

/// Makes durable what an earlier run wrote: it may have been killed between writing and syncing,
/// and `raft-log` itself syncs only the file that is open.
///
/// A sync alone would not do. If one failed in the earlier run, the system may show bytes that
/// never reached the disk and count them as written, so that the next sync succeeds without them.
fn write_files_again(dir: &Path) -> Result<(), StorageError> {
    let listing = fs::read_dir(dir).map_err(StorageError::io("list", dir))?;
    for item in listing {
        let path = item.map_err(StorageError::io("list", dir))?.path();
        if path.extension().is_some_and(|e| e == "wal") {
            write_again(&path).map_err(StorageError::io("sync", &path))?;
        }
    }
    sync_dir(dir)
}

/// Writes the same bytes over the file and syncs it. Whatever part of that a crash leaves undone,
/// nothing that was there is different.
fn write_again(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut piece = vec![0; READ_BUFFER_LEN];
    let mut offset = 0;
    loop {
        match file.read_at(&mut piece, offset)? {
            0 => return file.sync_all(),
            len => {
                file.write_all_at(&piece[..len], offset)?;
                offset += len as u64;
            }
        }
    }
}

fn damage(dir: &Path, error: &io::Error) -> StorageError {
    StorageError::damaged(dir, format!("the log cannot be read back: {error}"))
}

fn missing(index: u64) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("entry {index} is missing"))
}
