//! What applying a command gives back. A refusal is an outcome, not an error.

use serde::{Deserialize, Serialize};

use super::codec::{self, DecodeError};
use super::id::Id;
use super::model::{Filament, JobStatus, Kind, PrintJob, Printer};
use super::settings::Settings;
use super::tokens::Token;
use super::weight::Grams;
use crate::identity::ClusterId;

/// The answer of the state machine to one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Log index at which the answer was first given.
    pub index: u64,
    /// Whether this repeats the answer to an earlier command with the same idempotency key.
    pub replayed: bool,
    /// What was done, or why nothing was.
    pub result: Result<Reply, Refusal>,
}

/// What was done. The order is the binary form: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The printer as created or changed.
    Printer(Printer),
    /// The filament as created or changed, or as it was already.
    Filament {
        /// The filament.
        filament: Filament,
        /// Its version, in which its jobs count.
        version: u64,
    },
    /// The print job as created or changed.
    Job(PrintJob),
    /// The barrier has been passed.
    Barrier,
    /// The cluster's name, given now or before.
    Cluster(ClusterId),
    /// The node is noted.
    NodeNoted,
    /// The settings as they are now.
    Settings(Settings),
    /// The token as created.
    Token(Token),
    /// The token as it was.
    TokenRevoked(Token),
    /// The uses are noted.
    TokenUsesNoted,
    /// The object is gone.
    Deleted {
        /// Kind of the object.
        kind: Kind,
        /// The id that it had.
        id: Id,
    },
}

/// Why nothing was done. The order is the binary form: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// An object of that kind has the id already.
    #[error("the {kind} id {id} is taken; choose another, or leave it out to have one assigned")]
    IdTaken {
        /// Kind of the object.
        kind: Kind,
        /// The id, as the existing object has it.
        id: Id,
    },
    /// No integer is left to assign.
    #[error("no free integer id is left for another {kind}; give an id of your own")]
    IdsExhausted {
        /// Kind of the object.
        kind: Kind,
    },
    /// The job's printer does not exist.
    #[error("there is no printer {id}; create it first")]
    UnknownPrinter {
        /// The id given.
        id: Id,
    },
    /// The job's filament does not exist.
    #[error("there is no filament {id}; create it first")]
    UnknownFilament {
        /// The id given.
        id: Id,
    },
    /// The job needs more than other jobs have left free.
    #[error(
        "the job needs {requested} of filament {filament_id}, of which {available} is available"
    )]
    NotEnoughFilament {
        /// The filament's own id.
        filament_id: Id,
        /// What the job needs.
        requested: Grams,
        /// What is neither used nor reserved.
        available: Grams,
    },
    /// No such object.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// Kind of the object.
        kind: Kind,
        /// The id given.
        id: Id,
    },
    /// A job may not go from its status to the one asked for.
    #[error(
        "print job {id} is {from} and cannot become {to}; {}",
        describe_successors(*from)
    )]
    ForbiddenTransition {
        /// The job's own id.
        id: Id,
        /// Its status, unchanged.
        from: JobStatus,
        /// The status asked for.
        to: JobStatus,
    },
    /// A field breaks a rule by itself; the first such field.
    #[error("{pointer} {problem}")]
    InvalidField {
        /// JSON pointer to the field.
        pointer: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The key came with another request before.
    #[error(
        "the idempotency key {key:?} was used for another request; use a new key for a new request"
    )]
    IdempotencyKeyReused {
        /// The key given.
        key: String,
    },
    /// The key is empty or too long.
    #[error("an idempotency key has 1 to {max} bytes, not {length}")]
    InvalidIdempotencyKey {
        /// Bytes in the key given.
        length: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// The log entry is no command of a version this node reads.
    #[error("the log entry is not a command: {problem}")]
    MalformedCommand {
        /// What the decoder says.
        problem: String,
    },
    /// An entry at or before this index has been applied; nothing is applied twice.
    #[error("the log is applied up to index {applied_index} already")]
    AlreadyApplied {
        /// Where the state stands.
        applied_index: u64,
    },
    /// The node has a data directory that is not the one known of it.
    #[error(
        "node {node_id} is known with another data directory: without that one it no longer knows \
         what it acknowledged and how it voted; remove the node from the cluster and let it join \
         again with an empty directory"
    )]
    OtherDirectory {
        /// The node.
        node_id: i32,
    },
    /// The object is of another version than the change is meant for.
    #[error(
        "{kind} {id} was last changed at log index {modified_index}, and the change is meant for \
         another version: look at it again"
    )]
    OtherVersion {
        /// Kind of the object.
        kind: Kind,
        /// The id given.
        id: Id,
        /// Its version.
        modified_index: u64,
    },
    /// Queued or running jobs use the object.
    #[error("{kind} {id} is used by {}; wait for them or cancel them", describe_jobs(jobs, *more))]
    InUse {
        /// Kind of the object.
        kind: Kind,
        /// The object's own id.
        id: Id,
        /// Jobs that use it, those running first.
        jobs: Vec<Id>,
        /// Whether there are more.
        more: bool,
    },
    /// The node's program cannot read what is in the log.
    #[error(
        "node {node_id} reads commands up to version {reads} and the cluster uses version {used}: \
         install a newer version of the program on it"
    )]
    OlderProgram {
        /// The node.
        node_id: i32,
        /// The newest version it reads.
        reads: u8,
        /// The newest version in the log.
        used: u8,
    },
    /// The token of who submitted the command is gone or has expired.
    #[error("the token is not valid")]
    InvalidToken,
    /// Another token has the name.
    #[error("there is a token {name} already; choose another name, or revoke that one first")]
    TokenNameTaken {
        /// The name.
        name: String,
    },
    /// Another token has the secret.
    #[error("another token has this secret; make a new one")]
    TokenSecretTaken,
    /// No token has the id.
    #[error("there is no token {id}")]
    TokenNotFound {
        /// The id given.
        id: u64,
    },
    /// There are as many tokens as there can be.
    #[error("there are {max} tokens, and cannot be more; revoke those that are not used")]
    TooManyTokens {
        /// How many there can be.
        max: u64,
    },
}

impl Outcome {
    /// The first answer, given at `index`.
    pub fn new(index: u64, result: Result<Reply, Refusal>) -> Outcome {
        Outcome {
            index,
            replayed: false,
            result,
        }
    }

    /// The outcome as bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads an outcome.
    pub fn decode(bytes: &[u8]) -> Result<Outcome, DecodeError> {
        codec::decode(bytes)
    }

    /// The index of the very entry that an encoded outcome is for; nothing if it is that of an earlier
    /// one, or cannot be read.
    pub fn own_index(bytes: &[u8]) -> Option<u64> {
        let (index, replayed): (u64, bool) = codec::decode_start(bytes)?;
        Some(index).filter(|_| !replayed)
    }
}

fn describe_jobs(jobs: &[Id], more: bool) -> String {
    let names: Vec<_> = jobs.iter().map(Id::key).collect();
    let rest = if more { " and others" } else { "" };
    format!("the unfinished print jobs {}{rest}", names.join(", "))
}

fn describe_successors(from: JobStatus) -> String {
    match from.successors() {
        [] => format!("{from} is final"),
        allowed => {
            let names: Vec<&str> = allowed.iter().map(|status| status.name()).collect();
            format!("it can become {}", names.join(" or "))
        }
    }
}
