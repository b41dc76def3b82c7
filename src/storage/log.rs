//! The log of one node: appended to in memory, made durable in groups.
//!
//! Appending never waits for the disk. A flush makes everything appended so far durable with one
//! sync; what is appended meanwhile shares the next. Whoever asks for a flush starts it, unless one
//! is under way: then a thread, the flusher, starts the next. Another thread, the teller, passes
//! the news on to the [notifier](Log::set_notifier) with no lock held: the notifier may take the
//! core's locks while other threads append, and may itself append and flush.
//!
//! A failure to write or to sync is remembered: nothing is called durable after it, and the
//! notifier is told `false`. The system may have dropped the unwritten pages, so trying again
//! could report success for data that is gone.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::disk::DiskMedium;
use super::entry::Entry;
use super::error::StorageError;
use super::medium::{FlushDone, Medium, MemoryMedium, ReadMore};
use super::progress::Progress;
use crate::telemetry;

/// Called by the teller after one or more flushes: `true` after progress, `false` after a failure.
pub type Notifier = Arc<dyn Fn(bool) + Send + Sync>;

/// How much a log did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Entries appended.
    pub appended: u64,
    /// Syncs of the log's files.
    pub syncs: u64,
    /// What the log's files take now, in bytes.
    pub bytes: u64,
}

/// The log of one node. All methods may be called from any thread.
///
/// Indexes begin with 1. Dropping the log flushes what is left and stops its threads.
pub struct Log {
    shared: Arc<Shared>,
    /// The flusher, then the teller.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    content: Mutex<Content>,
    /// Apart, as the medium's thread has it too: it must not keep the medium itself.
    progress: Arc<Progress>,
    /// Called without a lock.
    notifier: Mutex<Option<Notifier>>,
    /// Copies for lock-free reading; written under `content`.
    first: AtomicU64,
    next: AtomicU64,
    appended: AtomicU64,
    sync_seconds: Histogram,
}

struct Content {
    medium: Box<dyn Medium>,
    first: u64,
    /// Terms of the retained entries, from `first` on.
    terms: VecDeque<u64>,
    /// No flusher: what is appended counts as durable at once.
    volatile: bool,
}

impl Content {
    fn next(&self) -> u64 {
        self.first + self.terms.len() as u64
    }
}

impl Log {
    /// Opens the log kept in `dir`, which exists.
    pub fn open(dir: &Path) -> Result<Log, StorageError> {
        let medium = DiskMedium::open(dir)?;
        Log::over(Box::new(medium)).map_err(|e| StorageError::damaged(dir, e.to_string()))
    }

    /// A log that is lost with the process, and durable at once as far as anybody is told.
    pub fn in_memory() -> Log {
        let content = Content {
            medium: Box::new(MemoryMedium::new()),
            first: 1,
            terms: VecDeque::new(),
            volatile: true,
        };
        Log {
            shared: Arc::new(Shared::new(content)),
            threads: Mutex::new(Vec::new()),
        }
    }

    /// A log over `medium`, whose present content is taken for durable.
    pub fn over(medium: Box<dyn Medium>) -> io::Result<Log> {
        let (first, next) = medium.bounds();
        let mut terms = VecDeque::new();
        medium.read(first, next, &mut |entry| {
            terms.push_back(entry.term);
            ReadMore::Yes
        })?;
        let shared = Arc::new(Shared::new(Content {
            medium,
            first,
            terms,
            volatile: false,
        }));
        let log = Log {
            shared,
            threads: Mutex::new(Vec::new()),
        };
        log.spawn("raft3d-flush", Shared::run_flusher)?;
        log.spawn("raft3d-tell", Shared::run_teller)?;
        Ok(log)
    }

    /// Starts a thread whose events belong to the present span.
    fn spawn(&self, name: &str, run: fn(&Shared)) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let span = tracing::Span::current();
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(move || span.in_scope(|| run(&shared)))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Whom the teller tells; `None` to tell nobody. A call under way may still be running when
    /// this returns.
    pub fn set_notifier(&self, notifier: Option<Notifier>) {
        *lock(&self.shared.notifier) = notifier;
    }

    /// First retained index; one past the last if the log is empty.
    pub fn first_index(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// One past the last index.
    pub fn next_index(&self) -> u64 {
        self.shared.next.load(Ordering::Acquire)
    }

    /// Highest index that survives a power failure; the one before the first if none does.
    pub fn durable_index(&self) -> u64 {
        self.shared.progress.durable()
    }

    /// Term of the entry at `index`; 0 if it is not retained.
    pub fn term_at(&self, index: u64) -> u64 {
        let content = lock(&self.shared.content);
        let offset = index.checked_sub(content.first);
        offset
            .and_then(|o| content.terms.get(o as usize))
            .copied()
            .unwrap_or(0)
    }

    /// Adds an entry and returns its index. It is durable after the next flush.
    ///
    /// After a failure the entry gets its index but is kept nowhere: reading it fails and it
    /// never becomes durable.
    pub fn append(&self, entry: &Entry) -> u64 {
        let mut content = lock(&self.shared.content);
        let index = content.next();
        self.shared
            .try_write(|| content.medium.append(index, entry));
        content.terms.push_back(entry.term);
        self.shared.appended.fetch_add(1, Ordering::Relaxed);
        self.shared.publish(&content);
        index
    }

    /// Removes the entries from `from` on. Nothing happens if there are none.
    pub fn truncate(&self, from: u64) {
        let mut content = lock(&self.shared.content);
        let from = from.max(content.first);
        if from >= content.next() {
            return;
        }
        self.shared.try_write(|| content.medium.truncate(from));
        let keep = (from - content.first) as usize;
        content.terms.truncate(keep);
        self.shared.progress.cut(from - 1);
        self.shared.publish(&content);
    }

    /// Removes the entries up to and including `upto`. If the log ends before `upto`, all are
    /// removed and the next entry gets the index `upto + 1`.
    ///
    /// To be called only when a durable snapshot covers `upto`. The space is given back by the
    /// next flush.
    pub fn purge(&self, upto: u64) {
        let mut content = lock(&self.shared.content);
        // No log reaches the last number there is.
        let Some(first) = upto.checked_add(1).filter(|first| *first > content.first) else {
            return;
        };
        self.shared.try_write(|| content.medium.purge(upto));
        let count = content.terms.len().min((first - content.first) as usize);
        content.terms.drain(..count);
        content.first = first;
        self.shared.progress.raise(upto);
        self.shared.publish(&content);
    }

    /// The entries `from..to`, or a prefix of them: it ends with the entry that brings the
    /// payloads to `bytes_max` or above. `None` if one of them is not retained or cannot be read.
    pub fn read(&self, from: u64, to: u64, bytes_max: u64) -> Option<Vec<Entry>> {
        let content = lock(&self.shared.content);
        if from < content.first || to > content.next() || from > to {
            return None;
        }
        let mut entries = Vec::new();
        let mut bytes = 0u64;
        let outcome = content.medium.read(from, to, &mut |entry| {
            bytes = bytes.saturating_add(entry.data.len() as u64);
            entries.push(entry);
            if bytes >= bytes_max {
                ReadMore::No
            } else {
                ReadMore::Yes
            }
        });
        match outcome {
            Ok(()) => Some(entries),
            Err(error) => {
                tracing::error!(from, to, %error, "cannot read the log");
                None
            }
        }
    }

    /// Asks for a flush of everything appended so far and returns at once.
    pub fn request_flush(&self) {
        self.shared.request_flush();
    }

    /// Makes everything appended so far durable before it returns. `false` if that failed, now or
    /// earlier, or the log is closed.
    pub fn flush(&self) -> bool {
        if lock(&self.shared.content).volatile {
            return true;
        }
        let number = self.shared.request_flush();
        self.shared.progress.wait_for(number)
    }

    /// Why the log failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.shared.progress.failure()
    }

    /// What the log did since it was opened.
    pub fn stats(&self) -> LogStats {
        let content = lock(&self.shared.content);
        LogStats {
            appended: self.shared.appended.load(Ordering::Relaxed),
            syncs: content.medium.syncs(),
            bytes: content.medium.bytes(),
        }
    }

    /// Adds to `registry` how long it takes to make entries durable, and what the log takes.
    pub fn register_metrics(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(LogSize(Arc::clone(&self.shared))));
        registry.register(
            "wal_fsync_duration_seconds",
            "Writing what was appended to the log and having the disk confirm it, once for all \
             entries that wait",
            self.shared.sync_seconds.clone(),
        );
    }

    /// Flushes what is left, passes on the last news and stops the threads. Afterwards nothing
    /// becomes durable any more. Not to be called from the notifier.
    pub fn close(&self) {
        self.shared.progress.close();
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
    }
}

/// What the log's files take, looked up when somebody asks.
struct LogSize(Arc<Shared>);

impl fmt::Debug for LogSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSize").finish_non_exhaustive()
    }
}

impl Collector for LogSize {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "What the log's files take on the disk.";
        let bytes = lock(&self.0.content).medium.bytes();
        telemetry::gauge(&mut encoder, "log_bytes", help, bytes)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn new(content: Content) -> Shared {
        let durable = content.next() - 1;
        Shared {
            first: AtomicU64::new(content.first),
            next: AtomicU64::new(content.next()),
            appended: AtomicU64::new(0),
            sync_seconds: telemetry::waits(),
            progress: Arc::new(match content.volatile {
                true => Progress::without_flushes(durable),
                false => Progress::new(durable),
            }),
            content: Mutex::new(content),
            notifier: Mutex::new(None),
        }
    }

    fn run_flusher(&self) {
        while self.progress.await_request() {
            self.start_flush();
        }
    }

    fn run_teller(&self) {
        while let Some(ok) = self.progress.next_news() {
            let notifier = lock(&self.notifier).clone();
            if let Some(notify) = notifier {
                notify(ok);
            }
        }
    }

    /// Asks for a flush, and starts it if none is under way; its number. Not to be called with the
    /// content locked.
    fn request_flush(&self) -> u64 {
        let request = self.progress.request();
        if request.begins {
            self.start_flush();
        }
        request.number
    }

    /// Begins to make durable what is there now. The content is locked only for that.
    fn start_flush(&self) {
        let (progress, sync_seconds) = (Arc::clone(&self.progress), self.sync_seconds.clone());
        let began = Instant::now();
        let done = FlushDone::new(move |outcome| {
            sync_seconds.observe(began.elapsed().as_secs_f64());
            progress.ends(outcome);
        });
        let mut content = lock(&self.content);
        self.progress.begins(content.next() - 1);
        // If the log has failed meanwhile, `done` is dropped, which ends this flush too.
        self.try_write(|| content.medium.flush(done));
    }

    /// Runs a write unless the log has failed before, and remembers its failure.
    fn try_write(&self, write: impl FnOnce() -> io::Result<()>) {
        if self.progress.has_failed() {
            return;
        }
        if let Err(error) = write() {
            self.progress.fail(&error);
        }
    }

    /// Makes a change of the content visible to lock-free readers.
    fn publish(&self, content: &Content) {
        if content.volatile {
            self.progress.raise(content.next() - 1);
        }
        self.first.store(content.first, Ordering::Release);
        self.next.store(content.next(), Ordering::Release);
    }
}

/// The data of each mutex here is whole at every moment, so a panic elsewhere leaves it usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
