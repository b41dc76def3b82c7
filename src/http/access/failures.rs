//! How many invalid tokens one address may show, and how often the leader is asked about one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Addresses that are told apart at a time; those beyond count as one. About 64 bytes each.
const ADDRESSES_MAX: usize = 4_096;
/// What one address may fail.
const PER_ADDRESS: Allowance = Allowance {
    burst: 10,
    every: Duration::from_secs(6),
};

/// So many at once, and one more after each pause.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// At once.
    pub burst: u32,
    /// The pause.
    pub every: Duration,
}

/// What was taken of an allowance: when all of it will be there again.
#[derive(Debug, Clone, Copy)]
struct Spent(Instant);

impl Spent {
    /// Takes one at `now`, or says after how long there will be one.
    fn take(&mut self, allowance: Allowance, now: Instant) -> Result<(), Duration> {
        let whole_again = self.0.max(now) + allowance.every;
        let wait = (whole_again - now).saturating_sub(allowance.every * allowance.burst);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.0 = whole_again;
        Ok(())
    }

    /// Gives one back.
    fn give_back(&mut self, allowance: Allowance) {
        self.0 = self.0.checked_sub(allowance.every).unwrap_or(self.0);
    }
}

/// One allowance for everybody.
#[derive(Debug)]
pub struct Shared {
    allowance: Allowance,
    spent: Mutex<Spent>,
}

impl Shared {
    /// All of it is there.
    pub fn new(allowance: Allowance) -> Shared {
        Shared {
            allowance,
            spent: Mutex::new(Spent(Instant::now())),
        }
    }

    /// Takes one at `now`, or says after how long there will be one.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        lock(&self.spent).take(self.allowance, now)
    }
}

/// The failures of each address that has failed lately. Its memory is bounded.
#[derive(Debug, Default)]
pub struct Failures {
    by_address: Mutex<HashMap<IpAddr, Spent>>,
}

impl Failures {
    /// Counts a failure of `address` at `now`, or says how long it has to wait: then it fails without
    /// being counted.
    pub fn count(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut by_address = lock(&self.by_address);
        let mut key = network_of(address);
        if !by_address.contains_key(&key) && by_address.len() >= ADDRESSES_MAX {
            by_address.retain(|_, spent| spent.0 > now);
            if by_address.len() >= ADDRESSES_MAX {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let spent = by_address.entry(key).or_insert(Spent(now));
        spent.take(PER_ADDRESS, now)
    }

    /// Takes the last failure of `address` back: it was none.
    pub fn forgive(&self, address: IpAddr) {
        if let Some(spent) = lock(&self.by_address).get_mut(&network_of(address)) {
            spent.give_back(PER_ADDRESS);
        }
    }
}

/// Who has one IPv6 address has all of its /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

/// What is guarded is whole after each step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn an_address_fails_a_few_times_and_then_now_and_then() {
        let (failures, start) = (Failures::default(), Instant::now());
        let count = |last, seconds| failures.count(address(last), start + seconds * SECOND);
        for _ in 0..10 {
            assert_eq!(count(1, 0), Ok(()));
        }
        assert_eq!(count(1, 0), Err(6 * SECOND));
        assert_eq!(count(2, 0), Ok(()), "another's failures");
        assert_eq!(count(1, 4), Err(2 * SECOND));
        assert_eq!(count(1, 6), Ok(()));
        assert!(count(1, 6).is_err());
        failures.forgive(address(1));
        assert_eq!(count(1, 6), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_strangers_beyond_share() {
        let (failures, start) = (Failures::default(), Instant::now());
        let max = u32::try_from(ADDRESSES_MAX).unwrap();
        let count = |n: u32, now| {
            let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            failures.count(address, now)
        };
        for n in 0..max + 10 {
            assert_eq!(count(n, start), Ok(()));
        }
        assert!(count(max + 10, start).is_err());
        assert_eq!(count(0, start), Ok(()), "those known count alone");
        assert!(lock(&failures.by_address).len() <= ADDRESSES_MAX + 1);
        let later = start + PER_ADDRESS.every * PER_ADDRESS.burst;
        assert_eq!(count(max + 10, later), Ok(()));
        assert_eq!(
            lock(&failures.by_address).len(),
            1,
            "the recovered are forgotten"
        );
    }

    #[test]
    fn an_allowance_is_the_same_for_everybody() {
        let shared = Shared::new(Allowance {
            burst: 2,
            every: SECOND,
        });
        let now = Instant::now() + SECOND;
        let taken = [shared.take(now), shared.take(now), shared.take(now)];
        assert_eq!(taken, [Ok(()), Ok(()), Err(SECOND)]);
    }

    #[test]
    fn one_network_counts_as_one() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
