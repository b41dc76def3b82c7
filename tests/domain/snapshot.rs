//! Snapshots: canonical, complete, and hard to fool.

use std::io::{self, Read, Write};

use raft3d::domain::command::Op;
use raft3d::domain::id::{INTEGER_MAX, Id};
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::{Filament, FilamentType, JobStatus, PrintJob, Printer};
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::snapshot::{FORMAT_VERSION, MAGIC, SnapshotError};
use raft3d::domain::state::State;
use raft3d::domain::time::Timestamp;
use serde::Serialize;

use crate::golden;
use crate::support::{
    Farm, at, command, grams, keyed, new_filament, new_job, new_printer, number, objects, snapshot,
    text,
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
    one.printer(Some(text("b")));
    one.printer(Some(text("a")));
    let mut two = Farm::new();
    two.printer(Some(text("a")));
    two.printer(Some(text("b")));
    assert_eq!(snapshot(&one.state), snapshot(&two.state));
    assert_eq!(one.state.hash(), two.state.hash());
}

#[test]
fn states_that_differ_hash_differently() {
    let base = golden::farm();
    let mut seen = vec![base.hash()];
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
    payloads.swap(1, 2);
    let swapped_but_resealed = read(&sealed(&payloads)).expect_err("wrong order");
    assert!(
        matches!(swapped_but_resealed, SnapshotError::Malformed { .. }),
        "{swapped_but_resealed}"
    );

    let state = large_farm();
    let whole = snapshot(&state);
    let mut places = frame_places(&whole);
    places.swap(3, 4);
    let mut bytes = whole[..12].to_vec();
    for place in places {
        bytes.extend(&whole[place]);
    }
    let error = read(&bytes).expect_err("frames of one group exchanged");
    assert!(
        matches!(error, SnapshotError::Damaged { frame: 3 }),
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

    let mut header = Header::of_an_empty_farm();
    header.counts = [u64::MAX; 4];
    let error = read(&sealed(&[bytes_of(&header)])).expect_err("nothing behind the header");
    assert!(matches!(error, SnapshotError::Truncated { .. }), "{error}");

    // A string of 2^60 bytes in the first printer.
    header.counts = [1, 0, 0, 0];
    let printer = bytes_of(&(0u32, 7i64, 1u64 << 60));
    let error = read(&sealed(&[bytes_of(&header), printer])).expect_err("no such string");
    assert!(matches!(error, SnapshotError::Malformed { .. }), "{error}");
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

/// Mirrors the snapshot's header without its checks.
#[derive(Clone, Serialize)]
struct Header {
    applied_index: u64,
    log_time: Timestamp,
    limits: Limits,
    next_ids: [i64; 3],
    counts: [u64; 4],
}

impl Header {
    fn of_an_empty_farm() -> Header {
        Header {
            applied_index: 100,
            log_time: at(1_000),
            limits: Limits::default(),
            next_ids: [1; 3],
            counts: [0; 4],
        }
    }
}

/// Mirrors a remembered answer without its checks.
#[derive(Clone, Serialize)]
struct Answer {
    key: String,
    fingerprint: [u8; 32],
    given_at: Timestamp,
    outcome: Outcome,
}

/// A snapshot with good checksums and whatever contents.
#[derive(Clone)]
struct Forged {
    header: Header,
    printers: Vec<Printer>,
    filaments: Vec<Filament>,
    jobs: Vec<PrintJob>,
    answers: Vec<Answer>,
}

impl Forged {
    /// Contents that are all right.
    fn valid() -> Forged {
        let answer = |key: &str, index| Answer {
            key: key.to_owned(),
            fingerprint: [0; 32],
            given_at: at(500),
            outcome: Outcome::new(index, Ok(Reply::Barrier)),
        };
        Forged {
            header: Header::of_an_empty_farm(),
            printers: vec![printer(number(1)), printer(text("x"))],
            filaments: vec![filament(number(1)), filament(text("x"))],
            jobs: vec![job(number(1)), job(number(2))],
            answers: vec![answer("a", 10), answer("b", 11)],
        }
    }

    fn read(&self) -> Result<State, SnapshotError> {
        let mut header = self.header.clone();
        header.counts = [
            self.printers.len() as u64,
            self.filaments.len() as u64,
            self.jobs.len() as u64,
            self.answers.len() as u64,
        ];
        read(&sealed(&[
            bytes_of(&header),
            self.printers.iter().flat_map(bytes_of).collect(),
            self.filaments.iter().flat_map(bytes_of).collect(),
            self.jobs.iter().flat_map(bytes_of).collect(),
            self.answers.iter().flat_map(bytes_of).collect(),
        ]))
    }
}

fn printer(id: Id) -> Printer {
    Printer {
        id,
        company: "Prusa".to_owned(),
        model: "MK4".to_owned(),
        created_at: at(100),
        updated_at: at(200),
    }
}

fn filament(id: Id) -> Filament {
    Filament {
        id,
        filament_type: FilamentType::Abs,
        color: "blue".to_owned(),
        total_weight_in_grams: grams(1_000),
        remaining_weight_in_grams: grams(800),
        created_at: at(100),
        updated_at: at(200),
    }
}

fn job(id: Id) -> PrintJob {
    PrintJob {
        id,
        printer_id: number(1),
        filament_id: number(1),
        filepath: "a.gcode".to_owned(),
        print_weight_in_grams: grams(400),
        status: JobStatus::Queued,
        created_at: at(100),
        updated_at: at(200),
    }
}

#[test]
fn derived_data_is_rebuilt() {
    let mut state = Forged::valid().read().expect("a valid snapshot");
    let filament = state.filament("1").expect("filament 1").clone();
    assert_eq!(state.reserved(&filament), grams(800));
    assert_eq!(state.available(&filament), grams(0));
    assert_eq!(state.job_count_of(JobStatus::Queued), 2);
    let outcome = state.apply(101, &command(1, new_job(None, number(1), number(1), 1)));
    assert!(matches!(
        outcome.result,
        Err(Refusal::NotEnoughFilament { .. })
    ));
}

/// Every rule that holds in a state is checked when one is read: each forgery is one step away
/// from valid and is refused for its own reason.
#[test]
fn contradictions_are_refused_by_name() {
    type Forgery = (&'static str, fn(&mut Forged));
    let forgeries: &[Forgery] = &[
        ("0 as the next id", |f| f.header.next_ids[0] = 0),
        ("as the next id", |f| f.header.next_ids[1] = INTEGER_MAX + 2),
        ("-5 as the next id", |f| f.header.next_ids[2] = -5),
        ("printer 1 is out of order", |f| f.printers.reverse()),
        ("printer 1 is out of order", |f| {
            f.printers[1].id = text("1")
        }),
        ("has no company", |f| f.printers[0].company.clear()),
        ("printer x has no model", |f| f.printers[1].model.clear()),
        ("printer 1 was created", |f| {
            f.printers[0].created_at = at(300)
        }),
        ("printer 1 was created", |f| {
            f.printers[0].updated_at = at(1_001)
        }),
        ("filament 1 is out of order", |f| f.filaments.reverse()),
        ("has no color", |f| f.filaments[0].color.clear()),
        ("filament x weighs nothing", |f| {
            f.filaments[1].total_weight_in_grams = grams(0);
        }),
        ("more left than its total", |f| {
            f.filaments[1].remaining_weight_in_grams = grams(1_001);
        }),
        ("filament x was created", |f| {
            f.filaments[1].updated_at = at(50)
        }),
        ("print job 1 is out of order", |f| f.jobs.reverse()),
        ("print job 2 has no filepath", |f| {
            f.jobs[1].filepath.clear()
        }),
        ("print job 1 weighs nothing", |f| {
            f.jobs[0].print_weight_in_grams = grams(0);
        }),
        ("names printer 9,", |f| f.jobs[0].printer_id = number(9)),
        ("names printer 1,", |f| f.jobs[0].printer_id = text("1")),
        ("names filament y,", |f| f.jobs[0].filament_id = text("y")),
        ("print job 1 was created", |f| f.jobs[0].updated_at = at(0)),
        ("more of filament 1 than", |f| {
            f.jobs[0].print_weight_in_grams = grams(401);
        }),
        ("more of filament 1 than", |f| {
            for job in &mut f.jobs {
                job.print_weight_in_grams = grams((1 << 53) - 1);
            }
        }),
        ("index 101 is not of the log", |f| {
            f.answers[1].outcome.index = 101
        }),
        ("index 0 is not of the log", |f| {
            f.answers[0].outcome.index = 0
        }),
        ("a key of 0 bytes", |f| f.answers[0].key.clear()),
        ("a key of 256 bytes", |f| f.answers[0].key = "k".repeat(256)),
        ("no first answer", |f| f.answers[0].outcome.replayed = true),
        ("is newer than the log", |f| {
            f.answers[1].given_at = at(1_001)
        }),
        ("index 10 is out of order", |f| f.answers.reverse()),
        ("index 11 is out of order", |f| {
            f.answers[1].given_at = at(1)
        }),
        ("has the key of another", |f| {
            f.answers[1].key = "a".to_owned()
        }),
        ("beyond its own limits", |f| f.header.limits.count_max = 1),
        ("beyond its own limits", |f| f.header.limits.bytes_max = 10),
    ];
    assert!(Forged::valid().read().is_ok());
    for (told, forge) in forgeries {
        let mut forged = Forged::valid();
        forge(&mut forged);
        let error = forged.read().expect_err(told);
        assert!(
            matches!(error, SnapshotError::Inconsistent(_)),
            "{told}: {error}"
        );
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
}

#[test]
fn groups_end_where_their_frames_end() {
    let valid = Forged::valid();
    let mut header = valid.header.clone();
    header.counts = [1, 0, 0, 0];
    let two: Vec<u8> = valid.printers.iter().flat_map(bytes_of).collect();
    let error = read(&sealed(&[bytes_of(&header), two])).expect_err("two instead of one");
    assert!(
        matches!(
            error,
            SnapshotError::Malformed {
                frame: 1,
                record: "printer",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_exhausted_counter_is_a_refusal_not_a_crash() {
    let mut forged = Forged::valid();
    forged.header.next_ids = [INTEGER_MAX, INTEGER_MAX + 1, INTEGER_MAX];
    let mut state = forged.read().expect("a valid snapshot");
    let last = state.apply(101, &command(1, new_printer(None)));
    let Ok(Reply::Printer(last)) = last.result else {
        panic!("the last integer is assigned: {last:?}");
    };
    assert_eq!(last.id, number(INTEGER_MAX));
    for (index, op) in [(102, new_printer(None)), (103, new_filament(None, 5, None))] {
        let outcome = state.apply(index, &command(1, op));
        assert!(
            matches!(outcome.result, Err(Refusal::IdsExhausted { .. })),
            "{outcome:?}"
        );
    }
    let named = state.apply(104, &command(1, new_printer(Some(text("mine")))));
    assert!(named.result.is_ok(), "ids of one's own still work");
    assert!(state.apply(105, &command(1, Op::Barrier)).result.is_ok());
    let again = read(&snapshot(&state)).expect("still a valid snapshot");
    assert_eq!(again.hash(), state.hash());
}

fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("bytes")
}

/// Where the frames of a snapshot lie, heads included.
fn frame_places(snapshot: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    let mut place = 12;
    while place < snapshot.len() {
        let head: [u8; 4] = snapshot[place..place + 4].try_into().expect("four bytes");
        let end = place + 8 + u32::from_le_bytes(head) as usize;
        places.push(place..end);
        place = end;
    }
    places
}

/// The payloads of a snapshot's frames.
fn frames(snapshot: &[u8]) -> Vec<Vec<u8>> {
    frame_places(snapshot)
        .into_iter()
        .map(|place| snapshot[place.start + 8..place.end].to_vec())
        .collect()
}

/// A snapshot of these payloads, with the checksums as documented.
fn sealed(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    let preamble = bytes.clone();
    for (number, payload) in payloads.iter().enumerate() {
        let mut covered = preamble.clone();
        covered.extend((number as u64).to_le_bytes());
        covered.extend((payload.len() as u64).to_le_bytes());
        covered.extend(payload);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(&covered).to_le_bytes());
        bytes.extend(payload);
    }
    bytes
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = snapshot(&golden::farm());
    assert_eq!(sealed(&frames(&bytes)), bytes);
}
