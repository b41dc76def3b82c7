//! What the farm's rules and formats do for each write, one case for each run:
//! `scripts/instructions.sh` counts the instructions inside `measured` under callgrind. Nothing
//! here depends on time or chance.

// The program's own sources; what no case needs goes unused.
#[allow(dead_code, unused_imports)]
#[path = "../../../src/domain/mod.rs"]
mod domain;
#[allow(dead_code)]
#[path = "../../../src/identity.rs"]
mod identity;
#[allow(dead_code)]
#[path = "../../../src/sabotage.rs"]
mod sabotage;
// The objects name their schemas, of which these are part.
#[path = "../../../src/http/openapi/schemas.rs"]
mod schemas;

use std::hint::black_box;
use std::process::ExitCode;

use domain::command::{Command, NewFilament, NewJob, NewPrinter, Op, Target};
use domain::id::Id;
use domain::model::{FilamentType, JobStatus};
use domain::outcome::Outcome;
use domain::state::State;
use domain::time::Timestamp;
use domain::weight::Grams;

/// How often each case does what it counts.
const ROUNDS: u64 = 1000;

/// Printers, and filaments.
const EQUIPMENT: u64 = 10;

/// What is counted runs in `measured` and nowhere else.
const CASES: [(&str, fn()); 8] = [
    ("encode_command", encode_command),
    ("decode_command", decode_command),
    ("apply_create_job", apply_create_job),
    ("apply_set_status", apply_set_status),
    ("encode_outcome", encode_outcome),
    ("decode_outcome", decode_outcome),
    ("write_snapshot", write_snapshot),
    ("read_snapshot", read_snapshot),
];

/// Without an argument: the names of the cases, and their rounds. With one: runs it.
fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES
            .iter()
            .for_each(|(name, _)| println!("{name} {ROUNDS}"));
        return ExitCode::SUCCESS;
    };
    match CASES.iter().find(|(name, _)| *name == wanted) {
        Some((_, run)) => {
            run();
            ExitCode::SUCCESS
        }
        None => ExitCode::from(2),
    }
}

/// The only place where instructions count.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn encode_command() {
    for number in 0..ROUNDS {
        let command = create_job(number);
        measured(|| command.encode());
    }
}

fn decode_command() {
    for number in 0..ROUNDS {
        let bytes = create_job(number).encode();
        measured(|| Command::decode(&bytes)).expect("a command");
    }
}

fn apply_create_job() {
    let mut farm = Farm::of_jobs(ROUNDS);
    for number in 0..ROUNDS {
        farm.apply_measured(&create_job(number));
    }
}

fn apply_set_status() {
    let mut farm = Farm::of_jobs(ROUNDS);
    for number in 0..ROUNDS {
        farm.apply_measured(&command(Op::SetJobStatus {
            job: Target::from(id(number + 1)),
            to: JobStatus::Running,
        }));
    }
}

fn encode_outcome() {
    let mut farm = Farm::of_jobs(0);
    for number in 0..ROUNDS {
        let outcome = farm.apply(&create_job(number));
        measured(|| outcome.encode());
    }
}

fn decode_outcome() {
    let mut farm = Farm::of_jobs(0);
    for number in 0..ROUNDS {
        let bytes = farm.apply(&create_job(number)).encode();
        measured(|| Outcome::decode(&bytes)).expect("an outcome");
    }
}

/// A round is a job and the event of its creation.
fn write_snapshot() {
    let farm = Farm::of_jobs(ROUNDS);
    measured(|| farm.snapshot());
}

/// The same read back.
fn read_snapshot() {
    let bytes = Farm::of_jobs(ROUNDS).snapshot();
    measured(|| State::read_snapshot(&mut bytes.as_slice())).expect("a snapshot");
}

/// A state, and the log entries that it has seen.
struct Farm(State);

impl Farm {
    /// A farm with [`EQUIPMENT`] and `count` queued jobs.
    fn of_jobs(count: u64) -> Farm {
        let mut farm = Farm(State::new());
        for _ in 0..EQUIPMENT {
            farm.apply(&command(Op::CreatePrinter(NewPrinter {
                id: None,
                company: "Creality".into(),
                model: "Ender 3".into(),
            })));
            farm.apply(&command(Op::CreateFilament(NewFilament {
                id: None,
                filament_type: FilamentType::Pla,
                color: "red".into(),
                total_weight_in_grams: Grams::MAX,
                remaining_weight_in_grams: None,
            })));
        }
        for number in 0..count {
            farm.apply(&create_job(number));
        }
        farm
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let outcome = self.0.apply(self.0.applied_index() + 1, command);
        assert!(outcome.result.is_ok(), "refused: {outcome:?}");
        outcome
    }

    fn apply_measured(&mut self, command: &Command) {
        let index = self.0.applied_index() + 1;
        let outcome = measured(|| self.0.apply(index, command));
        assert!(outcome.result.is_ok(), "refused: {outcome:?}");
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0
            .write_snapshot(&mut bytes)
            .expect("a vector takes all");
        bytes
    }
}

fn create_job(number: u64) -> Command {
    let equipment = id(number % EQUIPMENT + 1);
    command(Op::CreateJob(NewJob {
        id: None,
        printer_id: equipment.clone(),
        filament_id: equipment,
        filepath: "prints/benchy.gcode".into(),
        print_weight_in_grams: Grams::new(12).expect("a weight"),
    }))
}

fn command(op: Op) -> Command {
    Command {
        stamped_at: Timestamp::from_millis(1_700_000_000_000),
        actor: None,
        idempotency: None,
        op,
    }
}

fn id(number: u64) -> Id {
    let number = i64::try_from(number).expect("a small number");
    Id::from_integer(number).expect("a small number")
}
