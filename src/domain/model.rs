//! The objects of the farm, as stored and as shown in JSON.
//!
//! Their binary form (postcard, in field order) is part of the snapshot and outcome formats:
//! changing a field or the order of anything here needs a new format version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::Id;
use super::time::Timestamp;
use super::weight::Grams;

/// A 3D printer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Printer {
    /// Unique among printers.
    pub id: Id,
    /// Who makes it; not empty.
    pub company: String,
    /// Which of the company's printers it is; not empty.
    pub model: String,
    /// When its creation was accepted.
    pub created_at: Timestamp,
    /// When it last changed; never before `created_at`.
    pub updated_at: Timestamp,
    /// Log index of the command that last changed it.
    pub modified_index: u64,
}

/// A roll of filament.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Filament {
    /// Unique among filaments.
    pub id: Id,
    /// The plastic.
    #[serde(rename = "type")]
    pub filament_type: FilamentType,
    /// Its colour; not empty.
    pub color: String,
    /// What the roll held when new; above zero.
    pub total_weight_in_grams: Grams,
    /// What is left on the roll, reserved or not; at most the total.
    pub remaining_weight_in_grams: Grams,
    /// When its creation was accepted.
    pub created_at: Timestamp,
    /// When it last changed; never before `created_at`.
    pub updated_at: Timestamp,
    /// Log index of the command that last changed it by itself: jobs that take or free some of it are
    /// in [`State::version_of`](super::state::State::version_of).
    pub modified_index: u64,
}

/// A job: one print on one printer from one roll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrintJob {
    /// Unique among print jobs.
    pub id: Id,
    /// The printer, by its own id.
    pub printer_id: Id,
    /// The roll, by its own id.
    pub filament_id: Id,
    /// Path of the file to print, usually `.gcode`; not empty.
    pub filepath: Box<str>,
    /// What the print weighs; above zero.
    pub print_weight_in_grams: Grams,
    /// Where the job is in its life.
    pub status: JobStatus,
    /// When its creation was accepted.
    pub created_at: Timestamp,
    /// When it last changed; never before `created_at`.
    pub updated_at: Timestamp,
    /// Log index of the command that last changed it.
    pub modified_index: u64,
}

/// The plastics a roll may be of. The order is the binary form: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FilamentType {
    /// Polylactic acid.
    Pla,
    /// Glycol-modified polyethylene terephthalate.
    Petg,
    /// Acrylonitrile butadiene styrene.
    Abs,
    /// Thermoplastic polyurethane.
    Tpu,
}

impl FilamentType {
    /// Every type, in the order of the documentation.
    pub const ALL: [FilamentType; 4] = [
        FilamentType::Pla,
        FilamentType::Petg,
        FilamentType::Abs,
        FilamentType::Tpu,
    ];

    /// The name as stored and shown: upper case.
    pub fn name(self) -> &'static str {
        match self {
            FilamentType::Pla => "PLA",
            FilamentType::Petg => "PETG",
            FilamentType::Abs => "ABS",
            FilamentType::Tpu => "TPU",
        }
    }
}

impl fmt::Display for FilamentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no filament type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no filament type; give PLA, PETG, ABS or TPU")]
pub struct UnknownFilamentType {
    /// The refused text.
    pub found: String,
}

impl FromStr for FilamentType {
    type Err = UnknownFilamentType;

    /// Reads a type in any letter case.
    fn from_str(text: &str) -> Result<FilamentType, UnknownFilamentType> {
        FilamentType::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownFilamentType {
                found: text.to_owned(),
            })
    }
}

/// Where a print job is in its life. The order is the binary form: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum JobStatus {
    /// Waits for its printer; its grams are reserved.
    Queued,
    /// Prints; its grams are reserved.
    Running,
    /// Printed; its grams have left the roll.
    Done,
    /// Given up while queued or running; its grams are free again.
    Canceled,
}

impl JobStatus {
    /// Every status, in the order of a job's life.
    pub const ALL: [JobStatus; 4] = [
        JobStatus::Queued,
        JobStatus::Running,
        JobStatus::Done,
        JobStatus::Canceled,
    ];

    /// The name as stored and shown: capitalised, `Canceled` with one l.
    pub fn name(self) -> &'static str {
        match self {
            JobStatus::Queued => "Queued",
            JobStatus::Running => "Running",
            JobStatus::Done => "Done",
            JobStatus::Canceled => "Canceled",
        }
    }

    /// What happens to a job that gets this status, in the kinds of events.
    pub fn verb(self) -> &'static str {
        match self {
            JobStatus::Queued => "queued",
            JobStatus::Running => "running",
            JobStatus::Done => "done",
            JobStatus::Canceled => "canceled",
        }
    }

    /// The statuses that may follow this one.
    pub fn successors(self) -> &'static [JobStatus] {
        match self {
            JobStatus::Queued => &[JobStatus::Running, JobStatus::Canceled],
            JobStatus::Running => &[JobStatus::Done, JobStatus::Canceled],
            JobStatus::Done | JobStatus::Canceled => &[],
        }
    }

    /// Whether a job of this status holds its grams back from other jobs.
    pub fn reserves(self) -> bool {
        matches!(self, JobStatus::Queued | JobStatus::Running)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no job status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no job status; give queued, running, done or canceled")]
pub struct UnknownJobStatus {
    /// The refused text.
    pub found: String,
}

impl FromStr for JobStatus {
    type Err = UnknownJobStatus;

    /// Reads a status in any letter case, `cancelled` too.
    fn from_str(text: &str) -> Result<JobStatus, UnknownJobStatus> {
        if text.eq_ignore_ascii_case("cancelled") {
            return Ok(JobStatus::Canceled);
        }
        JobStatus::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownJobStatus {
                found: text.to_owned(),
            })
    }
}

/// The three kinds of object. The order is the binary form: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A [`Printer`].
    Printer,
    /// A [`Filament`].
    Filament,
    /// A [`PrintJob`].
    PrintJob,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Printer => "printer",
            Kind::Filament => "filament",
            Kind::PrintJob => "print job",
        })
    }
}
