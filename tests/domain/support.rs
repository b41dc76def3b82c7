//! Short ways to say what the tests need, and a farm that counts its own log indices.

use raft3d::domain::command::{Command, Idempotency, NewFilament, NewJob, NewPrinter, Op};
use raft3d::domain::id::Id;
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::{Filament, FilamentType, JobStatus, PrintJob, Printer};
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::roster::{NodeEntry, NodeRecord};
use raft3d::domain::state::{JobFilter, State};
use raft3d::domain::time::Timestamp;
use raft3d::domain::tokens::{AccessRole, NewToken, TokenDigest};
use raft3d::domain::weight::Grams;
use raft3d::identity::{ClusterId, DirectoryId};

pub fn number(value: i64) -> Id {
    Id::from_integer(value).expect("an integer id")
}

pub fn text(value: &str) -> Id {
    Id::from_text(value).expect("a string id")
}

pub fn grams(value: u64) -> Grams {
    Grams::new(value).expect("a weight in range")
}

pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub fn command(stamped_at: u64, op: Op) -> Command {
    Command {
        stamped_at: at(stamped_at),
        actor: None,
        idempotency: None,
        op,
    }
}

pub fn keyed(stamped_at: u64, key: &str, fingerprint: u8, op: Op) -> Command {
    Command {
        stamped_at: at(stamped_at),
        actor: None,
        idempotency: Some(Idempotency {
            key: key.to_owned(),
            fingerprint: [fingerprint; 32],
        }),
        op,
    }
}

pub fn new_printer(id: Option<Id>) -> Op {
    Op::CreatePrinter(NewPrinter {
        id,
        company: "Creality".to_owned(),
        model: "Ender 3".to_owned(),
    })
}

pub fn new_filament(id: Option<Id>, total: u64, remaining: Option<u64>) -> Op {
    Op::CreateFilament(NewFilament {
        id,
        filament_type: FilamentType::Petg,
        color: "red".to_owned(),
        total_weight_in_grams: grams(total),
        remaining_weight_in_grams: remaining.map(grams),
    })
}

pub fn new_job(id: Option<Id>, printer_id: Id, filament_id: Id, weight: u64) -> Op {
    Op::CreateJob(NewJob {
        id,
        printer_id,
        filament_id,
        filepath: "parts/bracket.gcode".to_owned(),
        print_weight_in_grams: grams(weight),
    })
}

pub fn cluster_id(byte: u8) -> ClusterId {
    ClusterId::from_bytes([byte; 16]).expect("an identity")
}

pub fn directory_id(byte: u8) -> DirectoryId {
    DirectoryId::from_bytes([byte; 16]).expect("an identity")
}

pub fn node_entry(node_id: i32, port: u16, directory: u8) -> NodeEntry {
    NodeEntry {
        node_id,
        record: NodeRecord {
            http_addr: format!("127.0.0.1:{port}"),
            directory: directory_id(directory),
            // Not the newest: what is golden stays as it is when there is a newer one.
            command_version: 2,
        },
    }
}

pub fn token_digest(byte: u8) -> TokenDigest {
    TokenDigest([byte; 32])
}

/// A viewer's token that does not expire; `byte` tells its secret from others.
pub fn new_token(name: &str, byte: u8) -> Op {
    Op::CreateToken(NewToken {
        name: name.to_owned(),
        role: AccessRole::Viewer,
        digest: token_digest(byte),
        expires_at: None,
    })
}

/// The same, worth nothing from `expires_at` on.
pub fn new_token_until(name: &str, byte: u8, expires_at: u64) -> Op {
    match new_token(name, byte) {
        Op::CreateToken(new) => Op::CreateToken(NewToken {
            expires_at: Some(at(expires_at)),
            ..new
        }),
        other => other,
    }
}

/// A state to which commands are applied one log index after the other.
pub struct Farm {
    pub state: State,
    /// Moment stamped on the next command, in milliseconds.
    pub now: u64,
}

impl Farm {
    pub fn new() -> Farm {
        Farm::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Farm {
        Farm {
            state: State::with_limits(limits),
            now: 1_000,
        }
    }

    /// A farm with printer 1 and a full roll of filament, 1, of 1000 g.
    pub fn stocked() -> Farm {
        let mut farm = Farm::new();
        farm.printer(None);
        farm.filament(None, 1_000);
        farm
    }

    pub fn apply(&mut self, command: &Command) -> Outcome {
        self.state.apply(self.state.applied_index() + 1, command)
    }

    pub fn run(&mut self, op: Op) -> Result<Reply, Refusal> {
        let command = command(self.now, op);
        let outcome = self.apply(&command);
        assert_eq!(outcome.index, self.state.applied_index());
        assert!(!outcome.replayed);
        outcome.result
    }

    /// Runs a command that must be refused and must leave every object as it was.
    pub fn refused(&mut self, op: Op) -> Refusal {
        let before = objects(&self.state);
        let refusal = self.run(op).expect_err("the command is refused");
        assert_eq!(objects(&self.state), before, "a refusal changes nothing");
        refusal
    }

    pub fn printer(&mut self, id: Option<Id>) -> Printer {
        match self.run(new_printer(id)) {
            Ok(Reply::Printer(printer)) => printer,
            other => panic!("no printer: {other:?}"),
        }
    }

    pub fn filament(&mut self, id: Option<Id>, total: u64) -> Filament {
        match self.run(new_filament(id, total, None)) {
            Ok(Reply::Filament { filament, .. }) => filament,
            other => panic!("no filament: {other:?}"),
        }
    }

    /// A job on printer 1 from filament 1.
    pub fn job(&mut self, weight: u64) -> PrintJob {
        match self.run(new_job(None, number(1), number(1), weight)) {
            Ok(Reply::Job(job)) => job,
            other => panic!("no job: {other:?}"),
        }
    }

    pub fn set(&mut self, id: &Id, to: JobStatus) -> Result<PrintJob, Refusal> {
        match self.run(Op::SetJobStatus {
            job: id.clone().into(),
            to,
        }) {
            Ok(Reply::Job(job)) => Ok(job),
            Ok(other) => panic!("no job: {other:?}"),
            Err(refusal) => Err(refusal),
        }
    }

    /// Remaining, reserved and available grams of filament 1.
    pub fn weights(&self) -> (u64, u64, u64) {
        let filament = self.state.filament("1").expect("filament 1");
        (
            filament.remaining_weight_in_grams.get(),
            self.state.reserved(filament).get(),
            self.state.available(filament).get(),
        )
    }
}

/// All objects as JSON, in the order of lists: what a client could see, JSON types included.
pub fn objects(state: &State) -> Vec<serde_json::Value> {
    let all = JobFilter::default();
    let printers = state.printers().map(serde_json::to_value);
    let filaments = state.filaments().map(serde_json::to_value);
    let jobs = state.jobs(&all, None).map(serde_json::to_value);
    printers
        .chain(filaments)
        .chain(jobs)
        .map(|value| value.expect("objects have a JSON form"))
        .collect()
}

pub fn snapshot(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    state
        .write_snapshot(&mut bytes)
        .expect("writing to memory succeeds");
    bytes
}
