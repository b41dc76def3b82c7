//! This project's log and data directory as openraft's log store.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};

use raft3d::storage::{self, DataDir, Log};

use super::types::{Command, Entry, LogId, Types, Vote};
use crate::setup::LogKind;

/// What an entry of the log is.
const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The log, term and vote of one server. Clones are the same.
#[derive(Clone)]
pub struct Store {
    log: Arc<Log>,
    kind: LogKind,
    /// Keeps term and vote as a node of ours does, also with a log in memory.
    dir: Arc<DataDir>,
    vote: Arc<Mutex<Option<Vote>>>,
    unflushed: Unflushed,
}

/// Who waits for which index to become durable, in their order.
type Unflushed = Arc<Mutex<VecDeque<(u64, IOFlushed<Types>)>>>;

impl Store {
    /// A new store of server `id` in `dir`.
    pub fn open(dir: &Path, id: u32, kind: LogKind) -> Store {
        let dir = DataDir::open(dir, id as i32, &[]).expect("a new directory");
        let log = match kind {
            LogKind::Fsync => Log::open(&dir.log_path()).expect("the log opens"),
            LogKind::Memory => Log::in_memory(),
        };
        let store = Store {
            log: Arc::new(log),
            kind,
            dir: Arc::new(dir),
            vote: Arc::default(),
            unflushed: Arc::default(),
        };
        store.hear_of_flushes();
        store
    }

    /// How often the log's files were synced.
    pub fn syncs(&self) -> u64 {
        self.log.stats().syncs
    }

    fn hear_of_flushes(&self) {
        let (log, unflushed) = (Arc::downgrade(&self.log), Arc::clone(&self.unflushed));
        self.log.set_notifier(Some(Arc::new(move |ok| {
            let durable = log.upgrade().map_or(0, |log| log.durable_index());
            let mut waiting = lock(&unflushed);
            let done = match ok {
                true => waiting.partition_point(|(index, _)| *index <= durable),
                false => waiting.len(),
            };
            let done: Vec<_> = waiting.drain(..done).collect();
            drop(waiting);
            for (_, callback) in done {
                let failed = || io::Error::other("the log cannot be written");
                callback.io_completed(ok.then_some(()).ok_or_else(failed));
            }
        })));
    }

    fn entries(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        let read = self
            .log
            .read(index_in_log(from), index_in_log(to), u64::MAX);
        let read = read.ok_or_else(|| io::Error::other(format!("no entries {from} to {to}")))?;
        (from..)
            .zip(read)
            .map(|(index, entry)| unpack(index, entry))
            .collect()
    }

    /// The id of the last entry that `log_end` is behind of.
    fn last_before(&self, log_end: u64) -> Option<LogId> {
        let last = log_end.checked_sub(1)?;
        let term = self.log.term_at(last);
        (term > 0 || last > 0).then(|| log_id(term, last - 1))
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => *before + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => *last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let held = self.log.first_index() - 1..self.log.next_index() - 1;
        let (from, to) = (from.max(held.start), to.min(held.end));
        match from < to {
            true => self.entries(from, to),
            false => Ok(Vec::new()),
        }
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(*lock(&self.vote))
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        Ok(LogState {
            last_purged_log_id: None,
            last_log_id: self.last_before(self.log.next_index()),
        })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let bytes = postcard::to_stdvec(vote).map_err(io::Error::other)?;
        self.dir.save_state(&bytes).map_err(io::Error::other)?;
        *lock(&self.vote) = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut last = 0;
        for entry in entries {
            last = self.log.append(&pack(entry)?);
        }
        match self.kind {
            LogKind::Memory => callback.io_completed(Ok(())),
            LogKind::Fsync => {
                lock(&self.unflushed).push_back((last, callback));
                self.log.request_flush();
            }
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let end = last.map_or(0, |last| last.index + 1);
        self.log.truncate(index_in_log(end));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.log.purge(index_in_log(upto.index));
        Ok(())
    }
}

/// Our indexes begin with 1, openraft's with 0.
pub fn index_in_log(index: u64) -> u64 {
    index + 1
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

fn pack(entry: Entry) -> io::Result<storage::Entry> {
    let (kind, data) = match entry.payload {
        EntryPayload::Blank => (BLANK, Bytes::new()),
        EntryPayload::Normal(Command(data)) => (NORMAL, data),
        EntryPayload::Membership(members) => {
            let bytes = postcard::to_stdvec(&members).map_err(io::Error::other)?;
            (MEMBERSHIP, bytes.into())
        }
    };
    let made_at_us = 0;
    let term = *entry.log_id.leader_id;
    Ok(storage::Entry::new(term, kind, made_at_us, data))
}

fn unpack(index: u64, entry: storage::Entry) -> io::Result<Entry> {
    let payload = match entry.kind {
        NORMAL => EntryPayload::Normal(Command(entry.data)),
        MEMBERSHIP => {
            let members = postcard::from_bytes(&entry.data).map_err(io::Error::other)?;
            EntryPayload::Membership(members)
        }
        _ => EntryPayload::Blank,
    };
    Ok(Entry {
        log_id: log_id(entry.term, index),
        payload,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
