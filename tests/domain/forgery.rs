//! Snapshots with good checksums and bad contents.

use std::collections::BTreeMap;

use raft3d::domain::command::{NEWEST_VERSION, Op};
use raft3d::domain::events::{Change, Event, Object};
use raft3d::domain::id::{INTEGER_MAX, Id};
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::{Filament, FilamentType, JobStatus, PrintJob, Printer};
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::roster::Roster;
use raft3d::domain::settings::Settings;
use raft3d::domain::snapshot::SnapshotError;
use raft3d::domain::state::State;
use raft3d::domain::time::Timestamp;
use raft3d::domain::tokens::{AccessRole, Actor, Token};
use serde::Serialize;

use crate::sealing::{bytes_of, sealed};
use crate::support::{
    at, command, grams, new_filament, new_job, new_printer, number, snapshot, text, token_digest,
};

fn read(bytes: &[u8]) -> Result<State, SnapshotError> {
    State::read_snapshot(&mut &bytes[..])
}

/// Mirrors the snapshot's header without its checks.
#[derive(Clone, Serialize)]
struct Header {
    applied_index: u64,
    log_time: Timestamp,
    limits: Limits,
    next_ids: [i64; 3],
    counts: [u64; 3],
    retired: [u64; 2],
    answers: u64,
    settings: Settings,
    events_dropped: u64,
    events: u64,
}

impl Header {
    fn of_an_empty_farm() -> Header {
        Header {
            applied_index: 100,
            log_time: at(1_000),
            limits: Limits::default(),
            next_ids: [1; 3],
            counts: [0; 3],
            retired: [0; 2],
            answers: 0,
            settings: Settings::default(),
            events_dropped: 5,
            events: 0,
        }
    }
}

/// Mirrors a remembered answer without its checks.
#[derive(Clone, Serialize)]
struct Answer {
    actor: Option<Actor>,
    key: String,
    fingerprint: [u8; 32],
    given_at: Timestamp,
    outcome: Outcome,
}

/// A snapshot with good checksums and whatever contents.
#[derive(Clone)]
struct Forged {
    header: Header,
    tokens: Tokens,
    printers: Vec<Printer>,
    filaments: Vec<Filament>,
    jobs: Vec<PrintJob>,
    retired: [Vec<i64>; 2],
    answers: Vec<Answer>,
    events: Vec<Event>,
}

impl Forged {
    /// Contents that are all right.
    fn valid() -> Forged {
        let answer = |key: &str, index| Answer {
            actor: None,
            key: key.to_owned(),
            fingerprint: [0; 32],
            given_at: at(500),
            outcome: Outcome::new(index, Ok(Reply::Barrier)),
        };
        Forged {
            header: Header {
                next_ids: [1, 1, 3],
                ..Header::of_an_empty_farm()
            },
            tokens: Tokens {
                last_id: 7,
                by_id: [token(1), token(7)].into(),
            },
            printers: vec![printer(number(1)), printer(text("x"))],
            filaments: vec![filament(number(1)), filament(text("x"))],
            jobs: vec![job(number(1)), job_2(JobStatus::Running)],
            retired: [vec![3, 9], vec![4]],
            answers: vec![answer("a", 10), answer("b", 11)],
            events: vec![job_created(40), job_started(50)],
        }
    }

    fn read(&self) -> Result<State, SnapshotError> {
        let mut header = self.header.clone();
        header.counts = [
            self.printers.len() as u64,
            self.filaments.len() as u64,
            self.jobs.len() as u64,
        ];
        header.retired = self.retired.clone().map(|ids| ids.len() as u64);
        header.answers = self.answers.len() as u64;
        header.events = self.events.len() as u64;
        let groups: [Vec<u8>; 10] = [
            bytes_of(&header),
            no_roster(),
            bytes_of(&self.tokens),
            self.printers.iter().flat_map(bytes_of).collect(),
            self.filaments.iter().flat_map(bytes_of).collect(),
            self.jobs.iter().flat_map(bytes_of).collect(),
            self.retired[0].iter().flat_map(bytes_of).collect(),
            self.retired[1].iter().flat_map(bytes_of).collect(),
            self.answers.iter().flat_map(bytes_of).collect(),
            self.events.iter().flat_map(bytes_of).collect(),
        ];
        // A group without records has no frame.
        let groups = groups.into_iter().filter(|group| !group.is_empty());
        read(&sealed(&groups.collect::<Vec<_>>()))
    }
}

fn no_roster() -> Vec<u8> {
    bytes_of(&Roster::default())
}

fn no_tokens() -> Vec<u8> {
    let (last_id, by_id) = (0, BTreeMap::new());
    bytes_of(&Tokens { last_id, by_id })
}

/// Mirrors the tokens without their checks.
#[derive(Clone, Serialize)]
struct Tokens {
    last_id: u64,
    by_id: BTreeMap<u64, Token>,
}

impl Tokens {
    fn change(&mut self, id: u64, change: impl FnOnce(&mut Token)) {
        self.by_id.get_mut(&id).map(change).expect("a token");
    }
}

fn token(id: u64) -> (u64, Token) {
    let token = Token {
        id,
        name: format!("t{id}"),
        role: AccessRole::Viewer,
        digest: token_digest(id as u8),
        created_at: at(100),
        expires_at: Some(at(5)),
        last_used_at: Some(at(1_000)),
        created_by: None,
    };
    (id, token)
}

fn printer(id: Id) -> Printer {
    Printer {
        id,
        company: "Prusa".to_owned(),
        model: "MK4".to_owned(),
        created_at: at(100),
        updated_at: at(200),
        modified_index: 50,
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
        modified_index: 50,
    }
}

fn job(id: Id) -> PrintJob {
    PrintJob {
        id,
        printer_id: number(1),
        filament_id: number(1),
        filepath: "a.gcode".into(),
        print_weight_in_grams: grams(400),
        status: JobStatus::Queued,
        created_at: at(100),
        updated_at: at(200),
        modified_index: 50,
    }
}

fn event(index: u64, id_assigned: bool, changes: Vec<Change>) -> Event {
    Event {
        index,
        time: at(200),
        actor: None,
        id_assigned,
        changes,
    }
}

/// Of job 2, which is running by now.
fn job_created(index: u64) -> Event {
    let change = Change {
        before: None,
        after: Some(Object::Job(job_2(JobStatus::Queued).into())),
    };
    event(index, true, vec![change])
}

fn job_started(index: u64) -> Event {
    let change = Change {
        before: Some(Object::Job(job_2(JobStatus::Queued).into())),
        after: Some(Object::Job(job_2(JobStatus::Running).into())),
    };
    event(index, false, vec![change])
}

fn job_2(status: JobStatus) -> PrintJob {
    PrintJob {
        status,
        ..job(number(2))
    }
}

#[test]
fn derived_data_is_rebuilt() {
    let mut state = Forged::valid().read().expect("a valid snapshot");
    let filament = state.filament("1").expect("filament 1").clone();
    assert_eq!(state.reserved(&filament), grams(800));
    assert_eq!(state.available(&filament), grams(0));
    assert_eq!(state.job_count_of(JobStatus::Queued), 1);
    assert_eq!(state.job_count_of(JobStatus::Running), 1);
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
            f.jobs[1].filepath = "".into()
        }),
        ("print job 1 weighs nothing", |f| {
            f.jobs[0].print_weight_in_grams = grams(0);
        }),
        ("printer x was changed at index 0,", |f| {
            f.printers[1].modified_index = 0
        }),
        ("filament 1 was changed at index 101,", |f| {
            f.filaments[0].modified_index = 101;
        }),
        ("print job 2 was changed at index 101,", |f| {
            f.jobs[1].modified_index = 101
        }),
        ("9 is no integer to be left out", |f| {
            f.retired[0] = vec![9, 9]
        }),
        ("4 is no integer to be left out", |f| {
            f.header.next_ids[1] = 5
        }),
        ("3 is no integer to be left out", |f| f.retired[0].reverse()),
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
        ("token 8 has the id 7 of 7", |f| {
            f.tokens.change(7, |token| token.id = 8)
        }),
        ("token 7 has the id 7 of 6", |f| f.tokens.last_id = 6),
        ("token 0 has the id 0", |f| {
            f.tokens.by_id.extend([token(0)])
        }),
        ("token 1 has a name that must have 1", |f| {
            f.tokens.change(1, |token| token.name.clear())
        }),
        ("token 7 has the name of another", |f| {
            f.tokens.change(7, |token| token.name = "t1".to_owned())
        }),
        ("token 7 has the secret of another", |f| {
            f.tokens.change(7, |token| token.digest = token_digest(1))
        }),
        ("token 1 is newer than the log", |f| {
            f.tokens.change(1, |token| token.created_at = at(1_001))
        }),
        ("token 7 is newer than the log", |f| {
            f.tokens
                .change(7, |token| token.last_used_at = Some(at(1_001)))
        }),
        ("1002 tokens, of at most 1000", |f| {
            f.tokens.by_id = (1..=1_002).map(token).collect()
        }),
        ("beyond its own limits", |f| f.header.limits.count_max = 1),
        ("beyond its own limits", |f| f.header.limits.bytes_max = 10),
        ("event_retention: 0", |f| {
            f.header.settings.event_retention = 0
        }),
        ("2 events, beyond its own limits", |f| {
            f.header.settings.event_retention = 1;
        }),
        ("up to index 40 are dropped", |f| {
            f.header.events_dropped = 40
        }),
        ("up to index 101 are dropped", |f| {
            f.events.clear();
            f.header.events_dropped = 101;
        }),
        ("event at index 101 is out of order", |f| {
            f.events[1].index = 101;
        }),
        ("event at index 50 is out of order", |f| {
            f.events[0].index = 50
        }),
        ("event at index 40 is newer", |f| {
            f.events[0].time = at(1_001)
        }),
        ("index 50 tells of no change", |f| {
            f.events[1].changes.clear()
        }),
        ("index 50 tells of no change", |f| {
            f.events[1].changes[0].before = f.events[1].changes[0].after.clone();
        }),
        ("index 50 tells of no change", |f| {
            f.events[1].changes[0].before = Some(Object::Printer(printer(number(2)).into()));
        }),
        ("index 50 tells of no change", |f| {
            f.events[1].changes[0] = Change {
                before: None,
                after: None,
            };
        }),
        ("index 50 does not fit: job 2", |f| {
            f.jobs[1].status = JobStatus::Queued;
        }),
        ("index 40 does not fit: job 2", |f| {
            f.events[0].changes[0].after = Some(Object::Job(job_2(JobStatus::Running).into()));
        }),
        ("index 40 has an id that was not free", |f| {
            f.header.next_ids[2] = 2;
        }),
        ("index 50 has an id that was not free", |f| {
            f.events[1].changes.insert(
                0,
                Change {
                    before: None,
                    after: Some(Object::Settings(Settings::default())),
                },
            );
            f.events[1].id_assigned = true;
        }),
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
    header.counts = [1, 0, 0];
    let two: Vec<u8> = valid.printers.iter().flat_map(bytes_of).collect();
    let error = read(&sealed(&[bytes_of(&header), no_roster(), no_tokens(), two]))
        .expect_err("two instead of one");
    assert!(
        matches!(
            error,
            SnapshotError::Malformed {
                frame: 3,
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
    forged.events.clear();
    forged.header.next_ids = [INTEGER_MAX, INTEGER_MAX + 1, INTEGER_MAX];
    forged.retired = Default::default();
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

#[test]
fn counts_and_strings_that_lie_are_refused() {
    let mut header = Header::of_an_empty_farm();
    header.counts = [u64::MAX; 3];
    let error = read(&sealed(&[bytes_of(&header)])).expect_err("nothing behind the header");
    assert!(matches!(error, SnapshotError::Truncated { .. }), "{error}");

    // A string of 2^60 bytes in the first printer.
    header.counts = [1, 0, 0];
    let printer = bytes_of(&(0u32, 7i64, 1u64 << 60));
    let error = read(&sealed(&[
        bytes_of(&header),
        no_roster(),
        no_tokens(),
        printer,
    ]))
    .expect_err("no such string");
    assert!(matches!(error, SnapshotError::Malformed { .. }), "{error}");
}

#[test]
fn a_state_made_by_commands_that_are_too_new_is_refused() {
    let header = Header::of_an_empty_farm();
    let with = |version_used: u8| {
        let roster = (None::<()>, BTreeMap::<i32, ()>::new(), version_used);
        read(&sealed(&[
            bytes_of(&header),
            bytes_of(&roster),
            no_tokens(),
        ]))
    };
    let too_new = with(NEWEST_VERSION + 1).expect_err("commands that this build cannot read");
    let told = format!("commands of version {}", NEWEST_VERSION + 1);
    assert!(too_new.to_string().contains(&told), "{too_new}");
    assert!(with(NEWEST_VERSION).is_ok());
}

#[test]
fn finished_jobs_may_name_what_was_deleted() {
    let mut forged = Forged::valid();
    forged.events.clear();
    for (job, status) in forged
        .jobs
        .iter_mut()
        .zip([JobStatus::Done, JobStatus::Canceled])
    {
        job.status = status;
        (job.printer_id, job.filament_id) = (number(70), text("gone"));
    }
    forged.read().expect("a valid snapshot");
    forged.jobs[1].status = JobStatus::Running;
    forged
        .read()
        .expect_err("an unfinished job's printer is there");
}
