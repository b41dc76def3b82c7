//! Where the log's entries are kept: on disk, or in memory for comparison.
//!
//! A medium stores what it is told; order, durability and failure are the business of
//! [`super::log::Log`] above it. It is also the seam where tests make writes fail.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::entry::Entry;

/// Told once, from any thread, when everything stored before the flush is durable or cannot be
/// made so. Dropped unsent means the same as an error.
pub struct FlushDone(Option<Box<dyn FnOnce(io::Result<()>) + Send>>);

impl FlushDone {
    /// Has `tell` called with the outcome. It must not block, and not call the medium, which may be
    /// in the middle of something.
    pub fn new(tell: impl FnOnce(io::Result<()>) + Send + 'static) -> FlushDone {
        FlushDone(Some(Box::new(tell)))
    }

    /// Tells the outcome.
    pub fn send(mut self, outcome: io::Result<()>) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: io::Result<()>) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for FlushDone {
    fn drop(&mut self) {
        self.tell(Err(io::Error::other("the log's writer has stopped")));
    }
}

/// Keeper of the log's entries. Calls come one at a time.
///
/// After an error of a writing call the content is undefined and only `read` is called again.
pub trait Medium: Send {
    /// Indexes found at opening: first retained and one past the last.
    fn bounds(&self) -> (u64, u64);

    /// Adds `entry` as the one after the last. Not durable before a flush.
    fn append(&mut self, index: u64, entry: &Entry) -> io::Result<()>;

    /// Removes the entries from `from` on; `from` is a retained index.
    fn truncate(&mut self, from: u64) -> io::Result<()>;

    /// Removes the entries up to and including `upto`; if the log ends before it, the next entry
    /// appended is `upto + 1`.
    fn purge(&mut self, upto: u64) -> io::Result<()>;

    /// Hands the entries `from..to`, all of them retained, to `take` in order until it says that
    /// it has enough.
    fn read(&self, from: u64, to: u64, take: &mut dyn FnMut(Entry) -> ReadMore) -> io::Result<()>;

    /// Starts making everything stored so far durable. Does not wait for it.
    fn flush(&mut self, done: FlushDone) -> io::Result<()>;

    /// How often the medium has told the system to sync the log's files, since opening.
    fn syncs(&self) -> u64;

    /// What the log's files take on the disk, in bytes.
    fn bytes(&self) -> u64;
}

/// Whether a reader wants the next entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMore {
    /// The next one, please.
    Yes,
    /// That was enough.
    No,
}

/// A log that forgets everything with the process: for benchmarks only.
#[derive(Debug)]
pub struct MemoryMedium {
    first: u64,
    entries: VecDeque<Entry>,
}

impl MemoryMedium {
    /// An empty log whose first index is 1.
    pub fn new() -> MemoryMedium {
        MemoryMedium {
            first: 1,
            entries: VecDeque::new(),
        }
    }
}

impl Default for MemoryMedium {
    fn default() -> Self {
        Self::new()
    }
}

impl Medium for MemoryMedium {
    fn bounds(&self) -> (u64, u64) {
        (self.first, self.first + self.entries.len() as u64)
    }

    fn append(&mut self, _index: u64, entry: &Entry) -> io::Result<()> {
        self.entries.push_back(entry.clone());
        Ok(())
    }

    fn truncate(&mut self, from: u64) -> io::Result<()> {
        self.entries
            .truncate(from.saturating_sub(self.first) as usize);
        Ok(())
    }

    fn purge(&mut self, upto: u64) -> io::Result<()> {
        let count = (upto + 1).saturating_sub(self.first) as usize;
        self.entries.drain(..count.min(self.entries.len()));
        self.first = self.first.max(upto + 1);
        Ok(())
    }

    fn read(&self, from: u64, to: u64, take: &mut dyn FnMut(Entry) -> ReadMore) -> io::Result<()> {
        for index in from..to {
            let entry = index
                .checked_sub(self.first)
                .and_then(|offset| self.entries.get(offset as usize))
                .ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("no entry {index}")))?;
            if take(entry.clone()) == ReadMore::No {
                break;
            }
        }
        Ok(())
    }

    fn flush(&mut self, done: FlushDone) -> io::Result<()> {
        done.send(Ok(()));
        Ok(())
    }

    fn syncs(&self) -> u64 {
        0
    }

    fn bytes(&self) -> u64 {
        0
    }
}
