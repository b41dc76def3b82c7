//! Whether a concurrent history is linearizable: the search of Wing and Gong with Lowe's memory of
//! configurations seen.

use std::collections::HashSet;
use std::hash::Hash;

/// What an object does, one operation after the other.
pub trait Sequential {
    /// The object's state.
    type State: Clone + Eq + Hash;
    /// An operation together with what the client was told; being told nothing fits any state.
    type Operation;

    /// The state after `operation` in `state`, or `None` if it cannot have had that answer.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;
}

/// One operation of a history, with the moments between which it took effect.
#[derive(Debug, Clone)]
pub struct Call<O> {
    /// When the client sent it.
    pub invoked: u64,
    /// When the client had the answer; `None` if the outcome is unknown: it may take effect at any
    /// time after it was sent, or never.
    pub returned: Option<u64>,
    /// What it was.
    pub operation: O,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains all answers.
    Linearizable,
    /// There is none. The calls, by position, that no order got past.
    Violation(Vec<usize>),
    /// The search was given up after this many configurations.
    Undecided(usize),
}

/// Configurations after which the search is given up.
const CONFIGURATIONS_MAX: usize = 2_000_000;

/// Searches for an order of `calls` that `object`, beginning with `initial`, explains.
pub fn check<S: Sequential>(
    object: &S,
    initial: S::State,
    calls: &[Call<S::Operation>],
) -> Verdict {
    let mut order: Vec<usize> = (0..calls.len()).collect();
    order.sort_by_key(|&call| calls[call].invoked);
    let mut search = Search {
        object,
        calls,
        order,
        seen: HashSet::new(),
        furthest: 0,
        stuck: Vec::new(),
    };
    search.run(initial)
}

struct Search<'a, S: Sequential> {
    object: &'a S,
    calls: &'a [Call<S::Operation>],
    /// The calls by the time of their invocation.
    order: Vec<usize>,
    seen: HashSet<(Taken, S::State)>,
    /// Most calls with answers that any order has explained, and those that could not follow.
    furthest: usize,
    stuck: Vec<usize>,
}

/// Which calls, by their place in `order`, are in the order tried; those before `prefix` all are.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Taken {
    prefix: usize,
    beyond: Vec<usize>,
}

impl Taken {
    fn contains(&self, place: usize) -> bool {
        place < self.prefix || self.beyond.binary_search(&place).is_ok()
    }

    fn with(&self, place: usize) -> Taken {
        let mut taken = self.clone();
        let at = taken.beyond.partition_point(|other| *other < place);
        taken.beyond.insert(at, place);
        while taken.beyond.first() == Some(&taken.prefix) {
            taken.beyond.remove(0);
            taken.prefix += 1;
        }
        taken
    }
}

impl<S: Sequential> Search<'_, S> {
    fn run(&mut self, initial: S::State) -> Verdict {
        let answered = self.calls.iter().filter(|c| c.returned.is_some()).count();
        let empty = Taken {
            prefix: 0,
            beyond: Vec::new(),
        };
        let mut stack = vec![(empty, initial, 0)];
        while let Some((taken, state, explained)) = stack.pop() {
            if explained == answered {
                return Verdict::Linearizable;
            }
            if self.seen.len() > CONFIGURATIONS_MAX {
                return Verdict::Undecided(self.seen.len());
            }
            let candidates = self.candidates(&taken);
            if explained >= self.furthest {
                self.furthest = explained;
                self.stuck = candidates.iter().map(|place| self.order[*place]).collect();
            }
            // Pushed latest first: the order of invocation is the likeliest and tried first.
            for place in candidates.into_iter().rev() {
                let call = &self.calls[self.order[place]];
                if let Some(next) = self.object.step(&state, &call.operation) {
                    let unknown = call.returned.is_none();
                    if unknown && next == state {
                        continue;
                    }
                    let taken = taken.with(place);
                    if self.seen.insert((taken.clone(), next.clone())) {
                        stack.push((taken, next, explained + usize::from(!unknown)));
                    }
                }
            }
        }
        Verdict::Violation(std::mem::take(&mut self.stuck))
    }

    /// The calls that may come next: those that no other call returned before.
    fn candidates(&self, taken: &Taken) -> Vec<usize> {
        let mut first_return = u64::MAX;
        let mut candidates = Vec::new();
        for place in taken.prefix..self.order.len() {
            let call = &self.calls[self.order[place]];
            if call.invoked > first_return {
                break;
            }
            if !taken.contains(place) {
                first_return = first_return.min(call.returned.unwrap_or(u64::MAX));
                candidates.push(place);
            }
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register: `Write(v)` or `Read(v)`.
    struct Register;

    #[derive(Debug, Clone)]
    enum Op {
        Write(u8),
        Read(u8),
    }

    impl Sequential for Register {
        type State = u8;
        type Operation = Op;

        fn step(&self, state: &u8, operation: &Op) -> Option<u8> {
            match operation {
                Op::Write(value) => Some(*value),
                Op::Read(value) => (value == state).then_some(*state),
            }
        }
    }

    fn verdict(calls: &[(u64, Option<u64>, Op)]) -> Verdict {
        let calls: Vec<_> = calls
            .iter()
            .cloned()
            .map(|(invoked, returned, operation)| Call {
                invoked,
                returned,
                operation,
            })
            .collect();
        check(&Register, 0, &calls)
    }

    #[test]
    fn concurrent_calls_may_take_any_order_and_successive_ones_only_theirs() {
        use Op::{Read, Write};
        let concurrent = [
            (0, Some(9), Write(1)),
            (1, Some(5), Read(1)),
            (6, Some(8), Read(1)),
        ];
        assert_eq!(verdict(&concurrent), Verdict::Linearizable);
        let back = [
            (0, Some(9), Write(1)),
            (1, Some(5), Read(1)),
            (6, Some(8), Read(0)),
        ];
        assert!(matches!(verdict(&back), Verdict::Violation(_)));
        let stale = [(0, Some(1), Write(1)), (2, Some(3), Read(0))];
        assert_eq!(verdict(&stale), Verdict::Violation(vec![1]));
        let lost = [
            (0, Some(1), Write(1)),
            (2, Some(3), Write(2)),
            (4, Some(5), Read(1)),
        ];
        assert!(matches!(verdict(&lost), Verdict::Violation(_)));
    }

    #[test]
    fn an_unknown_outcome_may_take_effect_late_or_never_but_only_once() {
        use Op::{Read, Write};
        let unknown = (0, None, Write(1));
        let late = [
            unknown.clone(),
            (2, Some(3), Read(0)),
            (4, Some(5), Read(1)),
        ];
        assert_eq!(verdict(&late), Verdict::Linearizable);
        let never = [unknown.clone(), (2, Some(3), Read(0))];
        assert_eq!(verdict(&never), Verdict::Linearizable);
        let twice = [
            unknown,
            (2, Some(3), Read(1)),
            (4, Some(5), Write(2)),
            (6, Some(7), Read(1)),
        ];
        assert!(matches!(verdict(&twice), Verdict::Violation(_)));
    }
}
