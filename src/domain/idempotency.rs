//! The replicated memory of answers already given, by idempotency key.
//!
//! Part of the state and of its snapshots, so that the promise "the same key, the same answer"
//! outlives every leader. Bounded by count, by bytes and by age; the oldest answers go first.
//! Age is measured in log time, the latest moment stamped on any command, never by a clock.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::command::Idempotency;
use super::outcome::Outcome;
use super::time::Timestamp;
use super::tokens::Actor;

/// How much is remembered. Every replica must have the same limits; a snapshot carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most answers kept.
    pub count_max: u64,
    /// Most bytes of keys and encoded answers kept.
    pub bytes_max: u64,
    /// Longest time an answer is kept, in milliseconds of log time.
    pub age_ms_max: u64,
}

impl Default for Limits {
    /// 10,000 answers, 64 MiB, 24 hours.
    fn default() -> Limits {
        Limits {
            count_max: 10_000,
            bytes_max: 64 << 20,
            age_ms_max: 24 * 60 * 60 * 1_000,
        }
    }
}

/// One answer, as remembered and as written to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Whose key it is.
    pub(super) actor: Option<Actor>,
    pub(super) key: String,
    pub(super) fingerprint: [u8; 32],
    /// Log time when it was given. Not the command's own stamp: one clock that runs ahead must
    /// not make every later answer look old.
    pub(super) given_at: Timestamp,
    pub(super) outcome: Outcome,
}

impl Remembered {
    fn owned_key(&self) -> OwnedKey {
        (self.actor, Arc::from(self.key.as_str()))
    }

    /// What it counts for in [`Limits::bytes_max`].
    fn bytes(&self) -> u64 {
        (self.key.len() + self.outcome.encode().len()) as u64
    }
}

/// What the memory knows of a key.
pub(super) enum Recall {
    /// Nothing: the request is new.
    New,
    /// The same request was answered before.
    Repeated(Outcome),
    /// The key belongs to another request.
    Reused,
}

/// An answer and what it counts for.
#[derive(Debug, Clone)]
struct Held {
    answer: Arc<Remembered>,
    bytes: u64,
}

/// A key together with whose it is.
type OwnedKey = (Option<Actor>, Arc<str>);

/// The answers remembered. Cloning is O(1).
#[derive(Debug, Clone)]
pub(super) struct Memory {
    limits: Limits,
    by_key: OrdMap<OwnedKey, Arc<Remembered>>,
    /// In the order given, which is also the order of age.
    by_index: OrdMap<u64, Held>,
    bytes: u64,
}

impl Memory {
    pub(super) fn new(limits: Limits) -> Memory {
        Memory {
            limits,
            by_key: OrdMap::new(),
            by_index: OrdMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn len(&self) -> usize {
        self.by_index.len()
    }

    /// The answers remembered, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.by_index.values().map(|held| held.answer.as_ref())
    }

    /// Whether nothing is remembered for the `key` of `actor`.
    pub(super) fn is_new(&self, actor: Option<Actor>, key: &str) -> bool {
        !self.by_key.contains_key(&(actor, Arc::from(key)))
    }

    /// What is known of the key that `actor` gave the request.
    pub(super) fn recall(&self, actor: Option<Actor>, request: &Idempotency) -> Recall {
        match self.by_key.get(&(actor, Arc::from(request.key.as_str()))) {
            None => Recall::New,
            Some(known) if known.fingerprint == request.fingerprint => Recall::Repeated(Outcome {
                replayed: true,
                ..known.outcome.clone()
            }),
            Some(_) => Recall::Reused,
        }
    }

    /// Remembers an answer whose key is new and whose index is above all others, then forgets
    /// the oldest beyond the limits.
    pub(super) fn remember(&mut self, answer: Remembered) {
        let (index, bytes) = (answer.outcome.index, answer.bytes());
        let answer = Arc::new(answer);
        self.by_key.insert(answer.owned_key(), answer.clone());
        self.by_index.insert(index, Held { answer, bytes });
        self.bytes = self.bytes.saturating_add(bytes);
        while self.is_over_full() && self.forget_oldest() {}
    }

    fn is_over_full(&self) -> bool {
        self.len() as u64 > self.limits.count_max || self.bytes > self.limits.bytes_max
    }

    /// Forgets the answers older than the limit at log time `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self.oldest_age_ms(now) > self.limits.age_ms_max && self.forget_oldest() {}
    }

    /// Age of the oldest answer at log time `now`; 0 if there is none.
    fn oldest_age_ms(&self, now: Timestamp) -> u64 {
        self.by_index
            .get_min()
            .map_or(0, |(_, oldest)| now.millis_since(oldest.answer.given_at))
    }

    /// Forgets one answer; false if there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((index, oldest)) = self.by_index.get_min().cloned() else {
            return false;
        };
        self.by_index.remove(&index);
        self.by_key.remove(&oldest.answer.owned_key());
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        true
    }
}
