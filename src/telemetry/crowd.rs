//! Log lines of many kinds, none of which may crowd out the others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of one kind that are let through in a period.
const LINES_MAX: u32 = 20;
/// The length of a period.
const PERIOD: Duration = Duration::from_secs(10);

/// Lets 20 lines of each kind through in ten seconds. A kind is the place in the program that writes it;
/// so there are as many as the program has, whoever causes the lines.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<BTreeMap<(String, usize), Kind>>);

#[derive(Debug)]
struct Kind {
    since: Instant,
    lines: u32,
    held_back: u64,
}

impl Crowd {
    /// Whether a line of `file:line` may be written now; if so, how many of its kind were not before.
    pub fn admit(&self, file: &str, line: usize) -> Option<u64> {
        self.admit_at(file, line, Instant::now())
    }

    fn admit_at(&self, file: &str, line: usize, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry((file.to_owned(), line)).or_insert(Kind {
            since: now,
            lines: 0,
            held_back: 0,
        });
        if now.saturating_duration_since(kind.since) >= PERIOD {
            (kind.since, kind.lines) = (now, 0);
        }
        if kind.lines == LINES_MAX {
            kind.held_back += 1;
            return None;
        }
        kind.lines += 1;
        Some(std::mem::take(&mut kind.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_is_held_back_and_the_others_are_not() {
        let crowd = Crowd::default();
        let start = Instant::now();
        let flood = |seconds| crowd.admit_at("door.cxx", 7, start + Duration::from_secs(seconds));
        let first = (0..1_000).filter_map(|_| flood(0)).count();
        assert_eq!(first, LINES_MAX as usize);
        assert_eq!(crowd.admit_at("door.cxx", 8, start), Some(0));
        assert_eq!(flood(9), None);
        assert_eq!(flood(10), Some(1_000 - u64::from(LINES_MAX) + 1));
        assert_eq!(flood(11), Some(0));
    }
}
