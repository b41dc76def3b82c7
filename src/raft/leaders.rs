//! Counts the leaders that a node has had.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;

/// A term has at most one leader, so a leader in a newer term is a change.
#[derive(Debug, Default)]
pub struct Leaders {
    newest_term: AtomicU64,
    own_term: AtomicU64,
    /// How often a leader took office, as far as this node has seen.
    pub changes: Counter,
}

impl Leaders {
    /// There is a leader in `term`: this node (`own`), or one that it follows.
    pub fn seen(&self, term: u64, own: bool) {
        if own {
            self.own_term.store(term, Ordering::Relaxed);
        }
        if term > self.newest_term.load(Ordering::Relaxed)
            && term > self.newest_term.fetch_max(term, Ordering::Relaxed)
        {
            self.changes.inc();
        }
    }

    /// Whether `term` is the last one that this node took office in.
    pub fn led(&self, term: u64) -> bool {
        self.own_term.load(Ordering::Relaxed) == term
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_counts_once_and_old_ones_do_not() {
        let leaders = Leaders::default();
        for term in [3, 3, 2, 5, 3, 5, 6] {
            leaders.seen(term, term == 5);
        }
        assert_eq!(leaders.changes.get(), 3);
        assert!(leaders.led(5) && !leaders.led(6));
    }
}
