//! What can go wrong, and how often each of it does.

use std::collections::BTreeMap;
use std::fmt;

use super::network::Link;
use super::rng::Rng;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill(u8),
    /// SIGKILL, and what was never synced is forgotten.
    PowerLoss(u8),
    /// The same of all nodes.
    PowerLossEverywhere,
    /// SIGKILL of all nodes.
    KillAll,
    /// SIGSTOP.
    Pause(u8),
    /// Two groups cannot reach each other.
    Split(Vec<u8>),
    /// One node alone: the leader, if there is one.
    LeaderAlone,
    /// Two groups that have one node in common.
    Bridge(Vec<u8>, u8),
    /// One direction between two nodes is cut.
    OneWay(u8, u8),
    /// A node hears nobody, or nobody hears it.
    Deaf(u8),
    Mute(u8),
    /// Packets are delayed, overtake each other, are lost or arrive twice, on all links.
    BadNetwork(Link),
    /// Writes fail with this errno.
    FailingWrites(u8, i32),
    /// Syncs fail.
    FailingSyncs(u8),
    /// Syncs take this long, in milliseconds.
    SlowDisk(u8, i32),
    /// The wall clock is off by this, in milliseconds.
    Clock(u8, i64),
    /// A snapshot is asked for.
    Snapshot(u8),
    /// A node is removed, loses its data, and joins again.
    Replace(u8),
}

/// Which faults a run draws from, and how often each.
pub const ALL_FAULTS: [(u64, Draw); 18] = [
    (12, |rng, ids| Fault::Kill(*rng.pick(ids))),
    (12, |rng, ids| Fault::PowerLoss(*rng.pick(ids))),
    (5, |_, _| Fault::PowerLossEverywhere),
    (3, |_, _| Fault::KillAll),
    (8, |rng, ids| Fault::Pause(*rng.pick(ids))),
    (8, |rng, ids| {
        let size = rng.between(1, ids.len() as u64 - 1) as usize;
        Fault::Split(rng.shuffled(ids)[..size].to_vec())
    }),
    (10, |_, _| Fault::LeaderAlone),
    (5, |rng, ids| {
        let order = rng.shuffled(ids);
        let size = 1 + ids.len() / 2;
        Fault::Bridge(order[1..size].to_vec(), order[0])
    }),
    (5, |rng, ids| {
        let order = rng.shuffled(ids);
        Fault::OneWay(order[0], order[1])
    }),
    (4, |rng, ids| Fault::Deaf(*rng.pick(ids))),
    (4, |rng, ids| Fault::Mute(*rng.pick(ids))),
    (8, |rng, _| {
        Fault::BadNetwork(Link {
            cut: false,
            loss_percent: rng.between(0, 15),
            twice_percent: rng.between(0, 10),
            delay_ms: (0, rng.between(0, 60)),
        })
    }),
    (6, |rng, ids| {
        Fault::FailingWrites(*rng.pick(ids), *rng.pick(&[libc::ENOSPC, libc::EIO]))
    }),
    (6, |rng, ids| Fault::FailingSyncs(*rng.pick(ids))),
    (5, |rng, ids| {
        Fault::SlowDisk(*rng.pick(ids), rng.between(5, 300) as i32)
    }),
    (3, |rng, ids| {
        Fault::Clock(
            *rng.pick(ids),
            rng.between(0, 20_000_000) as i64 - 10_000_000,
        )
    }),
    (4, |rng, ids| Fault::Snapshot(*rng.pick(ids))),
    (6, |rng, ids| Fault::Replace(*rng.pick(ids))),
];

/// Draws one fault for nodes with the given ids.
pub type Draw = fn(&mut Rng, &[u8]) -> Fault;

/// How often each kind of thing was done.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Counts `more` of `what`.
    pub fn add(&mut self, what: &'static str, more: u64) {
        *self.0.entry(what).or_default() += more;
    }

    /// Counts everything in `other` too.
    pub fn merge(&mut self, other: &Tally) {
        for (what, count) in &other.0 {
            self.add(what, *count);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self
            .0
            .iter()
            .map(|(what, n)| format!("{what} {n}"))
            .collect();
        f.write_str(&counts.join(", "))
    }
}
