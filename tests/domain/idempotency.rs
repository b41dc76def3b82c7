//! The memory of answers: the same key and request, the same answer; within bounds.

use raft3d::domain::command::{IDEMPOTENCY_KEY_LEN_MAX, Op};
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::JobStatus;
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::state::State;

use crate::support::{Farm, keyed, new_job, new_printer, number, objects, snapshot};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn limits(count_max: u64, bytes_max: u64, age_ms_max: u64) -> Limits {
    Limits {
        count_max,
        bytes_max,
        age_ms_max,
    }
}

/// Sends one creation with `key` at `now` and tells whether the answer was a repetition.
fn replayed(farm: &mut Farm, now: u64, key: &str) -> bool {
    farm.apply(&keyed(now, key, 1, new_printer(None))).replayed
}

#[test]
fn the_same_key_and_request_give_the_first_answer_again() {
    let mut farm = Farm::stocked();
    let create = |now| keyed(now, "k", 1, new_job(None, number(1), number(1), 600));
    let first = farm.apply(&create(2_000));
    assert!(first.result.is_ok() && !first.replayed);
    assert!(farm.set(&number(1), JobStatus::Running).is_ok());
    let before = objects(&farm.state);
    let again = farm.apply(&create(3_000));
    assert_eq!(
        again,
        Outcome {
            replayed: true,
            ..first
        },
        "as it was then, with the index of then"
    );
    assert_eq!(objects(&farm.state), before);
    assert!(again.index < farm.state.applied_index());
}

#[test]
fn a_refusal_is_an_answer_to_remember() {
    let mut farm = Farm::stocked();
    let create = keyed(2_000, "k", 1, new_job(None, number(1), number(2), 5));
    let first = farm.apply(&create);
    assert_eq!(
        first.result,
        Err(Refusal::UnknownFilament { id: number(2) })
    );
    farm.filament(None, 100);
    let again = farm.apply(&create);
    assert!(again.replayed);
    assert_eq!(again.result, first.result);
}

#[test]
fn another_request_with_a_used_key_is_refused() {
    let mut farm = Farm::new();
    let first = farm.apply(&keyed(1, "k", 1, new_printer(None)));
    let other = farm.apply(&keyed(2, "k", 2, new_printer(None)));
    assert_eq!(
        other.result,
        Err(Refusal::IdempotencyKeyReused {
            key: "k".to_owned()
        })
    );
    assert_eq!(other.index, farm.state.applied_index());
    assert!(!other.replayed);
    assert_eq!(farm.state.printer_count(), 1);
    let again = farm.apply(&keyed(3, "k", 1, new_printer(None)));
    assert_eq!(
        again.result, first.result,
        "the first request is still known"
    );
}

#[test]
fn commands_without_a_key_are_not_remembered() {
    let mut farm = Farm::new();
    farm.printer(None);
    farm.printer(None);
    assert_eq!(farm.state.remembered_count(), 0);
    assert_eq!(farm.state.printer_count(), 2);
}

#[test]
fn a_barrier_neither_uses_nor_fills_the_memory() {
    let mut farm = Farm::new();
    for fingerprint in [1, 2] {
        let outcome = farm.apply(&keyed(1, "k", fingerprint, Op::Barrier));
        assert_eq!(outcome.result, Ok(Reply::Barrier));
        assert!(!outcome.replayed);
    }
    assert_eq!(farm.state.remembered_count(), 0);
}

#[test]
fn a_key_has_1_to_255_bytes() {
    let mut farm = Farm::new();
    for length in [0, 256, 100_000] {
        let key = "k".repeat(length);
        let outcome = farm.apply(&keyed(1, &key, 1, new_printer(None)));
        assert_eq!(
            outcome.result,
            Err(Refusal::InvalidIdempotencyKey {
                length: length as u64,
                max: 255
            })
        );
    }
    assert_eq!(
        (farm.state.printer_count(), farm.state.remembered_count()),
        (0, 0)
    );
    let longest = "k".repeat(IDEMPOTENCY_KEY_LEN_MAX);
    assert!(!replayed(&mut farm, 1, &longest));
    assert!(replayed(&mut farm, 1, &longest));
}

#[test]
fn the_oldest_answers_go_when_there_are_too_many() {
    let mut farm = Farm::with_limits(limits(3, u64::MAX, DAY_MS));
    for key in ["a", "b", "c"] {
        assert!(!replayed(&mut farm, 1, key));
    }
    assert!(replayed(&mut farm, 1, "a"), "a repetition is no insertion");
    assert!(!replayed(&mut farm, 1, "d"));
    assert_eq!(farm.state.remembered_count(), 3);
    assert!(replayed(&mut farm, 1, "b"), "b is the oldest left");
    assert!(!replayed(&mut farm, 1, "a"), "a was dropped");
    assert!(!replayed(&mut farm, 1, "b"), "for a, b was dropped");
}

#[test]
fn ten_thousand_answers_are_kept_for_a_day_by_default() {
    assert_eq!(Limits::default(), limits(10_000, 64 << 20, DAY_MS));
    let mut farm = Farm::new();
    for n in 0..10_001 {
        assert!(!replayed(&mut farm, 1, &n.to_string()));
    }
    assert_eq!(farm.state.remembered_count(), 10_000);
    assert!(replayed(&mut farm, 1, "1"));
    assert!(!replayed(&mut farm, 1, "0"));
}

#[test]
fn the_oldest_answers_go_when_they_take_too_much_room() {
    let mut farm = Farm::new();
    let size = farm
        .apply(&keyed(1_000, "a", 1, new_printer(None)))
        .encode()
        .len() as u64
        + 1;
    let mut farm = Farm::with_limits(limits(100, 2 * size, DAY_MS));
    for key in ["a", "b", "c"] {
        assert!(!replayed(&mut farm, 1_000, key));
    }
    assert_eq!(farm.state.remembered_count(), 2);
    assert!(replayed(&mut farm, 1_000, "b"));

    let mut farm = Farm::with_limits(limits(100, size - 1, DAY_MS));
    assert!(!replayed(&mut farm, 1_000, "a"));
    assert_eq!(farm.state.remembered_count(), 0, "one that never fits");
}

#[test]
fn answers_expire_by_log_time() {
    let mut farm = Farm::with_limits(limits(100, u64::MAX, 50));
    assert!(!replayed(&mut farm, 1_000, "a"));
    assert!(replayed(&mut farm, 1_050, "a"), "as old as allowed");
    assert!(!replayed(&mut farm, 1_051, "a"), "too old");
    assert!(
        replayed(&mut farm, 1_000, "a"),
        "log time does not go back with a late stamp"
    );
}

#[test]
fn any_command_moves_log_time_except_a_barrier() {
    let mut farm = Farm::with_limits(limits(100, u64::MAX, 50));
    assert!(!replayed(&mut farm, 1_000, "a"));
    farm.now = 1_100;
    assert!(farm.run(Op::Barrier).is_ok());
    assert_eq!(farm.state.remembered_count(), 1);
    farm.printer(None);
    assert_eq!(farm.state.remembered_count(), 0);
}

#[test]
fn a_clock_that_ran_ahead_does_not_break_the_promise() {
    let mut farm = Farm::new();
    farm.now = u64::MAX;
    farm.printer(None);
    assert!(!replayed(&mut farm, 1_000, "a"));
    assert!(replayed(&mut farm, 1_001, "a"));
}

#[test]
fn the_memory_is_part_of_the_snapshot() {
    let mut farm = Farm::with_limits(limits(2, 10_000, 50));
    for key in ["a", "b", "c"] {
        assert!(!replayed(&mut farm, 1_000, key));
    }
    let bytes = snapshot(&farm.state);
    farm.state = State::read_snapshot(&mut bytes.as_slice()).expect("a snapshot");
    assert_eq!(snapshot(&farm.state), bytes);
    assert!(replayed(&mut farm, 1_000, "b"));
    assert!(replayed(&mut farm, 1_000, "c"));
    assert!(!replayed(&mut farm, 1_000, "d"), "bounds go along: b goes");
    assert!(!replayed(&mut farm, 1_000, "b"));
    assert!(!replayed(&mut farm, 1_100, "d"), "age goes along");
}
