//! The rules: what each command does to the farm, or why it does nothing.
//!
//! Every function here is total. Nothing panics, overflows or reads anything but the state and
//! the command, and a command that is refused changes no object.

use std::sync::Arc;

use super::command::{
    Command, FieldProblem, IDEMPOTENCY_KEY_LEN_MAX, Idempotency, NewFilament, NewJob, NewPrinter,
    Op,
};
use super::id::Id;
use super::idempotency::{Recall, Remembered};
use super::model::{Filament, JobStatus, Kind, PrintJob, Printer};
use super::outcome::{Outcome, Refusal, Reply};
use super::state::State;
use super::table::Table;
use super::time::Timestamp;
use crate::sabotage;

impl State {
    /// Applies the command of log entry `index`, which must be above
    /// [`State::applied_index`]; any other index is refused and changes nothing.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        if let Err(refusal) = self.enter(index) {
            return Outcome::new(index, Err(refusal));
        }
        if command.op == Op::Barrier {
            return Outcome::new(index, Ok(Reply::Barrier));
        }
        let version = command.op.version();
        if version > self.roster.version_used() {
            Arc::make_mut(&mut self.roster).use_version(version);
        }
        self.log_time = self.log_time.max(command.stamped_at);
        self.memory.expire(self.log_time);
        match &command.idempotency {
            None => Outcome::new(index, self.execute(command)),
            Some(request) => self.execute_once(index, command, request),
        }
    }

    /// Applies the bytes of log entry `index`. Bytes that are no command of a known version are
    /// refused; the index is passed all the same.
    pub fn apply_bytes(&mut self, index: u64, bytes: &[u8]) -> Outcome {
        match Command::decode(bytes) {
            Ok(command) => self.apply(index, &command),
            Err(error) => {
                let refusal = self.enter(index).err();
                Outcome::new(
                    index,
                    Err(refusal.unwrap_or_else(|| Refusal::MalformedCommand {
                        problem: error.to_string(),
                    })),
                )
            }
        }
    }

    /// Moves on to log entry `index`: each is entered once, in order.
    fn enter(&mut self, index: u64) -> Result<(), Refusal> {
        if index <= self.applied_index {
            return Err(Refusal::AlreadyApplied {
                applied_index: self.applied_index,
            });
        }
        self.applied_index = index;
        Ok(())
    }

    /// Executes a command unless its idempotency key shows that it has been answered before.
    fn execute_once(&mut self, index: u64, command: &Command, request: &Idempotency) -> Outcome {
        let length = request.key.len();
        if length == 0 || length > IDEMPOTENCY_KEY_LEN_MAX {
            let refusal = Refusal::InvalidIdempotencyKey {
                length: length as u64,
                max: IDEMPOTENCY_KEY_LEN_MAX as u64,
            };
            return Outcome::new(index, Err(refusal));
        }
        match self.memory.recall(request) {
            Recall::Repeated(outcome) => outcome,
            Recall::Reused => {
                let key = request.key.clone();
                Outcome::new(index, Err(Refusal::IdempotencyKeyReused { key }))
            }
            Recall::New => {
                let outcome = Outcome::new(index, self.execute(command));
                self.memory.remember(Remembered {
                    key: request.key.clone(),
                    fingerprint: request.fingerprint,
                    given_at: self.log_time,
                    outcome: outcome.clone(),
                });
                outcome
            }
        }
    }

    fn execute(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let now = command.stamped_at;
        match &command.op {
            Op::CreatePrinter(new) => self.create_printer(new, now).map(Reply::Printer),
            Op::CreateFilament(new) => self.create_filament(new, now).map(Reply::Filament),
            Op::CreateJob(new) => self.create_job(new, now).map(Reply::Job),
            Op::SetJobStatus { id, to } => self.set_job_status(id, *to, now).map(Reply::Job),
            Op::Barrier => Ok(Reply::Barrier),
            Op::FoundCluster(id) => Ok(Reply::Cluster(Arc::make_mut(&mut self.roster).found(*id))),
            Op::AnnounceNode(entry) => {
                Arc::make_mut(&mut self.roster).announce(entry)?;
                Ok(Reply::NodeNoted)
            }
            Op::AdmitNode(entry) => {
                Arc::make_mut(&mut self.roster).admit(entry)?;
                Ok(Reply::NodeNoted)
            }
        }
    }

    fn create_printer(&mut self, new: &NewPrinter, now: Timestamp) -> Result<Printer, Refusal> {
        refuse_first(new.problems())?;
        let id = choose_id(&mut self.printers, Kind::Printer, new.id.as_ref())?;
        let printer = Printer {
            id: id.clone(),
            company: new.company.clone(),
            model: new.model.clone(),
            created_at: now,
            updated_at: now,
        };
        self.printers.put(id, printer.clone());
        Ok(printer)
    }

    fn create_filament(&mut self, new: &NewFilament, now: Timestamp) -> Result<Filament, Refusal> {
        refuse_first(new.problems())?;
        let id = choose_id(&mut self.filaments, Kind::Filament, new.id.as_ref())?;
        let total = new.total_weight_in_grams;
        let filament = Filament {
            id: id.clone(),
            filament_type: new.filament_type,
            color: new.color.clone(),
            total_weight_in_grams: total,
            remaining_weight_in_grams: new.remaining_weight_in_grams.unwrap_or(total),
            created_at: now,
            updated_at: now,
        };
        self.filaments.put(id, filament.clone());
        Ok(filament)
    }

    /// Creates a job only if its filament has the grams free at this very log index, so that of
    /// two jobs racing for the same grams one is refused on every replica.
    fn create_job(&mut self, new: &NewJob, now: Timestamp) -> Result<PrintJob, Refusal> {
        refuse_first(new.problems())?;
        refuse_taken(&self.jobs.table, Kind::PrintJob, new.id.as_ref())?;
        let printer = self.printers.get(&new.printer_id).ok_or_else(|| {
            let id = new.printer_id.clone();
            Refusal::UnknownPrinter { id }
        })?;
        let filament = self.filaments.get(&new.filament_id).ok_or_else(|| {
            let id = new.filament_id.clone();
            Refusal::UnknownFilament { id }
        })?;
        let available = self.available(filament);
        let not_enough = Refusal::NotEnoughFilament {
            filament_id: filament.id.clone(),
            requested: new.print_weight_in_grams,
            available,
        };
        if new.print_weight_in_grams > available && !sabotage::reserves_outside_the_log() {
            return Err(not_enough);
        }
        let (printer_id, filament_id) = (printer.id.clone(), filament.id.clone());
        let job = PrintJob {
            id: choose_id(&mut self.jobs.table, Kind::PrintJob, new.id.as_ref())?,
            printer_id,
            filament_id,
            filepath: new.filepath.clone(),
            print_weight_in_grams: new.print_weight_in_grams,
            status: JobStatus::Queued,
            created_at: now,
            updated_at: now,
        };
        self.jobs.insert(job.clone()).ok_or(not_enough)?;
        Ok(job)
    }

    fn set_job_status(
        &mut self,
        id: &Id,
        to: JobStatus,
        now: Timestamp,
    ) -> Result<PrintJob, Refusal> {
        let Some(before) = self.jobs.table.get(id).cloned() else {
            return Err(Refusal::JobNotFound { id: id.clone() });
        };
        if !before.status.successors().contains(&to) {
            return Err(Refusal::ForbiddenTransition {
                id: before.id.clone(),
                from: before.status,
                to,
            });
        }
        let after = PrintJob {
            status: to,
            updated_at: before.updated_at.max(now),
            ..PrintJob::clone(&before)
        };
        self.jobs.replace(&before, after.clone());
        if to == JobStatus::Done {
            self.use_filament(&after, now);
        }
        Ok(after)
    }

    /// Takes the grams of a job that is done off its filament.
    fn use_filament(&mut self, job: &PrintJob, now: Timestamp) {
        if let Some(before) = self.filaments.get(&job.filament_id).cloned() {
            let left = before
                .remaining_weight_in_grams
                .saturating_sub(job.print_weight_in_grams);
            let after = Filament {
                remaining_weight_in_grams: left,
                updated_at: before.updated_at.max(now),
                ..Filament::clone(&before)
            };
            self.filaments.put(after.id.clone(), after);
        }
    }
}

fn refuse_first(problems: Vec<FieldProblem>) -> Result<(), Refusal> {
    match problems.into_iter().next() {
        None => Ok(()),
        Some(FieldProblem { pointer, problem }) => Err(Refusal::InvalidField { pointer, problem }),
    }
}

/// Refuses an id that another object of the kind has.
fn refuse_taken<T: Clone>(
    table: &Table<T>,
    kind: Kind,
    wanted: Option<&Id>,
) -> Result<(), Refusal> {
    match wanted.and_then(|id| table.own_id(id)) {
        None => Ok(()),
        Some(taken) => Err(Refusal::IdTaken {
            kind,
            id: taken.clone(),
        }),
    }
}

/// The id of a new object: the one wanted, if it is free, or else the next free integer.
fn choose_id<T: Clone>(
    table: &mut Table<T>,
    kind: Kind,
    wanted: Option<&Id>,
) -> Result<Id, Refusal> {
    refuse_taken(table, kind, wanted)?;
    match wanted {
        Some(id) => Ok(id.clone()),
        None => table.assign_id().ok_or(Refusal::IdsExhausted { kind }),
    }
}
