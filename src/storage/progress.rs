//! How far a log is durable, which flush is under way, and who is to hear of it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The progress of one log's flushes. One flush is under way at a time; what is appended meanwhile
/// shares the next one.
///
/// Its lock is held for moments and nothing is called under it, so it may be taken with any other
/// lock held.
pub(super) struct Progress {
    state: Mutex<State>,
    /// For the flusher: a flush is to be started, or the log is closing.
    begin: Condvar,
    /// For the teller: a flush has ended.
    news: Condvar,
    /// For those who wait for a flush.
    end: Condvar,
    /// A copy of the highest durable index, for reading without the lock.
    durable: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Highest durable index.
    durable: u64,
    /// The number of the last flush asked for that the one under way serves.
    under_way: Option<u64>,
    /// What `durable` becomes if the flush under way succeeds.
    in_flight: u64,
    /// Flushes asked for and finished, counted.
    requested: u64,
    completed: u64,
    /// What the teller has passed on of `completed`.
    told: u64,
    /// Why the log failed, once it has.
    failure: Option<String>,
    closing: bool,
    /// No flush will be started any more.
    closed: bool,
}

impl State {
    /// After a failure there is nothing left to flush.
    fn is_flush_due(&self) -> bool {
        self.under_way.is_none() && self.failure.is_none() && self.requested > self.completed
    }

    /// All that was asked for has ended, badly.
    fn give_up(&mut self) {
        if self.failure.is_some() && self.under_way.is_none() {
            self.completed = self.requested;
        }
    }
}

/// A flush that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// For [`Progress::wait_for`].
    pub(super) number: u64,
    /// Whoever asked is to start a flush now.
    pub(super) begins: bool,
}

impl Progress {
    /// Of a log that is durable up to `durable`, and whose flushes are started.
    pub(super) fn new(durable: u64) -> Progress {
        Progress {
            state: Mutex::new(State {
                durable,
                in_flight: durable,
                ..State::default()
            }),
            begin: Condvar::new(),
            news: Condvar::new(),
            end: Condvar::new(),
            durable: AtomicU64::new(durable),
        }
    }

    /// Of a log that never flushes.
    pub(super) fn without_flushes(durable: u64) -> Progress {
        let progress = Progress::new(durable);
        progress.lock().closed = true;
        progress
    }

    /// Highest durable index.
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Why the log failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Whether the log has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    /// Asks for a flush.
    pub(super) fn request(&self) -> Request {
        let mut state = self.lock();
        state.requested += 1;
        let begins = !state.closed && state.is_flush_due();
        if begins {
            state.under_way = Some(state.requested);
        }
        Request {
            number: state.requested,
            begins,
        }
    }

    /// Waits until a flush is due that nobody else starts, and takes that upon the caller; `false` when
    /// the log is closing and all flushes have ended.
    pub(super) fn await_request(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.is_flush_due() {
                state.under_way = Some(state.requested);
                return true;
            }
            if state.closing && state.under_way.is_none() {
                state.closed = true;
                self.news.notify_all();
                self.end.notify_all();
                return false;
            }
            state = wait(&self.begin, state);
        }
    }

    /// The flush under way makes durable what is there up to `upto`, and serves whoever has asked by
    /// now.
    pub(super) fn begins(&self, upto: u64) {
        let mut state = self.lock();
        state.in_flight = upto;
        state.under_way = Some(state.requested);
    }

    /// The flush under way has ended.
    pub(super) fn ends(&self, outcome: io::Result<()>) {
        let mut state = self.lock();
        if let Some(number) = state.under_way.take() {
            state.completed = number;
        }
        match outcome {
            Ok(()) if state.failure.is_none() => {
                let reached = state.durable.max(state.in_flight);
                self.set_durable(&mut state, reached);
            }
            Ok(()) => {}
            Err(error) => note_failure(&mut state, &error),
        }
        state.give_up();
        let flusher_is_needed = state.is_flush_due() || state.closing;
        drop(state);
        self.news.notify_one();
        self.end.notify_all();
        if flusher_is_needed {
            self.begin.notify_one();
        }
    }

    /// The log has failed: nothing becomes durable any more. The teller is told so at once.
    pub(super) fn fail(&self, error: &io::Error) {
        let mut state = self.lock();
        note_failure(&mut state, error);
        state.requested += 1;
        state.give_up();
        drop(state);
        self.news.notify_one();
        self.end.notify_all();
    }

    /// Nothing above `last` is there any more, nor will the flush under way make it durable.
    pub(super) fn cut(&self, last: u64) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.min(last);
        let durable = state.durable.min(last);
        self.set_durable(&mut state, durable);
    }

    /// Everything up to `upto` is durable in another way.
    pub(super) fn raise(&self, upto: u64) {
        let mut state = self.lock();
        let durable = state.durable.max(upto);
        self.set_durable(&mut state, durable);
    }

    /// Waits for the end of flush `number`. `false` if it failed, or the log did, or is closed.
    pub(super) fn wait_for(&self, number: u64) -> bool {
        let mut state = self.lock();
        while state.completed < number && state.failure.is_none() && !state.closed {
            state = wait(&self.end, state);
        }
        state.completed >= number && state.failure.is_none()
    }

    /// Waits for flushes that nobody was told of: whether they were successful; `None` when there will
    /// be none.
    pub(super) fn next_news(&self) -> Option<bool> {
        let mut state = self.lock();
        while state.told == state.completed {
            if state.closed {
                return None;
            }
            state = wait(&self.news, state);
        }
        state.told = state.completed;
        Some(state.failure.is_none())
    }

    /// Lets the flusher and the teller end once all is done and told.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.begin.notify_all();
    }

    fn set_durable(&self, state: &mut State, durable: u64) {
        state.durable = durable;
        self.durable.store(durable, Ordering::Release);
    }

    /// The state is whole at every moment, so a panic elsewhere leaves it usable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note_failure(state: &mut State, error: &io::Error) {
    if state.failure.is_none() {
        tracing::error!(%error, "the log cannot be written; nothing is durable from here on");
        state.failure = Some(error.to_string());
    }
}

fn wait<'a>(condvar: &Condvar, guard: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
