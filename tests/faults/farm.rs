//! What one roll of filament and its jobs do, one operation after the other: the specification
//! that histories are checked against. Written anew, from the rules alone.

use std::collections::BTreeMap;

use super::linearizability::Sequential;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Queued,
    Running,
    Done,
    Canceled,
}

impl Status {
    /// Reads the name that the API shows.
    pub fn parse(name: &str) -> Option<Status> {
        Some(match name {
            "Queued" => Status::Queued,
            "Running" => Status::Running,
            "Done" => Status::Done,
            "Canceled" => Status::Canceled,
            _ => return None,
        })
    }

    /// The name in a request.
    pub fn name(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Done => "done",
            Status::Canceled => "canceled",
        }
    }

    /// Whether a job may go from here to `next` in one step.
    pub fn allows(self, next: Status) -> bool {
        matches!(
            (self, next),
            (Status::Queued, Status::Running | Status::Canceled)
                | (Status::Running, Status::Done | Status::Canceled)
        )
    }

    /// Whether a job seen here may be seen at `later` later on.
    pub fn leads_to(self, later: Status) -> bool {
        self == later || self.allows(later) || (self == Status::Queued && later == Status::Done)
    }

    /// Whether a job of this status holds its grams back.
    pub fn reserves(self) -> bool {
        matches!(self, Status::Queued | Status::Running)
    }
}

/// Names a job among all of a run, whatever id it gets: it is in its file path.
pub type JobName = u64;

/// A job as listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    pub grams: u64,
    pub status: Status,
}

/// A roll and its jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Roll {
    pub remaining: u64,
    pub jobs: BTreeMap<JobName, Job>,
}

impl Roll {
    /// A new roll of `grams`.
    pub fn new(grams: u64) -> Roll {
        Roll {
            remaining: grams,
            jobs: BTreeMap::new(),
        }
    }

    /// Grams neither used nor reserved; negative where more was promised than there is.
    pub fn available(&self) -> i64 {
        let reserved = self.jobs.values().filter(|job| job.status.reserves());
        self.remaining as i64 - reserved.map(|job| job.grams as i64).sum::<i64>()
    }
}

/// An operation on a roll or one of its jobs, with the answer. `None`: the outcome is unknown.
#[derive(Debug, Clone)]
pub enum Operation {
    Create {
        job: JobName,
        grams: u64,
        answer: Option<CreateAnswer>,
    },
    Move {
        job: JobName,
        to: Status,
        answer: Option<MoveAnswer>,
    },
    ReadRoll {
        remaining: u64,
        available: u64,
    },
    /// `None`: there is no such job.
    ReadJob {
        job: JobName,
        status: Option<Status>,
    },
    List(BTreeMap<JobName, Job>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateAnswer {
    Created,
    NotEnough { available: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveAnswer {
    Moved,
    Forbidden { from: Status },
    NoSuchJob,
}

/// The rules of the farm for one roll.
pub struct Rules;

impl Sequential for Rules {
    type State = Roll;
    type Operation = Operation;

    fn step(&self, roll: &Roll, operation: &Operation) -> Option<Roll> {
        match operation {
            Operation::Create { job, grams, answer } => {
                let (next, given) = create(roll, *job, *grams)?;
                answer.is_none_or(|answer| answer == given).then_some(next)
            }
            Operation::Move { job, to, answer } => {
                let (next, given) = change(roll, *job, *to);
                answer.is_none_or(|answer| answer == given).then_some(next)
            }
            Operation::ReadRoll {
                remaining,
                available,
            } => {
                let holds = roll.remaining == *remaining && roll.available() == *available as i64;
                holds.then(|| roll.clone())
            }
            Operation::ReadJob { job, status } => {
                let found = roll.jobs.get(job).map(|job| job.status);
                (found == *status).then(|| roll.clone())
            }
            Operation::List(jobs) => (roll.jobs == *jobs).then(|| roll.clone()),
        }
    }
}

/// `None` if the job exists: no job is created twice.
fn create(roll: &Roll, job: JobName, grams: u64) -> Option<(Roll, CreateAnswer)> {
    if roll.jobs.contains_key(&job) {
        return None;
    }
    let available = roll.available();
    if (grams as i64) > available {
        let available = u64::try_from(available).ok()?;
        return Some((roll.clone(), CreateAnswer::NotEnough { available }));
    }
    let mut next = roll.clone();
    let status = Status::Queued;
    next.jobs.insert(job, Job { grams, status });
    Some((next, CreateAnswer::Created))
}

fn change(roll: &Roll, job: JobName, to: Status) -> (Roll, MoveAnswer) {
    let Some(found) = roll.jobs.get(&job).copied() else {
        return (roll.clone(), MoveAnswer::NoSuchJob);
    };
    if !found.status.allows(to) {
        let from = found.status;
        return (roll.clone(), MoveAnswer::Forbidden { from });
    }
    let mut next = roll.clone();
    next.jobs.insert(
        job,
        Job {
            status: to,
            ..found
        },
    );
    if to == Status::Done {
        next.remaining -= found.grams;
    }
    (next, MoveAnswer::Moved)
}
