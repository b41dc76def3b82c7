//! What is written, kept in `tests/golden`: it is read, and still written like that.
//!
//! `RAFT3D_GOLDEN=write cargo test --test domain golden` writes the files anew. Do that only to
//! add a sample, or with a format that is meant to be another.

use std::fmt::Write as _;
use std::path::PathBuf;

use raft3d::domain::command::{Command, FilamentChange, Op, PrinterChange, Target};
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::{FilamentType, JobStatus, Kind};
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::settings::Settings;
use raft3d::domain::state::State;
use raft3d::domain::tokens::Actor;
use raft3d::domain::trace::TraceContext;
use raft3d::domain::weight::Grams;

use crate::support::{
    Farm, at, cluster_id, command, grams, keyed, new_filament, new_job, new_printer, new_token,
    new_token_until, node_entry, number, objects, snapshot, text,
};

const NOON: u64 = 1_769_860_800_000;

/// Commands with every operation and every optional part, by name.
pub fn commands() -> Vec<(&'static str, Command)> {
    let running = Op::SetJobStatus {
        job: number(1).into(),
        to: JobStatus::Running,
    };
    let canceled = Op::SetJobStatus {
        job: Target {
            id: text("job/é"),
            versions: Some(vec![7]),
        },
        to: JobStatus::Canceled,
    };
    vec![
        ("create-printer", command(NOON, new_printer(None))),
        (
            "create-printer-number",
            command(NOON, new_printer(Some(number(-7)))),
        ),
        (
            "create-printer-keyed",
            keyed(
                NOON + 1,
                "order-17",
                0xab,
                new_printer(Some(text("left one"))),
            ),
        ),
        (
            "create-filament",
            command(NOON + 2, new_filament(None, 1_000, None)),
        ),
        (
            "create-filament-used",
            command(
                NOON + 3,
                new_filament(Some(text("12")), Grams::MAX.get(), Some(0)),
            ),
        ),
        (
            "create-job",
            command(NOON + 4, new_job(None, text("1"), number(1), 250)),
        ),
        (
            "create-job-keyed",
            keyed(
                NOON + 5,
                "order-18",
                0xcd,
                new_job(Some(text("job/é")), number(-7), text("1"), 750),
            ),
        ),
        ("set-job-running", command(NOON + 6, running)),
        (
            "set-job-canceled",
            keyed(NOON + 7, "order-19", 0xef, canceled),
        ),
        ("barrier", command(0, Op::Barrier)),
    ]
}

/// Commands about the cluster and its callers, by name.
fn cluster_commands() -> Vec<(&'static str, Command)> {
    let entry = node_entry(3, 8083, 0xd3);
    let by_a_token = Command {
        actor: Some(Actor::Token(1)),
        ..command(NOON, new_printer(None))
    };
    let by_the_file = Command {
        actor: Some(Actor::AdminFile),
        ..keyed(
            NOON,
            "order-20",
            0xaa,
            new_token_until("bob@lab", 0xe2, NOON + 120_000),
        )
    };
    vec![
        (
            "found-cluster",
            command(NOON, Op::FoundCluster(cluster_id(0xc1))),
        ),
        (
            "announce-node",
            command(NOON, Op::AnnounceNode(entry.clone())),
        ),
        (
            "admit-node",
            command(NOON, Op::AdmitNode(node_entry(4, 8084, 0xd4))),
        ),
        (
            "change-settings",
            command(NOON, Op::ChangeSettings(settings())),
        ),
        ("create-token", command(NOON, new_token("alice", 0xe1))),
        ("create-token-by-file", by_the_file),
        ("create-token-3", command(NOON, new_token("carol", 0xe3))),
        ("revoke-token", command(NOON, Op::RevokeToken(3))),
        (
            "note-token-uses",
            command(NOON, Op::NoteTokenUses(vec![(1, at(NOON)), (3, at(NOON))])),
        ),
        ("create-printer-by-token", by_a_token),
    ]
}

/// Commands that change and delete printers and filaments, by name.
fn change_commands() -> Vec<(&'static str, Command)> {
    let update_printer = Op::UpdatePrinter(PrinterChange {
        target: Target {
            id: number(-7),
            versions: Some(vec![2, 300]),
        },
        company: Some("Prusa".to_owned()),
        model: None,
    });
    let update_filament = Op::UpdateFilament(FilamentChange {
        target: text("12").into(),
        filament_type: Some(FilamentType::Tpu),
        color: Some("blue".to_owned()),
        total_weight_in_grams: Some(grams(900)),
        remaining_weight_in_grams: Some(grams(800)),
    });
    let delete_printer = Op::DeletePrinter(number(-7).into());
    let delete_filament = Op::DeleteFilament(text("12").into());
    vec![
        ("update-printer", command(NOON, update_printer)),
        ("delete-printer", command(NOON, delete_printer)),
        ("update-filament", command(NOON, update_filament)),
        ("delete-filament", command(NOON, delete_filament)),
    ]
}

/// A trace that a command may be part of.
pub fn trace() -> TraceContext {
    TraceContext {
        trace_id: [0x7a; 16],
        span_id: [0x5b; 8],
        flags: 1,
    }
}

/// Few events are kept, so that a snapshot tells of some that are not.
fn settings() -> Settings {
    Settings { event_retention: 9 }
}

/// The farm in a cluster that has a name, knows its nodes and callers and has settings of its own.
fn farm_in_cluster() -> State {
    let mut state = farm();
    for (_, command) in cluster_commands() {
        let outcome = state.apply(state.applied_index() + 1, &command);
        assert!(outcome.result.is_ok(), "{outcome:?}");
    }
    for (_, command) in change_commands() {
        state.apply(state.applied_index() + 1, &command);
    }
    state
}

/// The farm after the golden commands, one of them repeated, in a log with a gap.
pub fn farm() -> State {
    let mut farm = Farm::new();
    for (_, command) in commands() {
        farm.apply(&command);
    }
    farm.state.advance(farm.state.applied_index() + 3);
    for (name, command) in commands() {
        if name == "create-job-keyed" {
            assert!(farm.apply(&command).replayed);
        }
    }
    farm.now = NOON + 60_000;
    assert!(farm.set(&number(1), JobStatus::Done).is_ok());
    farm.state
}

/// One outcome of every kind, by name.
pub fn outcomes() -> Vec<(&'static str, Outcome)> {
    let state = farm();
    let printer = state.printer("-7").expect("printer -7").clone();
    let filament = state.filament("12").expect("filament 12").clone();
    let job = state.job("job/é").expect("the job").clone();
    let replayed = Outcome {
        index: 7,
        replayed: true,
        result: Ok(Reply::Job(job.clone())),
    };
    let mut all = vec![("replayed", replayed)];
    let mut add = |name, result| all.push((name, Outcome::new(300, result)));
    add("printer", Ok(Reply::Printer(printer)));
    let version = state.version_of(&filament);
    add("filament", Ok(Reply::Filament { filament, version }));
    add("job", Ok(Reply::Job(job)));
    add("barrier", Ok(Reply::Barrier));
    for (name, refusal) in refusals() {
        add(name, Err(refusal));
    }
    add("cluster", Ok(Reply::Cluster(cluster_id(0xc1))));
    add("node-noted", Ok(Reply::NodeNoted));
    add("settings", Ok(Reply::Settings(settings())));
    add(
        "other-directory",
        Err(Refusal::OtherDirectory { node_id: 3 }),
    );
    let (kind, id) = (Kind::Filament, text("12"));
    add(
        "deleted",
        Ok(Reply::Deleted {
            kind,
            id: id.clone(),
        }),
    );
    add(
        "other-version",
        Err(Refusal::OtherVersion {
            kind,
            id: id.clone(),
            modified_index: 300,
        }),
    );
    let (jobs, more) = (vec![number(1), text("job/é")], true);
    add(
        "in-use",
        Err(Refusal::InUse {
            kind,
            id,
            jobs,
            more,
        }),
    );
    let (node_id, reads, used) = (3, 1, 2);
    let older = Refusal::OlderProgram {
        node_id,
        reads,
        used,
    };
    add("older-program", Err(older));
    let mut farm = Farm::new();
    let Ok(Reply::Token(token)) = farm.run(new_token("alice", 0xe1)) else {
        panic!("no token");
    };
    add("token", Ok(Reply::Token(token.clone())));
    add("token-revoked", Ok(Reply::TokenRevoked(token)));
    add("token-uses-noted", Ok(Reply::TokenUsesNoted));
    add("invalid-token", Err(Refusal::InvalidToken));
    let name = "alice".to_owned();
    add("token-name-taken", Err(Refusal::TokenNameTaken { name }));
    add("token-secret-taken", Err(Refusal::TokenSecretTaken));
    add("token-not-found", Err(Refusal::TokenNotFound { id: 9 }));
    let max = 1_000;
    add("too-many-tokens", Err(Refusal::TooManyTokens { max }));
    all
}

fn refusals() -> Vec<(&'static str, Refusal)> {
    let id = number(7);
    let key = "order-17".to_owned();
    let problem = "no bytes, not even a format version".to_owned();
    vec![
        (
            "id-taken",
            Refusal::IdTaken {
                kind: Kind::Filament,
                id: text("7"),
            },
        ),
        (
            "ids-exhausted",
            Refusal::IdsExhausted {
                kind: Kind::PrintJob,
            },
        ),
        (
            "unknown-printer",
            Refusal::UnknownPrinter { id: id.clone() },
        ),
        (
            "unknown-filament",
            Refusal::UnknownFilament { id: id.clone() },
        ),
        (
            "not-enough-filament",
            Refusal::NotEnoughFilament {
                filament_id: text("spool"),
                requested: grams(500),
                available: grams(120),
            },
        ),
        (
            "not-found",
            Refusal::NotFound {
                kind: Kind::PrintJob,
                id: id.clone(),
            },
        ),
        (
            "forbidden-transition",
            Refusal::ForbiddenTransition {
                id,
                from: JobStatus::Done,
                to: JobStatus::Running,
            },
        ),
        (
            "invalid-field",
            Refusal::InvalidField {
                pointer: "/company".to_owned(),
                problem: "must not be empty".to_owned(),
            },
        ),
        (
            "idempotency-key-reused",
            Refusal::IdempotencyKeyReused { key },
        ),
        (
            "invalid-idempotency-key",
            Refusal::InvalidIdempotencyKey {
                length: 300,
                max: 255,
            },
        ),
        ("malformed-command", Refusal::MalformedCommand { problem }),
        (
            "already-applied",
            Refusal::AlreadyApplied { applied_index: 299 },
        ),
    ]
}

/// Compares named bytes with a golden file, or writes it when asked to.
///
/// A file has a line `name hex` for each sample.
fn compare(file: &str, samples: &[(&'static str, Vec<u8>)]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    let mut text = String::new();
    for (name, bytes) in samples {
        writeln!(text, "{name} {}", hex(bytes)).expect("writing to a string succeeds");
    }
    if std::env::var_os("RAFT3D_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let kept = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    for (kept, now) in kept.lines().zip(text.lines()) {
        assert_eq!(now, kept, "{file}: it is written otherwise now");
    }
    assert_eq!(kept.lines().count(), samples.len(), "samples in {file}");
}

/// The samples of a golden file.
fn kept(file: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    let text = std::fs::read_to_string(path).expect("the golden file is there");
    text.lines()
        .map(|line| {
            let (name, digits) = line.split_once(' ').expect("a name and hex digits");
            (name.to_owned(), unhex(digits))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    assert_eq!(digits.len() % 2, 0, "hex digits come in pairs");
    (0..digits.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(&digits[place..place + 2], 16).expect("hex digits"))
        .collect()
}

#[test]
fn commands_of_version_1_are_written_and_read() {
    let commands = [commands(), cluster_commands(), change_commands()].concat();
    let mut samples: Vec<_> = commands
        .iter()
        .map(|(name, command)| (*name, command.encode()))
        .collect();
    let (_, first) = &commands[0];
    samples.push(("create-printer-traced", first.encode_in(Some(trace()))));
    compare("commands-v1.txt", &samples);
    let (_, traced) = kept("commands-v1.txt").pop().expect("a sample");
    assert_eq!(Command::decode(&traced).as_ref(), Ok(first));
    assert_eq!(Command::trace_of(&traced), Some(trace()));
    for ((name, bytes), (_, command)) in kept("commands-v1.txt").iter().zip(commands) {
        let read = Command::decode(bytes).expect(name);
        // JSON as well, because ids compare without their JSON type.
        assert_eq!(read, command, "{name}");
        assert_eq!(
            serde_json::to_string(&read).expect("JSON"),
            serde_json::to_string(&command).expect("JSON"),
            "{name}"
        );
    }
}

#[test]
fn outcomes_of_version_1_are_written_and_read() {
    let samples: Vec<_> = outcomes()
        .into_iter()
        .map(|(name, outcome)| (name, outcome.encode()))
        .collect();
    compare("outcomes-v1.txt", &samples);
    for ((name, bytes), (_, outcome)) in kept("outcomes-v1.txt").iter().zip(outcomes()) {
        let read = Outcome::decode(bytes).expect(name);
        assert_eq!(read, outcome, "{name}");
        assert_eq!(
            serde_json::to_string(&read).expect("JSON"),
            serde_json::to_string(&outcome).expect("JSON"),
            "{name}"
        );
    }
}

#[test]
fn snapshots_of_version_3_are_written_and_read() {
    let samples = [("farm", farm_in_cluster()), ("empty", small())];
    let bytes: Vec<_> = samples
        .iter()
        .map(|(name, state)| (*name, snapshot(state)))
        .collect();
    compare("snapshots-v3.txt", &bytes);
    assert_snapshots_read("snapshots-v3.txt", &samples);
}

fn small() -> State {
    State::with_limits(Limits {
        count_max: 1,
        bytes_max: 2,
        age_ms_max: 3,
    })
}

/// Asserts that a golden file reads as `states`.
fn assert_snapshots_read(file: &str, states: &[(&str, State)]) {
    let kept = kept(file);
    assert_eq!(kept.len(), states.len(), "samples in {file}");
    for ((name, bytes), (_, state)) in kept.iter().zip(states) {
        let read = State::read_snapshot(&mut bytes.as_slice()).expect(name);
        assert_eq!(read.hash(), state.hash(), "{name}");
        assert_eq!(read.roster(), state.roster(), "{name}");
        assert_eq!(read.tokens(), state.tokens(), "{name}");
        assert_eq!(objects(&read), objects(state), "{name}");
        assert_eq!(read.applied_index(), state.applied_index(), "{name}");
        assert_eq!(read.remembered_count(), state.remembered_count(), "{name}");
    }
}
