//! What is written to the log: one request, with everything it needs to be applied anywhere.

use serde::{Deserialize, Deserializer, Serialize};

use super::codec::{self, DecodeError};
use super::id::Id;
use super::model::{FilamentType, JobStatus};
use super::roster::NodeEntry;
use super::settings::Settings;
use super::time::Timestamp;
use super::tokens::{Actor, NewToken};
use super::trace::TraceContext;
use super::weight::Grams;
use crate::identity::ClusterId;

/// The newest version of commands that this build reads and writes. An operation that nodes of the
/// version before cannot read begins the next one; `docs/upgrading.md` has the rules.
pub const NEWEST_VERSION: u8 = 3;

/// The first version whose envelope has room for a trace.
pub const TRACED_VERSION: u8 = 3;

/// One request to the state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// When the accepting node took the request: the only clock the state machine knows.
    pub stamped_at: Timestamp,
    /// Who had it submitted; nothing where nobody is asked, and of what nodes do by themselves.
    pub actor: Option<Actor>,
    /// The client's promise that repetitions are the same request.
    pub idempotency: Option<Idempotency>,
    /// What to do.
    pub op: Op,
}

/// What the binary form of a [`Command`] begins with.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only passed over")]
struct Front<'a> {
    stamped_at: Timestamp,
    actor: Option<Actor>,
    #[serde(borrow)]
    idempotency: Option<(&'a str, [u8; 32])>,
}

/// Recognises repetitions of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The client's key, 1 to [`IDEMPOTENCY_KEY_LEN_MAX`] bytes. Each actor has keys of its own.
    pub key: String,
    /// Digest of the request; the same key with another one is refused.
    pub fingerprint: [u8; 32],
}

/// The longest idempotency key, in bytes of UTF-8.
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 255;

/// The things a command can do. The order is the binary form: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Adds a printer.
    CreatePrinter(NewPrinter),
    /// Adds a roll of filament.
    CreateFilament(NewFilament),
    /// Adds a print job, queued.
    CreateJob(NewJob),
    /// Moves a print job to another status.
    SetJobStatus {
        /// The job.
        job: Target,
        /// The status it is to have.
        to: JobStatus,
    },
    /// Changes nothing: its index marks a point in the log that a read may wait for.
    Barrier,
    /// Names the cluster, unless it has a name.
    FoundCluster(ClusterId),
    /// A node says where it is reached and which data directory it has.
    AnnounceNode(NodeEntry),
    /// A node, perhaps with a new data directory, is about to become a member.
    AdmitNode(NodeEntry),
    /// Replaces the cluster's settings.
    ChangeSettings(Settings),
    /// Adds an API token.
    CreateToken(NewToken),
    /// Removes the API token with this id.
    RevokeToken(u64),
    /// Notes when tokens, by id, were last used.
    NoteTokenUses(Vec<(u64, Timestamp)>),
    /// Changes a printer that no queued or running job uses.
    UpdatePrinter(PrinterChange),
    /// Removes such a printer.
    DeletePrinter(Target),
    /// Changes a roll of filament that no queued or running job uses.
    UpdateFilament(FilamentChange),
    /// Removes such a roll.
    DeleteFilament(Target),
}

/// What a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The object.
    pub id: Id,
    /// Which versions of it will do, as the log index of its last change; any if not given.
    pub versions: Option<Vec<u64>>,
}

impl From<Id> for Target {
    /// Whatever version the object has.
    fn from(id: Id) -> Target {
        Target { id, versions: None }
    }
}

/// What is to become of a printer; what is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrinterChange {
    /// Which printer.
    pub target: Target,
    /// Who makes it.
    pub company: Option<String>,
    /// Which of the company's printers it is.
    pub model: Option<String>,
}

/// What is to become of a roll of filament; what is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilamentChange {
    /// Which roll.
    pub target: Target,
    /// The plastic.
    pub filament_type: Option<FilamentType>,
    /// Its colour.
    pub color: Option<String>,
    /// What the roll holds when new.
    pub total_weight_in_grams: Option<Grams>,
    /// What is left on it.
    pub remaining_weight_in_grams: Option<Grams>,
}

/// A printer to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPrinter {
    /// The id wanted, or the next free integer.
    pub id: Option<Id>,
    /// Who makes it.
    pub company: String,
    /// Which of the company's printers it is.
    pub model: String,
}

/// A roll of filament to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFilament {
    /// The id wanted, or the next free integer.
    pub id: Option<Id>,
    /// The plastic.
    #[serde(rename = "type", deserialize_with = "filament_type_in_any_case")]
    pub filament_type: FilamentType,
    /// Its colour.
    pub color: String,
    /// What the roll holds when new.
    pub total_weight_in_grams: Grams,
    /// What is on it now; the total if not given.
    pub remaining_weight_in_grams: Option<Grams>,
}

/// A print job to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// The id wanted, or the next free integer.
    pub id: Option<Id>,
    /// An existing printer.
    pub printer_id: Id,
    /// An existing filament.
    pub filament_id: Id,
    /// Path of the file to print.
    pub filepath: String,
    /// What the print weighs.
    pub print_weight_in_grams: Grams,
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// JSON pointer to the field, as in `/company`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Command {
    /// The command as written to the log.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_in(None)
    }

    /// The same as a part of `trace`. That takes at least [`TRACED_VERSION`] to be read.
    pub fn encode_in(&self, trace: Option<TraceContext>) -> Vec<u8> {
        match self.version_in(trace) {
            version @ TRACED_VERSION.. => codec::encode_as(version, &(trace, self)),
            version => codec::encode_as(version, self),
        }
    }

    /// Reads a command from the log, whoever wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        let (version, (trace, command)) = match Command::version_of(bytes) {
            TRACED_VERSION.. => codec::decode_up_to(NEWEST_VERSION, bytes)?,
            _ => {
                let (version, command) = codec::decode_up_to(NEWEST_VERSION, bytes)?;
                (version, (None, command))
            }
        };
        let command: Command = command;
        if version != command.version_in(trace) {
            let reason = format!("an operation of another version than {version}");
            return Err(DecodeError::Malformed { reason });
        }
        Ok(command)
    }

    /// The trace that the bytes of a command claim to be part of.
    pub fn trace_of(bytes: &[u8]) -> Option<TraceContext> {
        let (_, envelope) = bytes.split_first().filter(|(v, _)| **v >= TRACED_VERSION)?;
        codec::decode_front(envelope)?
    }

    /// Whether the outcome of the command that `bytes` hold may be that of an earlier one: it has a key,
    /// or cannot be read.
    pub fn may_be_answered_before(bytes: &[u8]) -> bool {
        let Some((&version, envelope)) = bytes.split_first() else {
            return true;
        };
        let front = match version {
            TRACED_VERSION.. => codec::decode_front(envelope)
                .map(|(_, front): (Option<TraceContext>, Front<'_>)| front),
            _ => codec::decode_front(envelope),
        };
        front.is_none_or(|front| front.idempotency.is_some())
    }

    fn version_in(&self, trace: Option<TraceContext>) -> u8 {
        let envelope = trace.map_or(1, |_| TRACED_VERSION);
        self.op.version().max(envelope)
    }

    /// The version that the bytes of a command claim, whether or not this build reads it; 0 if there
    /// are none.
    pub fn version_of(bytes: &[u8]) -> u8 {
        bytes.first().copied().unwrap_or_default()
    }
}

impl Op {
    /// The version of commands that first had this operation: a node reads it if it reads that
    /// version.
    pub fn version(&self) -> u8 {
        match self {
            Op::CreatePrinter(_)
            | Op::CreateFilament(_)
            | Op::CreateJob(_)
            | Op::SetJobStatus { .. }
            | Op::Barrier
            | Op::FoundCluster(_)
            | Op::AnnounceNode(_)
            | Op::AdmitNode(_) => 1,
            Op::ChangeSettings(_)
            | Op::CreateToken(_)
            | Op::RevokeToken(_)
            | Op::NoteTokenUses(_)
            | Op::UpdatePrinter(_)
            | Op::DeletePrinter(_)
            | Op::UpdateFilament(_)
            | Op::DeleteFilament(_) => 2,
        }
    }

    /// Whether carrying it out again changes nothing, so that a proposal whose outcome is unknown
    /// may be repeated without an idempotency key.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Op::Barrier
            | Op::FoundCluster(_)
            | Op::AnnounceNode(_)
            | Op::AdmitNode(_)
            | Op::ChangeSettings(_)
            | Op::NoteTokenUses(_) => true,
            Op::CreatePrinter(_)
            | Op::CreateFilament(_)
            | Op::CreateJob(_)
            | Op::SetJobStatus { .. }
            | Op::CreateToken(_)
            | Op::RevokeToken(_)
            | Op::UpdatePrinter(_)
            | Op::DeletePrinter(_)
            | Op::UpdateFilament(_)
            | Op::DeleteFilament(_) => false,
        }
    }

    /// Whether it creates an object whose id is the next free integer.
    pub fn leaves_id_open(&self) -> bool {
        match self {
            Op::CreatePrinter(new) => new.id.is_none(),
            Op::CreateFilament(new) => new.id.is_none(),
            Op::CreateJob(new) => new.id.is_none(),
            _ => false,
        }
    }
}

impl NewPrinter {
    /// Every field that breaks a rule by itself, without looking at the farm.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        require_text(&mut problems, "/company", &self.company);
        require_text(&mut problems, "/model", &self.model);
        problems
    }
}

impl PrinterChange {
    /// Every field that breaks a rule by itself, without looking at the farm.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        let texts = [("/company", &self.company), ("/model", &self.model)];
        for (pointer, text) in texts {
            text.iter()
                .for_each(|text| require_text(&mut problems, pointer, text));
        }
        problems
    }
}

impl FilamentChange {
    /// Every field that breaks a rule by itself, without looking at the farm.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        if let Some(color) = &self.color {
            require_text(&mut problems, "/color", color);
        }
        if let Some(total) = self.total_weight_in_grams {
            require_weight(&mut problems, "/total_weight_in_grams", total);
        }
        problems
    }
}

impl NewFilament {
    /// Every field that breaks a rule by itself, without looking at the farm.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        require_text(&mut problems, "/color", &self.color);
        let total = self.total_weight_in_grams;
        require_weight(&mut problems, "/total_weight_in_grams", total);
        if let Some(remaining) = self.remaining_weight_in_grams.filter(|left| *left > total) {
            problems.push(FieldProblem {
                pointer: "/remaining_weight_in_grams".to_owned(),
                problem: format!(
                    "must be at most total_weight_in_grams, {}, not {}",
                    total.get(),
                    remaining.get()
                ),
            });
        }
        problems
    }
}

impl NewJob {
    /// Every field that breaks a rule by itself, without looking at the farm.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        require_text(&mut problems, "/filepath", &self.filepath);
        let weight = self.print_weight_in_grams;
        require_weight(&mut problems, "/print_weight_in_grams", weight);
        problems
    }
}

fn require_text(problems: &mut Vec<FieldProblem>, pointer: &str, text: &str) {
    if text.is_empty() {
        problems.push(FieldProblem {
            pointer: pointer.to_owned(),
            problem: "must not be empty".to_owned(),
        });
    }
}

fn require_weight(problems: &mut Vec<FieldProblem>, pointer: &str, weight: Grams) {
    if weight == Grams::ZERO {
        problems.push(FieldProblem {
            pointer: pointer.to_owned(),
            problem: "must be above 0".to_owned(),
        });
    }
}

/// JSON may name a type in any letter case; the binary form is the variant's number.
fn filament_type_in_any_case<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<FilamentType, D::Error> {
    if deserializer.is_human_readable() {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    } else {
        FilamentType::deserialize(deserializer)
    }
}
