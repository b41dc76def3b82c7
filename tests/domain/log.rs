//! Log entries: each is passed once, in order, whatever it holds.

use raft3d::domain::command::{NEWEST_VERSION, Op};
use raft3d::domain::outcome::{Refusal, Reply};
use raft3d::domain::state::State;

use crate::support::{Farm, command, new_printer, objects};

#[test]
fn a_barrier_changes_nothing_but_the_index() {
    let mut farm = Farm::stocked();
    let before = (objects(&farm.state), farm.state.applied_index());
    assert_eq!(farm.run(Op::Barrier), Ok(Reply::Barrier));
    let after = (objects(&farm.state), farm.state.applied_index());
    assert_eq!(after, (before.0, before.1 + 1));
}

#[test]
fn an_entry_is_applied_once() {
    let mut state = State::new();
    let create = command(1, new_printer(None));
    assert!(state.apply(5, &create).result.is_ok());
    for index in [0, 1, 5] {
        let refusal = Refusal::AlreadyApplied { applied_index: 5 };
        assert_eq!(state.apply(index, &create).result, Err(refusal.clone()));
        assert_eq!(state.apply_bytes(index, b"\xff").result, Err(refusal));
    }
    assert_eq!((state.printer_count(), state.applied_index()), (1, 5));
    assert!(state.apply(u64::MAX, &create).result.is_ok());
    assert!(state.apply(u64::MAX, &create).result.is_err());
}

#[test]
fn entries_without_a_command_advance_the_index() {
    let mut state = State::new();
    state.advance(3);
    state.advance(2);
    assert_eq!(state.applied_index(), 3);
    assert!(
        state
            .apply(4, &command(1, new_printer(None)))
            .result
            .is_ok()
    );
}

#[test]
fn bytes_that_are_no_command_are_refused_and_passed() {
    let mut farm = Farm::stocked();
    let good = command(1, new_printer(None)).encode();
    let mut later_version = good.clone();
    later_version[0] = NEWEST_VERSION + 1;
    let mut longer = good.clone();
    longer.push(0);
    for (bytes, told) in [
        (&[][..], "no bytes"),
        (&later_version, "this build reads versions 1 to"),
        (&good[..good.len() - 1], "not a valid value"),
        (&longer, "1 bytes left over"),
    ] {
        let index = farm.state.applied_index() + 1;
        let before = objects(&farm.state);
        let outcome = farm.state.apply_bytes(index, bytes);
        let Err(Refusal::MalformedCommand { problem }) = outcome.result else {
            panic!("not refused: {outcome:?}");
        };
        assert!(problem.contains(told), "{problem}");
        assert_eq!(farm.state.applied_index(), index);
        assert_eq!(objects(&farm.state), before);
    }
    let index = farm.state.applied_index() + 1;
    assert!(farm.state.apply_bytes(index, &good).result.is_ok());
}
