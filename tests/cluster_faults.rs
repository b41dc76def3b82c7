//! Real clusters on bad networks, bad disks and without power: what was acknowledged is never
//! lost, and what is read is never stale.
//!
//! A seed that failed is tried again with `RAFT3D_FAULTS_SEED`. `make torture` runs the long
//! version, which is the test `torture`, for `RAFT3D_TORTURE_MINUTES` or `RAFT3D_TORTURE_RUNS`,
//! whichever is over first.

mod cluster_support;
mod faults;

use std::env;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use faults::fault::{ALL_FAULTS, Draw, Fault, Tally};
use faults::isolation::isolated;
use faults::run::{Plan, Sabotage};
use faults::{Arena, complaint, summary};

/// Faults in one run of the short version, and of the long one.
const FAULTS_SHORT: usize = 10;
const FAULTS_LONG: usize = 25;
/// Runs within which the checker has to notice what is broken on purpose.
const RUNS_TO_NOTICE: u64 = 6;

#[test]
fn three_nodes_keep_their_promises() {
    isolated("three_nodes_keep_their_promises", |dir| {
        assert_kept(dir, 3, given_seed().map_or(1..=3, |seed| seed..=seed));
    });
}

#[test]
fn five_nodes_keep_their_promises() {
    isolated("five_nodes_keep_their_promises", |dir| {
        let seed = given_seed().unwrap_or(4);
        assert_kept(dir, 5, seed..=seed);
    });
}

#[test]
fn disks_that_fail_and_forget_do_no_harm() {
    const KINDS: [(u64, Draw); 4] = [
        (3, |rng, ids| Fault::FailingSyncs(*rng.pick(ids))),
        (2, |rng, ids| Fault::SlowDisk(*rng.pick(ids), 300)),
        (2, |rng, ids| Fault::Kill(*rng.pick(ids))),
        (3, |_, _| Fault::PowerLossEverywhere),
    ];
    isolated("disks_that_fail_and_forget_do_no_harm", |dir| {
        let seed = given_seed().unwrap_or(6);
        let arena = Arena::new(dir);
        assert_good(
            &arena,
            Plan {
                kinds: &KINDS,
                ..plan(seed, 3, FAULTS_SHORT)
            },
        );
    });
}

#[test]
fn members_that_are_replaced_during_faults_do_no_harm() {
    const KINDS: [(u64, Draw); 5] = [
        (5, |rng, ids| Fault::Replace(*rng.pick(ids))),
        (2, |rng, ids| Fault::Kill(*rng.pick(ids))),
        (2, |rng, ids| Fault::PowerLoss(*rng.pick(ids))),
        (2, |_, _| Fault::LeaderAlone),
        (1, |rng, ids| Fault::Snapshot(*rng.pick(ids))),
    ];
    isolated(
        "members_that_are_replaced_during_faults_do_no_harm",
        |dir| {
            let seed = given_seed().unwrap_or(8);
            let arena = Arena::new(dir);
            assert_good(
                &arena,
                Plan {
                    kinds: &KINDS,
                    ..plan(seed, 3, FAULTS_SHORT)
                },
            );
        },
    );
}

#[test]
fn what_a_start_reads_is_durable() {
    isolated("what_a_start_reads_is_durable", |dir| {
        assert!(Arena::new(dir).keeps_what_it_read());
    });
}

#[test]
fn acknowledging_before_the_sync_is_noticed() {
    const KINDS: [(u64, Draw); 1] = [(1, |_, _| Fault::PowerLossEverywhere)];
    isolated("acknowledging_before_the_sync_is_noticed", |dir| {
        assert_noticed(dir, Sabotage::AcknowledgeBeforeSync, &KINDS);
    });
}

#[test]
fn stale_reads_are_noticed() {
    const KINDS: [(u64, Draw); 2] = [
        (1, |_, _| Fault::LeaderAlone),
        (1, |rng, ids| Fault::Deaf(*rng.pick(ids))),
    ];
    isolated("stale_reads_are_noticed", |dir| {
        assert_noticed(dir, Sabotage::StaleReads, &KINDS);
    });
}

#[test]
fn reserving_outside_the_log_is_noticed() {
    const KINDS: [(u64, Draw); 1] = [(1, |rng, ids| Fault::Kill(*rng.pick(ids)))];
    isolated("reserving_outside_the_log_is_noticed", |dir| {
        assert_noticed(dir, Sabotage::ReservationOutsideTheLog, &KINDS);
    });
}

/// The long run, with a report in `target/torture`.
#[test]
#[ignore = "runs for as long as it is told to"]
fn torture() {
    isolated("torture", |dir| {
        let minutes = number("RAFT3D_TORTURE_MINUTES").unwrap_or(30);
        let runs = number("RAFT3D_TORTURE_RUNS").unwrap_or(u64::MAX);
        let first = given_seed().unwrap_or(1_000);
        let deadline = Instant::now() + Duration::from_secs(60 * minutes);
        let arena = Arena::new(dir);
        let mut report = Report::create();
        for seed in (first..).take(usize::try_from(runs).unwrap_or(usize::MAX)) {
            if Instant::now() >= deadline {
                break;
            }
            let nodes = if seed % 4 == 3 { 5 } else { 3 };
            report.take(&arena, plan(seed, nodes, FAULTS_LONG));
        }
        report.finish();
    });
}

fn plan(seed: u64, nodes: u8, faults: usize) -> Plan<'static> {
    Plan {
        seed,
        nodes,
        faults,
        kinds: &ALL_FAULTS,
        sabotage: None,
    }
}

/// Runs each seed, and panics with everything about the first that has violations.
fn assert_kept(dir: &Path, nodes: u8, seeds: impl Iterator<Item = u64>) {
    let arena = Arena::new(dir);
    for seed in seeds {
        assert_good(&arena, plan(seed, nodes, FAULTS_SHORT));
    }
}

fn assert_good(arena: &Arena, plan: Plan<'_>) {
    println!("RAFT3D_FAULTS_SEED={} runs this again", plan.seed);
    let outcome = arena.run(plan);
    println!("{}", summary(&plan, &outcome));
    assert!(outcome.is_good(), "{}", complaint(&plan, &outcome));
}

/// Runs a sabotaged cluster until its clients see what cannot be, and panics if they do not in
/// time. A node that does not come back would be noticed without any checker, and does not count.
fn assert_noticed(dir: &Path, sabotage: Sabotage, kinds: &[(u64, Draw)]) {
    let arena = Arena::new(dir);
    for seed in given_seed().unwrap_or(1)..=RUNS_TO_NOTICE {
        let plan = Plan {
            sabotage: Some(sabotage),
            kinds,
            ..plan(seed, 3, FAULTS_SHORT / 2)
        };
        let outcome = arena.run(plan);
        println!("{}", summary(&plan, &outcome));
        if let Some(violation) = outcome.violations.first() {
            println!("noticed: {violation}");
            return;
        }
    }
    panic!("{sabotage:?} was not noticed in {RUNS_TO_NOTICE} runs");
}

fn given_seed() -> Option<u64> {
    number("RAFT3D_FAULTS_SEED")
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// What the long run writes down as it goes.
struct Report {
    file: fs::File,
    started: Instant,
    runs: u64,
    failed: Vec<u64>,
    calls: usize,
    unknown: usize,
    tally: Tally,
}

impl Report {
    fn create() -> Report {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/torture");
        fs::create_dir_all(&dir).expect("a directory for the report");
        let path = dir.join("report.txt");
        println!("the report is {}", path.display());
        Report {
            file: fs::File::create(path).expect("a file for the report"),
            started: Instant::now(),
            runs: 0,
            failed: Vec::new(),
            calls: 0,
            unknown: 0,
            tally: Tally::default(),
        }
    }

    fn take(&mut self, arena: &Arena, plan: Plan<'static>) {
        self.runs += 1;
        // A cluster that does not come back panics; the next seed is run all the same.
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| arena.run(plan))) else {
            self.failed.push(plan.seed);
            return self.say(&format!(
                "seed {} on {} nodes: it panicked",
                plan.seed, plan.nodes
            ));
        };
        self.calls += outcome.size.calls;
        self.unknown += outcome.size.unknown;
        self.tally.merge(&outcome.tally);
        match outcome.is_good() {
            true => self.say(&summary(&plan, &outcome)),
            false => {
                self.failed.push(plan.seed);
                self.say(&complaint(&plan, &outcome));
            }
        }
    }

    fn finish(mut self) {
        let seconds = self.started.elapsed().as_secs();
        let text = format!(
            "{} runs in {seconds} s: {} calls, {} of them unknown; {}; seeds that failed: {:?}",
            self.runs, self.calls, self.unknown, self.tally, self.failed
        );
        self.say(&text);
        assert!(self.runs > 0, "not one run");
        assert!(self.failed.is_empty(), "{text}");
    }

    fn say(&mut self, text: &str) {
        println!("{text}");
        writeln!(self.file, "{text}").expect("room for the report");
    }
}
