//! Log entries: each is passed once, in order, whatever it holds.

use raft3d::domain::command::{Command, NEWEST_VERSION, Op, TRACED_VERSION};
use raft3d::domain::outcome::{Refusal, Reply};
use raft3d::domain::state::State;

use crate::golden::trace;
use crate::support::{Farm, command, keyed, new_printer, objects};

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
fn a_trace_changes_nothing_but_which_programs_can_read_the_log() {
    let mut farms = [Farm::stocked().state, Farm::stocked().state];
    let create = keyed(9, "order-17", 0xab, new_printer(None));
    let index = farms[0].applied_index() + 1;
    let [plain, traced] = &mut farms;
    let written = [create.encode(), create.encode_in(Some(trace()))];
    let outcome = plain.apply_bytes(index, &written[0]);
    assert!(outcome.result.is_ok());
    assert_eq!(traced.apply_bytes(index, &written[1]), outcome);
    assert_eq!(objects(plain), objects(traced));
    assert_eq!(plain.farm_hash(), traced.farm_hash());
    assert_eq!(plain.roster().version_used(), 1);
    assert_eq!(traced.roster().version_used(), TRACED_VERSION);
    for (farm, repeated) in [(plain, &written[1]), (traced, &written[0])] {
        assert!(farm.apply_bytes(index + 1, repeated).replayed);
    }
    // It is written without a trace in one way only.
    let mut untraced = create.encode();
    untraced.splice(..1, [TRACED_VERSION, 0]);
    assert!(Command::decode(&untraced).is_err());
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
