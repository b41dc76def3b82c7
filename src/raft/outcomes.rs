//! The outcomes of what this node applied a moment ago.
//!
//! The core answers commands that were proposed together with the outcome of the last one. The
//! outcomes of the others are those of the entries before it, which this node applies too.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most outcomes that are kept: those of entries applied while one answer travels.
const COUNT_MAX: usize = 65_536;
/// Most bytes of them: as much as a node takes of commands in flight.
const BYTES_MAX: usize = 64 << 20;

/// The outcomes that batches of this node may still ask for. Clones are the same.
///
/// Nothing is kept while no batch is in flight, and nothing that was applied before the oldest of
/// them was proposed.
#[derive(Clone)]
pub struct Outcomes(Arc<Mutex<Kept>>);

/// Told once the outcomes of some entries, in their order; nothing for an entry that has none, or
/// whose outcome is not kept any more: each is told once. Called on the thread that applies, or on that which asks.
pub type Told = Box<dyn FnOnce(Vec<Option<Vec<u8>>>) + Send>;

struct Kept {
    /// The last index applied.
    applied: u64,
    /// Of the entries up to `applied`.
    outcomes: VecDeque<Option<Vec<u8>>>,
    bytes: usize,
    /// For each batch in flight, an index that all its entries are behind.
    wanted_behind: Vec<u64>,
    /// Who asks for entries that are not all applied yet.
    asking: Vec<(Range<u64>, Told)>,
}

impl Outcomes {
    /// Of a node that has applied the log up to `applied`.
    pub fn new(applied: u64) -> Outcomes {
        Outcomes(Arc::new(Mutex::new(Kept {
            applied,
            outcomes: VecDeque::new(),
            bytes: 0,
            wanted_behind: Vec::new(),
            asking: Vec::new(),
        })))
    }

    /// Has the outcomes of what is applied from now on kept, until what is returned is dropped.
    pub fn want(&self) -> Wanted {
        let mut kept = self.lock();
        let behind = kept.applied;
        kept.wanted_behind.push(behind);
        Wanted {
            outcomes: self.clone(),
            behind,
        }
    }

    /// Notes that `index` was applied, with this outcome if it was a command.
    pub fn note(&self, index: u64, outcome: Option<&[u8]>) {
        let mut kept = self.lock();
        kept.note(index, outcome);
        let ready = kept.take_answerable();
        drop(kept);
        tell(ready);
    }

    /// Notes that a snapshot has taken the place of all entries up to `index`.
    pub fn jump(&self, index: u64) {
        let mut kept = self.lock();
        kept.forget();
        kept.applied = index;
        let ready = kept.take_answerable();
        drop(kept);
        tell(ready);
    }

    /// Tells the outcomes of the entries `indexes`, once all of them are applied.
    pub fn when_applied(&self, indexes: Range<u64>, told: Told) {
        let mut kept = self.lock();
        kept.asking.push((indexes, told));
        let ready = kept.take_answerable();
        drop(kept);
        tell(ready);
    }

    /// Drops those who still ask: no more will be applied.
    pub fn abandon(&self) {
        let asking = std::mem::take(&mut self.lock().asking);
        drop(asking);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whole after each step, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who may ask for the outcomes of entries that were not applied when it was made.
pub struct Wanted {
    outcomes: Outcomes,
    behind: u64,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut kept = self.outcomes.lock();
        if let Some(place) = kept.wanted_behind.iter().position(|b| *b == self.behind) {
            kept.wanted_behind.swap_remove(place);
        }
        kept.forget_unwanted();
    }
}

/// Outside the lock: those told may want others.
fn tell(ready: Vec<(Told, Vec<Option<Vec<u8>>>)>) {
    for (told, outcomes) in ready {
        told(outcomes);
    }
}

impl Kept {
    fn note(&mut self, index: u64, outcome: Option<&[u8]>) {
        if index != self.applied + 1 {
            self.forget();
        }
        self.applied = index;
        if self.wanted_behind.is_empty() {
            return;
        }
        self.bytes += outcome.map_or(0, <[u8]>::len);
        self.outcomes.push_back(outcome.map(<[u8]>::to_vec));
        while self.outcomes.len() > COUNT_MAX || self.bytes > BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// Takes out who asks for entries that are all applied, with what there is of their outcomes.
    fn take_answerable(&mut self) -> Vec<(Told, Vec<Option<Vec<u8>>>)> {
        let applied = self.applied;
        let ready = self.asking.extract_if(.., |(of, _)| of.end <= applied + 1);
        let ready: Vec<_> = ready.collect();
        ready
            .into_iter()
            .map(|(of, told)| (told, of.map(|index| self.take(index)).collect()))
            .collect()
    }

    fn take(&mut self, index: u64) -> Option<Vec<u8>> {
        let back = usize::try_from(self.applied.checked_sub(index)?).ok()?;
        let place = self.outcomes.len().checked_sub(back + 1)?;
        let outcome = self.outcomes.get_mut(place)?.take()?;
        self.bytes -= outcome.len();
        Some(outcome)
    }

    fn forget_unwanted(&mut self) {
        let Some(behind) = self.wanted_behind.iter().min() else {
            return self.forget();
        };
        let wanted = self.applied.saturating_sub(*behind);
        while self.outcomes.len() as u64 > wanted {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let outcome = self.outcomes.pop_front().flatten();
        self.bytes -= outcome.map_or(0, |outcome| outcome.len());
    }

    fn forget(&mut self) {
        self.outcomes.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, TryRecvError, channel};

    use super::*;

    /// What is told of `indexes`, when it is.
    fn ask(outcomes: &Outcomes, indexes: Range<u64>) -> Receiver<Vec<Option<Vec<u8>>>> {
        let (sender, told) = channel();
        let tell = move |outcomes| sender.send(outcomes).expect("the test listens");
        outcomes.when_applied(indexes, Box::new(tell));
        told
    }

    #[test]
    fn what_is_applied_already_is_told_at_once_and_the_rest_when_it_is() {
        let outcomes = Outcomes::new(6);
        let _wanted = outcomes.want();
        outcomes.note(7, Some(&[7]));
        outcomes.note(8, None);
        let told = ask(&outcomes, 7..9);
        assert_eq!(told.try_recv(), Ok(vec![Some(vec![7]), None]));
        let told = ask(&outcomes, 9..11);
        outcomes.note(9, Some(&[9]));
        assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
        outcomes.note(10, Some(&[10]));
        assert_eq!(told.try_recv(), Ok(vec![Some(vec![9]), Some(vec![10])]));
    }

    #[test]
    fn nothing_is_kept_that_nobody_can_ask_for() {
        let outcomes = Outcomes::new(0);
        let kept = || outcomes.lock().outcomes.len();
        outcomes.note(1, Some(&[1]));
        assert_eq!(kept(), 0);
        let first = outcomes.want();
        outcomes.note(2, Some(&[2]));
        let second = outcomes.want();
        outcomes.note(3, Some(&[3]));
        assert_eq!(kept(), 2);
        drop(first);
        assert_eq!(kept(), 1);
        assert_eq!(ask(&outcomes, 3..4).try_recv(), Ok(vec![Some(vec![3])]));
        drop(second);
        assert_eq!(kept(), 0);
        assert_eq!(outcomes.lock().bytes, 0);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let outcomes = Outcomes::new(0);
        let _wanted = outcomes.want();
        for index in 1..=COUNT_MAX as u64 + 1 {
            outcomes.note(index, Some(&[]));
        }
        assert_eq!(
            ask(&outcomes, 1..3).try_recv(),
            Ok(vec![None, Some(vec![])])
        );
        let large = vec![0; BYTES_MAX];
        let index = COUNT_MAX as u64 + 2;
        outcomes.note(index, Some(&large));
        outcomes.note(index + 1, Some(&[1]));
        let told = ask(&outcomes, index..index + 2);
        assert_eq!(told.try_recv(), Ok(vec![None, Some(vec![1])]));
    }

    #[test]
    fn a_snapshot_takes_the_outcomes_along() {
        let outcomes = Outcomes::new(0);
        let _wanted = outcomes.want();
        outcomes.note(1, Some(&[1]));
        let (told, later) = (ask(&outcomes, 1..3), ask(&outcomes, 6..7));
        outcomes.jump(5);
        assert_eq!(told.try_recv(), Ok(vec![None, None]));
        outcomes.note(6, Some(&[6]));
        assert_eq!(later.try_recv(), Ok(vec![Some(vec![6])]));
    }

    #[test]
    fn whoever_is_abandoned_hears_of_it() {
        let outcomes = Outcomes::new(0);
        let wanted = outcomes.want();
        let (sender, told) = channel();
        let tell = move |outcomes| {
            let _ = sender.send((outcomes, wanted));
        };
        outcomes.when_applied(1..2, Box::new(tell));
        outcomes.abandon();
        assert!(matches!(told.try_recv(), Err(TryRecvError::Disconnected)));
    }
}
