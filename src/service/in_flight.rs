//! Bounds what is in flight: a command, from its submission until it has an outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Limits, SubmitError};

/// The commands in flight on one node.
#[derive(Debug)]
pub(super) struct InFlight {
    count: AtomicUsize,
    bytes: AtomicUsize,
    count_max: usize,
    bytes_max: usize,
}

/// The place of one command among those in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    among: Arc<InFlight>,
    bytes: usize,
}

impl InFlight {
    /// None yet, and never more than `limits` say.
    pub(super) fn new(limits: &Limits) -> InFlight {
        InFlight {
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            count_max: limits.in_flight_max,
            bytes_max: limits.bytes_in_flight_max,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Takes a place for a command of `bytes`, if there is one.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Place, SubmitError> {
        take(&self.count, 1, self.count_max)?;
        let mut place = Place {
            among: Arc::clone(self),
            bytes: 0,
        };
        take(&self.bytes, bytes, self.bytes_max)?;
        place.bytes = bytes;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.among.count.fetch_sub(1, Ordering::Relaxed);
        self.among.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Adds `more` to `taken`, unless that would be above `max`.
fn take(taken: &AtomicUsize, more: usize, max: usize) -> Result<(), SubmitError> {
    let sum = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= max);
    let result = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    result.map(drop).map_err(|_| SubmitError::Overloaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_count_and_by_bytes_and_come_back() {
        let in_flight = Arc::new(InFlight::new(&Limits {
            in_flight_max: 2,
            bytes_in_flight_max: 10,
            ..Limits::default()
        }));
        let first = in_flight.enter(6).unwrap();
        assert_eq!(in_flight.enter(5).unwrap_err(), SubmitError::Overloaded);
        assert_eq!(in_flight.count(), 1);
        let second = in_flight.enter(4).unwrap();
        assert_eq!(in_flight.enter(0).unwrap_err(), SubmitError::Overloaded);
        drop((first, second));
        assert_eq!(in_flight.count(), 0);
        assert!(in_flight.enter(10).is_ok());
    }
}
