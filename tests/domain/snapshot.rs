//! Snapshots: canonical, complete, and hard to fool.

use std::io::{self, Read, Write};

use raft3d::domain::command::Op;
use raft3d::domain::idempotency::Limits;
use raft3d::domain::settings::Settings;
use raft3d::domain::snapshot::{FORMAT_VERSION, MAGIC, SnapshotError};
use raft3d::domain::state::State;

use crate::golden;
use crate::sealing::{frame_places, frames, sealed};
use crate::support::{
    Farm, command, keyed, new_filament, new_job, new_printer, number, objects, snapshot, text,
};

fn read(bytes: &[u8]) -> Result<State, SnapshotError> {
    State::read_snapshot(&mut &bytes[..])
}

/// A farm whose objects fill several frames.
fn large_farm() -> State {
    let mut farm = Farm::new();
    for _ in 0..50 {
        farm.printer(None);
        farm.filament(None, 1_000_000);
    }
    for n in 0..3_000 {
        let op = new_job(None, number(n % 50 + 1), number(n * 7 % 50 + 1), 5);
        let key = format!("key-{n}");
        assert!(farm.apply(&keyed(1_000, &key, 1, op)).result.is_ok());
    }
    farm.state
}

#[test]
fn equal_states_give_equal_bytes() {
    let mut one = Farm::new();
    one.printer(Some(text("c")));
    one.run(Op::DeletePrinter(text("c").into())).unwrap();
    let mut two = Farm::new();
    two.filament(Some(text("c")), 7);
    two.run(Op::DeleteFilament(text("c").into())).unwrap();
    for farm in [&mut one, &mut two] {
        farm.printer(Some(text("b")));
        farm.printer(Some(text("a")));
        // What led there differs, and is forgotten.
        let settings = Settings { event_retention: 1 };
        farm.run(Op::ChangeSettings(settings)).unwrap();
    }
    assert_eq!(snapshot(&one.state), snapshot(&two.state));
    assert_eq!(one.state.hash(), two.state.hash());
}

#[test]
fn states_that_differ_hash_differently() {
    let base = golden::farm();
    let mut seen = vec![base.hash()];
    let retention = Op::ChangeSettings(Settings {
        event_retention: 99,
    });
    let next = base.applied_index() + 1;
    let mut later = base.clone();
    later.advance(next);
    seen.push(later.hash());
    let keyed_printer = keyed(0, "z", 1, new_printer(Some(number(70))));
    for command in [
        command(0, new_printer(Some(number(70)))),
        command(0, new_printer(Some(text("70")))),
        command(0, new_filament(Some(number(70)), 1, None)),
        keyed_printer,
        command(0, retention),
    ] {
        let mut state = base.clone();
        assert!(state.apply(next, &command).result.is_ok());
        seen.push(state.hash());
    }
    let mut forgetful = State::with_limits(Limits {
        count_max: 1,
        ..Limits::default()
    });
    forgetful.advance(1);
    seen.push(forgetful.hash());
    let mut empty = State::new();
    empty.advance(1);
    seen.push(empty.hash());
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn a_state_comes_back_whole_and_goes_on_alike() {
    for state in [State::new(), golden::farm(), large_farm()] {
        let bytes = snapshot(&state);
        let mut back = read(&bytes).expect("a snapshot");
        assert_eq!(snapshot(&back), bytes);
        assert_eq!(objects(&back), objects(&state));
        let mut state = state;
        for (_, command) in golden::commands() {
            let index = state.applied_index() + 1;
            assert_eq!(back.apply(index, &command), state.apply(index, &command));
        }
        assert_eq!(back.hash(), state.hash());
    }
}

#[test]
fn assigned_ids_are_not_assigned_again_after_a_snapshot() {
    let mut farm = Farm::new();
    farm.printer(None);
    farm.printer(None);
    let bytes = snapshot(&farm.state);
    farm.state = read(&bytes).expect("a snapshot");
    assert_eq!(farm.printer(None).id, number(3));
}

#[test]
fn a_large_state_takes_several_frames() {
    let bytes = snapshot(&large_farm());
    assert!(frames(&bytes).len() > 6, "{} frames", frames(&bytes).len());
}

#[test]
fn a_cut_at_any_length_is_named() {
    let bytes = snapshot(&golden::farm());
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).expect_err("cut off");
        assert!(
            matches!(error, SnapshotError::Truncated { .. }),
            "cut to {length} bytes: {error}"
        );
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let good = snapshot(&golden::farm());
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[place] ^= 1 << bit;
            let error = read(&bytes).expect_err("damaged");
            let told = match place {
                0..8 => matches!(error, SnapshotError::NotASnapshot { .. }),
                8..12 => matches!(error, SnapshotError::UnknownVersion { .. }),
                _ => matches!(
                    error,
                    SnapshotError::Damaged { .. } | SnapshotError::Truncated { .. }
                ),
            };
            assert!(told, "bit {bit} of byte {place}: {error}");
        }
    }
}

#[test]
fn bytes_behind_the_end_are_an_error() {
    let mut bytes = snapshot(&golden::farm());
    bytes.push(0);
    let error = read(&bytes).expect_err("one byte too many");
    assert!(matches!(error, SnapshotError::TrailingBytes), "{error}");
}

#[test]
fn frames_cannot_change_places() {
    let mut payloads = frames(&snapshot(&golden::farm()));
    payloads.swap(2, 3);
    let swapped_but_resealed = read(&sealed(&payloads)).expect_err("wrong order");
    assert!(
        matches!(swapped_but_resealed, SnapshotError::Malformed { .. }),
        "{swapped_but_resealed}"
    );

    let state = large_farm();
    let whole = snapshot(&state);
    let mut places = frame_places(&whole);
    places.swap(4, 5);
    let mut bytes = whole[..12].to_vec();
    for place in places {
        bytes.extend(&whole[place]);
    }
    let error = read(&bytes).expect_err("frames of one group exchanged");
    assert!(
        matches!(error, SnapshotError::Damaged { frame: 4 }),
        "{error}"
    );
}

/// A source that promises everything and hands out a little, counting what is asked of it.
struct Stingy<'a> {
    bytes: &'a [u8],
    largest_request: usize,
}

impl Read for Stingy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest_request = self.largest_request.max(buffer.len());
        self.bytes.read(buffer)
    }
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend([0; 100]);
    let mut source = Stingy {
        bytes: &bytes,
        largest_request: 0,
    };
    let error = State::read_snapshot(&mut source).expect_err("cut off");
    assert!(matches!(error, SnapshotError::Truncated { .. }), "{error}");
    assert!(
        source.largest_request < 1 << 20,
        "{} bytes",
        source.largest_request
    );
}

#[test]
fn failing_sources_and_sinks_are_reported() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = State::read_snapshot(&mut Broken).expect_err("no disk");
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    let error = golden::farm().write_snapshot(&mut Broken);
    assert!(error.is_err());
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = snapshot(&golden::farm());
    assert_eq!(sealed(&frames(&bytes)), bytes);
}
