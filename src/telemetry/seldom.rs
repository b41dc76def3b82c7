//! Log lines that others can cause at will, at a rate that they cannot choose.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one line through in each period, and counts those that it holds back.
#[derive(Debug)]
pub struct Seldom {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// One line in each `period`, the first at once.
    pub fn new(period: Duration) -> Seldom {
        Seldom {
            period,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now; if so, how many were not since the one before.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |last| now.saturating_duration_since(last) < self.period;
        if state.last.is_some_and(waits) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_period_tells_how_many_were_held_back() {
        let seldom = Seldom::new(Duration::from_secs(60));
        let start = Instant::now();
        let after = |seconds| seldom.admit_at(start + Duration::from_secs(seconds));
        assert_eq!(after(0), Some(0));
        assert_eq!([after(1), after(2), after(59)], [None; 3]);
        assert_eq!(after(60), Some(3));
        assert_eq!(after(119), None);
        assert_eq!(after(500), Some(1));
    }
}
