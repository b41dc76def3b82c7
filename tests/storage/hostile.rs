//! Data directories that something damaged: every file of one cut at every length and with flipped
//! bits. A node either recovers exactly what it had made durable, or refuses to start, names what
//! is damaged and says what to do. Prints a table of files and outcomes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft3d::domain::command::{Command, NewFilament, NewJob, NewPrinter, Op};
use raft3d::domain::id::Id;
use raft3d::domain::model::FilamentType;
use raft3d::domain::state::State;
use raft3d::domain::time::Timestamp;
use raft3d::domain::weight::Grams;
use raft3d::raft::recover;
use raft3d::storage::snapshot::SnapshotId;
use raft3d::storage::{DataDir, Entry, Log, SnapshotStore};

const NODE: i32 = 1;
const CONFIG: &[u8] = b"as the core encodes it";
const VOTE: &[u8] = b"term 3, voted for 2";
/// Kind of the entries that hold commands.
const COMMAND: u8 = 1;
/// Lengths and bits that are tried of a large file: all near its ends, and as many in between.
const SAMPLES: usize = 200;

/// Everything that a node had made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Durable {
    config: Vec<u8>,
    vote: Vec<u8>,
    next_index: u64,
    last_term: u64,
    state: [u8; 32],
}

/// What became of a damaged directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Recovered,
    Refused,
}

/// A directory with two snapshots, a log of two terms that was cut back once, and a vote.
fn fill(dir: &Path) -> Durable {
    let data = DataDir::open(dir, NODE, CONFIG).unwrap();
    data.save_state(VOTE).unwrap();
    let log = Log::open(&data.log_path()).unwrap();
    let snapshots = SnapshotStore::open(&data.snapshots_path()).unwrap();
    let mut state = State::new();
    for index in 1..=40 {
        let entry = command(index, index / 20 + 1);
        log.append(&entry);
        state.apply_bytes(index, &entry.data);
        if index % 15 == 0 {
            assert!(log.flush());
            let id = SnapshotId {
                index,
                term: entry.term,
            };
            let body = |mut sink: &mut dyn std::io::Write| state.write_snapshot(&mut sink);
            snapshots.write(id, b"of the core", body).unwrap();
            log.purge(index.saturating_sub(20));
        }
    }
    // Another leader's entries that were never committed, and what replaced them.
    for _ in 41..=50 {
        log.append(&command(1_000, 3));
    }
    assert!(log.flush());
    log.truncate(41);
    for index in 41..=44 {
        let entry = command(index, 4);
        log.append(&entry);
        state.apply_bytes(index, &entry.data);
        assert!(log.flush());
    }
    Durable {
        config: CONFIG.to_vec(),
        vote: VOTE.to_vec(),
        next_index: 45,
        last_term: 4,
        state: state.hash(),
    }
}

fn command(index: u64, term: u64) -> Entry {
    let id = |number| Some(Id::from_key(&format!("{number}")).unwrap());
    let grams = |grams| Grams::new(grams).unwrap();
    let op = match index % 3 {
        1 => Op::CreatePrinter(NewPrinter {
            id: id(index),
            company: "Prusa".to_owned(),
            model: format!("model {index}"),
        }),
        2 => Op::CreateFilament(NewFilament {
            id: id(index),
            filament_type: FilamentType::Pla,
            color: "red".to_owned(),
            total_weight_in_grams: grams(1_000),
            remaining_weight_in_grams: None,
        }),
        _ => Op::CreateJob(NewJob {
            id: id(index),
            printer_id: id(index - 2).unwrap(),
            filament_id: id(index - 1).unwrap(),
            filepath: "vase.gcode".to_owned(),
            print_weight_in_grams: grams(7),
        }),
    };
    let command = Command {
        stamped_at: Timestamp::from_millis(1_000 + index),
        actor: None,
        idempotency: None,
        op,
    };
    Entry::new(term, COMMAND, index, Bytes::from(command.encode()))
}

/// Opens the directory as a starting node does, and reads all of it.
fn open(dir: &Path) -> Result<Durable, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let data = DataDir::open(dir, NODE, CONFIG).map_err(|e| text(&e))?;
    let log = Log::open(&data.log_path()).map_err(|e| text(&e))?;
    let machine = recover(NODE, &data, &log).map_err(|e| text(&e))?;
    let mut state = machine.state();
    let from = state.applied_index() + 1;
    let entries = log
        .read(from, log.next_index(), u64::MAX)
        .ok_or("the log cannot be read")?;
    for (index, entry) in (from..).zip(&entries) {
        state.apply_bytes(index, &entry.data);
    }
    Ok(Durable {
        config: data.load_config().map_err(|e| text(&e))?,
        vote: data.load_state().map_err(|e| text(&e))?,
        next_index: log.next_index(),
        last_term: log.term_at(log.next_index() - 1),
        state: state.hash(),
    })
}

/// In memory if possible: thousands of directories are opened, each with its syncs.
fn scratch_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_under(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_under(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
}

/// The numbers below `end`, or some of them.
fn sample(end: usize) -> Vec<usize> {
    let all = 0..end;
    if end <= 2 * SAMPLES {
        return all.collect();
    }
    let near = |number: &usize| *number < SAMPLES / 2 || *number >= end - SAMPLES / 2;
    let step = end / SAMPLES;
    all.filter(|number| near(number) || number % step == 0)
        .collect()
}

/// Opens a copy of `original` in which `damage` was done to `file`.
fn outcome(original: &Path, file: &Path, expected: &Durable, damage: &[u8], what: &str) -> Outcome {
    let scratch = scratch_dir();
    let dir = scratch.path().join("node");
    copy(original, &dir);
    fs::write(dir.join(file), damage).unwrap();
    match open(&dir) {
        Ok(found) => {
            assert!(
                found == *expected,
                "{what}: silently recovered as {found:?}"
            );
            Outcome::Recovered
        }
        Err(reason) => {
            let parent = file.parent().unwrap();
            let named = [file, parent].iter().any(|path| {
                !path.as_os_str().is_empty()
                    && reason.contains(&dir.join(path).display().to_string())
            });
            assert!(named, "{what}: refused without naming it: {reason}");
            assert!(
                reason.contains("move the whole data directory away"),
                "{what}: no advice: {reason}"
            );
            Outcome::Refused
        }
    }
}

#[test]
fn damage_is_survived_or_named_and_never_silent() {
    let scratch = scratch_dir();
    let original = scratch.path().join("node");
    let expected = fill(&original);
    assert_eq!(open(&original).unwrap(), expected);
    let mut table = String::new();
    for path in files_under(&original) {
        let file = path.strip_prefix(&original).unwrap();
        let bytes = fs::read(&path).unwrap();
        let mut counts: BTreeMap<(&str, Outcome), usize> = BTreeMap::new();
        for len in sample(bytes.len()) {
            let what = format!("{} cut to {len} of {} bytes", file.display(), bytes.len());
            let outcome = outcome(&original, file, &expected, &bytes[..len], &what);
            *counts.entry(("cut", outcome)).or_default() += 1;
        }
        for bit in sample(bytes.len() * 8) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let what = format!("{} with bit {bit} flipped", file.display());
            let outcome = outcome(&original, file, &expected, &flipped, &what);
            *counts.entry(("flipped", outcome)).or_default() += 1;
        }
        let count = |how, outcome| counts.get(&(how, outcome)).copied().unwrap_or(0);
        table += &format!(
            "{:60} {:6} bytes | cut: {:4} recovered {:4} refused | flipped: {:4} recovered {:4} refused\n",
            file.display().to_string(),
            bytes.len(),
            count("cut", Outcome::Recovered),
            count("cut", Outcome::Refused),
            count("flipped", Outcome::Recovered),
            count("flipped", Outcome::Refused),
        );
    }
    println!("{table}");
}

#[test]
fn a_file_that_is_gone_is_survived_or_named() {
    let scratch = scratch_dir();
    let original = scratch.path().join("node");
    let expected = fill(&original);
    for path in files_under(&original) {
        let file = path.strip_prefix(&original).unwrap();
        let dir = scratch
            .path()
            .join("without")
            .join(file.file_name().unwrap());
        copy(&original, &dir);
        fs::remove_file(dir.join(file)).unwrap();
        match open(&dir) {
            Ok(found) => assert_eq!(found, expected, "without {}", file.display()),
            Err(reason) => assert!(
                reason.contains("move the whole data directory away"),
                "{}: {reason}",
                file.display()
            ),
        }
    }
}
