//! What the clients saw, and whether it can be true.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::farm::{CreateAnswer, Job, JobName, MoveAnswer, Operation, Roll, Rules, Status};
use super::linearizability::{self, Call, Verdict};

/// Everything recorded in a run.
#[derive(Debug, Default)]
pub struct History {
    /// The rolls, by id as shown in JSON, with their grams when new.
    pub rolls: BTreeMap<String, u64>,
    /// What happened to each roll, at linearizable consistency.
    pub calls: BTreeMap<String, Vec<Call<Operation>>>,
    /// Every answer that tells the log index it reflects.
    pub answers: Vec<Answer>,
    /// The ids that jobs were seen with.
    pub ids: HashSet<(JobName, String)>,
    /// What clients found wrong at once.
    pub oddities: Vec<String>,
}

/// An answer and the log index it reflects.
#[derive(Debug, Clone)]
pub struct Answer {
    pub invoked: u64,
    pub returned: u64,
    pub index: u64,
    pub source: Source,
    pub shows: Shows,
}

/// Who answered, and how fresh that had to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A write or a linearizable read.
    Cluster,
    /// A write that was answered before, with the index of then.
    Repeated,
    /// An eventual read over one connection to one process: client, node, its start.
    Connection(usize, u8, u64),
}

/// What an answer shows of the farm as of its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    Roll {
        roll: String,
        remaining: u64,
        available: u64,
        total: u64,
    },
    Job {
        job: JobName,
        status: Status,
    },
    Jobs {
        roll: String,
        jobs: BTreeMap<JobName, Job>,
    },
    /// Nothing but the index.
    Index,
}

/// How long the history is, and how much of it nobody knows the outcome of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    pub calls: usize,
    pub unknown: usize,
}

impl History {
    /// How long it is.
    pub fn size(&self) -> Size {
        let calls = self.calls.values().flatten();
        Size {
            calls: self.calls.values().map(Vec::len).sum(),
            unknown: calls.filter(|call| call.returned.is_none()).count(),
        }
    }

    /// Everything that cannot be; nothing if all is well.
    pub fn violations(&self) -> Vec<String> {
        let mut found = self.oddities.clone();
        found.extend(self.not_linearizable());
        found.extend(self.out_of_order());
        found.extend(self.going_back());
        found.extend(self.contradictions());
        found.extend(self.shared_ids());
        found
    }

    fn not_linearizable(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (roll, calls) in &self.calls {
            let calls = without_traceless(calls);
            let initial = Roll::new(self.rolls[roll]);
            match linearizability::check(&Rules, initial, &calls) {
                Verdict::Linearizable => {}
                Verdict::Violation(stuck) => {
                    let mut stuck: Vec<_> = stuck.iter().map(|call| &calls[*call]).collect();
                    stuck.sort_by_key(|call| call.invoked);
                    found.push(format!(
                        "the {} calls on filament {roll} have no order; none of these can be \
                         next: {stuck:#?}",
                        calls.len()
                    ));
                }
                Verdict::Undecided(configurations) => found.push(format!(
                    "the {} calls on filament {roll} were not decided within {configurations} \
                     configurations",
                    calls.len()
                )),
            }
        }
        found
    }

    /// Answers from the cluster whose index is below one that was known before they were asked
    /// for.
    fn out_of_order(&self) -> Vec<String> {
        let mut by_return: Vec<&Answer> = self.answers.iter().collect();
        by_return.sort_by_key(|answer| answer.returned);
        let fresh = self.answers.iter().filter(|a| a.source == Source::Cluster);
        let mut by_invocation: Vec<&Answer> = fresh.collect();
        by_invocation.sort_by_key(|answer| answer.invoked);

        let mut found = Vec::new();
        let mut earlier = by_return.into_iter().peekable();
        let mut highest: Option<&Answer> = None;
        for answer in by_invocation {
            while let Some(before) = earlier.next_if(|a| a.returned < answer.invoked) {
                if highest.is_none_or(|highest| highest.index < before.index) {
                    highest = Some(before);
                }
            }
            if let Some(highest) = highest.filter(|highest| highest.index > answer.index) {
                found.push(format!("a stale answer: {answer:?} after {highest:?}"));
            }
        }
        found
    }

    /// Eventual reads whose index falls on one connection.
    fn going_back(&self) -> Vec<String> {
        let mut last: HashMap<Source, &Answer> = HashMap::new();
        let mut found = Vec::new();
        for answer in &self.answers {
            if let Source::Connection(..) = answer.source
                && let Some(before) = last.insert(answer.source, answer)
                && before.index > answer.index
            {
                found.push(format!("going back: {answer:?} after {before:?}"));
            }
        }
        found
    }

    /// Answers that break a rule by themselves, or contradict each other as the log goes on.
    fn contradictions(&self) -> Vec<String> {
        let mut by_index: Vec<&Answer> = self.answers.iter().collect();
        by_index.sort_by_key(|answer| answer.index);
        let mut farm = Replay::default();
        let mut found = Vec::new();
        for answer in by_index {
            if let Err(reason) = farm.take(answer, &self.rolls) {
                found.push(format!("{reason}: {answer:?}"));
            }
        }
        found
    }

    fn shared_ids(&self) -> Vec<String> {
        let (mut by_job, mut by_id) = (HashMap::new(), HashMap::new());
        let mut found = Vec::new();
        for (job, id) in &self.ids {
            if let Some(other) = by_job.insert(job, id) {
                found.push(format!("job {job} exists as {id} and as {other}"));
            }
            if let Some(other) = by_id.insert(id, job) {
                found.push(format!("the jobs {job} and {other} have the same id {id}"));
            }
        }
        found
    }
}

/// The calls, but for creations of unknown outcome that left no trace in any later call: no job
/// ever disappears, so they took effect after everything else or never.
fn without_traceless(calls: &[Call<Operation>]) -> Vec<Call<Operation>> {
    let mut seen: HashSet<JobName> = HashSet::new();
    for call in calls {
        match &call.operation {
            Operation::Create { .. } => {}
            Operation::Move { job, .. } | Operation::ReadJob { job, .. } => {
                seen.insert(*job);
            }
            Operation::ReadRoll { .. } => {}
            Operation::List(jobs) => seen.extend(jobs.keys()),
        }
    }
    let leaves_trace = |call: &&Call<Operation>| match &call.operation {
        Operation::Create {
            job, answer: None, ..
        } => seen.contains(job),
        _ => true,
    };
    calls.iter().filter(leaves_trace).cloned().collect()
}

/// What the answers so far, in the order of the log, say about the farm.
#[derive(Default)]
struct Replay {
    remaining: HashMap<String, (u64, u64, u64)>,
    jobs: HashMap<JobName, (u64, Status)>,
    lists: HashMap<String, (u64, BTreeMap<JobName, Job>)>,
}

impl Replay {
    fn take(&mut self, answer: &Answer, rolls: &BTreeMap<String, u64>) -> Result<(), String> {
        let index = answer.index;
        match &answer.shows {
            Shows::Index => Ok(()),
            Shows::Job { job, status } => self.take_job(index, *job, *status),
            Shows::Roll {
                roll,
                remaining,
                available,
                total,
            } => {
                check(Some(total) == rolls.get(roll), "another roll than was made")?;
                check(
                    remaining <= total && available <= remaining,
                    "over-reserved",
                )?;
                let now = (index, *remaining, *available);
                if let Some(before) = self.remaining.insert(roll.clone(), now) {
                    check(before.0 < index || before == now, "two states at one index")?;
                    check(before.1 >= *remaining, "weight came back")?;
                }
                self.compare(roll, *total)
            }
            Shows::Jobs { roll, jobs } => {
                for (job, shown) in jobs {
                    self.take_job(index, *job, shown.status)?;
                }
                let total = rolls.get(roll).copied().unwrap_or_default();
                let held = jobs.values().filter(|job| job.status != Status::Canceled);
                let held: u64 = held.map(|job| job.grams).sum();
                check(held <= total, "more is promised than the roll ever had")?;
                let now = (index, jobs.clone());
                if let Some(before) = self.lists.insert(roll.clone(), now) {
                    check(
                        before.0 < index || before.1 == *jobs,
                        "two lists at one index",
                    )?;
                    let vanished = before.1.keys().any(|job| !jobs.contains_key(job));
                    check(!vanished, "a job vanished")?;
                }
                self.compare(roll, total)
            }
        }
    }

    fn take_job(&mut self, index: u64, job: JobName, status: Status) -> Result<(), String> {
        match self.jobs.insert(job, (index, status)) {
            Some((at, before)) if at == index && before != status => Err(format!(
                "job {job} is {before:?} and {status:?} at one index"
            )),
            Some((_, before)) if !before.leads_to(status) => {
                Err(format!("job {job} went from {before:?} to {status:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A roll and the list of its jobs as of the same index: each job that is done has taken its
    /// grams once.
    fn compare(&self, roll: &str, total: u64) -> Result<(), String> {
        let (Some((at, remaining, available)), Some((listed_at, jobs))) =
            (self.remaining.get(roll), self.lists.get(roll))
        else {
            return Ok(());
        };
        if at != listed_at {
            return Ok(());
        }
        let sum = |which: fn(Status) -> bool| -> u64 {
            let jobs = jobs.values().filter(|job| which(job.status));
            jobs.map(|job| job.grams).sum()
        };
        let (used, reserved) = (sum(|status| status == Status::Done), sum(Status::reserves));
        check(
            *remaining == total.saturating_sub(used),
            "a job's weight taken not once",
        )?;
        check(
            *available == remaining.saturating_sub(reserved),
            "available is off",
        )
    }
}

fn check(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(calls: Vec<(u64, Option<u64>, Operation)>) -> History {
        let calls = calls
            .into_iter()
            .map(|(invoked, returned, operation)| Call {
                invoked,
                returned,
                operation,
            });
        History {
            rolls: BTreeMap::from([("1".to_owned(), 100)]),
            calls: BTreeMap::from([("1".to_owned(), calls.collect())]),
            ..History::default()
        }
    }

    fn created(job: JobName, grams: u64) -> Operation {
        let answer = Some(CreateAnswer::Created);
        Operation::Create { job, grams, answer }
    }

    #[test]
    fn one_gram_is_not_promised_twice() {
        let fits = vec![(0, Some(5), created(1, 60)), (0, Some(5), created(2, 40))];
        assert_eq!(history(fits).violations(), Vec::<String>::new());
        let too_much = vec![(0, Some(5), created(1, 60)), (0, Some(5), created(2, 41))];
        assert_eq!(history(too_much).violations().len(), 1);
    }

    #[test]
    fn what_was_acknowledged_is_found_later() {
        let list = |jobs: &[(JobName, Status)]| {
            let jobs = jobs
                .iter()
                .map(|&(job, status)| (job, Job { grams: 60, status }));
            Operation::List(jobs.collect())
        };
        let start = Operation::Move {
            job: 1,
            to: Status::Running,
            answer: Some(MoveAnswer::Moved),
        };
        let begin = [(0, Some(1), created(1, 60)), (2, Some(3), start)];
        for (seen, found) in [
            (list(&[(1, Status::Running)]), 0),
            (list(&[(1, Status::Queued)]), 1),
            (list(&[]), 1),
        ] {
            let calls = [begin.as_slice(), &[(4, Some(5), seen)]].concat();
            assert_eq!(history(calls).violations().len(), found);
        }
    }

    #[test]
    fn answers_must_agree_as_the_log_goes_on() {
        let answer = |at: u64, index: u64, source: Source, shows: Shows| Answer {
            invoked: at,
            returned: at + 1,
            index,
            source,
            shows,
        };
        let roll = |remaining, available| Shows::Roll {
            roll: "1".to_owned(),
            remaining,
            available,
            total: 100,
        };
        let job = |status| Shows::Job { job: 1, status };
        let (cluster, own) = (Source::Cluster, Source::Connection(0, 1, 1));
        for (first, second, found) in [
            (
                answer(0, 5, cluster, Shows::Index),
                answer(2, 4, cluster, Shows::Index),
                1,
            ),
            (
                answer(0, 5, own, Shows::Index),
                answer(2, 4, own, Shows::Index),
                1,
            ),
            (
                answer(0, 5, cluster, Shows::Index),
                answer(2, 4, own, Shows::Index),
                0,
            ),
            (
                answer(0, 5, cluster, roll(90, 80)),
                answer(2, 5, cluster, roll(90, 90)),
                1,
            ),
            (
                answer(0, 5, cluster, roll(90, 80)),
                answer(2, 6, cluster, roll(95, 80)),
                1,
            ),
            (
                answer(0, 5, cluster, roll(90, 80)),
                answer(2, 6, cluster, roll(90, 91)),
                1,
            ),
            (
                answer(0, 5, cluster, job(Status::Done)),
                answer(2, 6, cluster, job(Status::Running)),
                1,
            ),
            (
                answer(0, 5, cluster, job(Status::Queued)),
                answer(2, 6, cluster, job(Status::Done)),
                0,
            ),
        ] {
            let mut history = history(Vec::new());
            history.answers = vec![first, second];
            assert_eq!(history.violations().len(), found, "{history:?}");
        }
    }
}
