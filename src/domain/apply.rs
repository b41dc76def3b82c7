//! The rules: what each command does to the farm, or why it does nothing.
//!
//! Every function here is total. Nothing panics, overflows or reads anything but the state and
//! the command, and a command that is refused changes no object.

use std::sync::Arc;

use super::changes::check_version;
use super::command::{
    Command, FieldProblem, IDEMPOTENCY_KEY_LEN_MAX, Idempotency, NewFilament, NewJob, NewPrinter,
    Op, Target,
};
use super::events::Object;
use super::id::Id;
use super::idempotency::{Recall, Remembered};
use super::model::{Filament, JobStatus, Kind, PrintJob, Printer};
use super::outcome::{Outcome, Refusal, Reply};
use super::roster::{NodeEntry, Roster};
use super::settings::Settings;
use super::state::State;
use super::table::Table;
use super::time::Timestamp;
use super::tokens::Token;
use crate::identity::ClusterId;
use crate::sabotage;

impl State {
    /// Applies the command of log entry `index`, which must be above
    /// [`State::applied_index`]; any other index is refused and changes nothing.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        self.apply_as(command.op.version(), index, command)
    }

    /// Applies a command that was written as one of `version`.
    fn apply_as(&mut self, version: u8, index: u64, command: &Command) -> Outcome {
        if let Err(refusal) = self.enter(index) {
            return Outcome::new(index, Err(refusal));
        }
        if command.op == Op::Barrier {
            return Outcome::new(index, Ok(Reply::Barrier));
        }
        if version > self.roster.version_used() {
            Arc::make_mut(&mut self.roster).use_version(version);
        }
        self.log_time = self.log_time.max(command.stamped_at);
        self.memory.expire(self.log_time);
        if let Err(refusal) = self.tokens.check(command.actor, self.log_time) {
            return Outcome::new(index, Err(refusal));
        }
        match &command.idempotency {
            None => Outcome::new(index, self.execute(index, command)),
            Some(request) => self.execute_once(index, command, request),
        }
    }

    /// Applies the bytes of log entry `index`. Bytes that are no command of a known version are
    /// refused; the index is passed all the same.
    pub fn apply_bytes(&mut self, index: u64, bytes: &[u8]) -> Outcome {
        match Command::decode(bytes) {
            Ok(command) => self.apply_as(Command::version_of(bytes), index, &command),
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
        match self.memory.recall(command.actor, request) {
            Recall::Repeated(outcome) => outcome,
            Recall::Reused => {
                let key = request.key.clone();
                Outcome::new(index, Err(Refusal::IdempotencyKeyReused { key }))
            }
            Recall::New => {
                let outcome = Outcome::new(index, self.execute(index, command));
                self.memory.remember(Remembered {
                    actor: command.actor,
                    key: request.key.clone(),
                    fingerprint: request.fingerprint,
                    given_at: self.log_time,
                    outcome: outcome.clone(),
                });
                outcome
            }
        }
    }

    /// Carries out a command and keeps what it changed as the event of its index.
    fn execute(&mut self, index: u64, command: &Command) -> Result<Reply, Refusal> {
        // First, as it may be that his own token ends with it.
        let actor = self.tokens.named(command.actor);
        let result = self.carry_out(command);
        self.events
            .close(index, command, actor, self.settings.event_retention);
        result
    }

    fn carry_out(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let now = command.stamped_at;
        match &command.op {
            Op::CreatePrinter(new) => self.create_printer(new, now).map(Reply::Printer),
            Op::CreateFilament(new) => {
                let filament = self.create_filament(new, now)?;
                Ok(self.filament_reply(filament))
            }
            Op::CreateJob(new) => self.create_job(new, now).map(Reply::Job),
            Op::SetJobStatus { job, to } => self.set_job_status(job, *to, now).map(Reply::Job),
            Op::Barrier => Ok(Reply::Barrier),
            Op::FoundCluster(id) => Ok(Reply::Cluster(self.found_cluster(*id))),
            Op::AnnounceNode(entry) => self.note_node(entry, Roster::announce),
            Op::AdmitNode(entry) => self.note_node(entry, Roster::admit),
            Op::ChangeSettings(new) => self.change_settings(*new).map(Reply::Settings),
            Op::CreateToken(new) => {
                refuse_first(new.problems())?;
                let tokens = Arc::make_mut(&mut self.tokens);
                let token = tokens.create(new, command.actor, now, self.log_time)?;
                self.events.note(None, Some(token_facts(&token)));
                Ok(Reply::Token(token))
            }
            Op::RevokeToken(id) => {
                let token = Arc::make_mut(&mut self.tokens).revoke(*id)?;
                self.events.note(Some(token_facts(&token)), None);
                Ok(Reply::TokenRevoked(token))
            }
            Op::NoteTokenUses(uses) => {
                Arc::make_mut(&mut self.tokens).note_uses(uses, self.log_time);
                Ok(Reply::TokenUsesNoted)
            }
            Op::UpdatePrinter(change) => self.update_printer(change, now).map(Reply::Printer),
            Op::DeletePrinter(target) => self.delete_printer(target),
            Op::UpdateFilament(change) => {
                let filament = self.update_filament(change, now)?;
                Ok(self.filament_reply(filament))
            }
            Op::DeleteFilament(target) => self.delete_filament(target),
        }
    }

    fn filament_reply(&self, filament: Filament) -> Reply {
        let version = self.version_of(&filament);
        Reply::Filament { filament, version }
    }

    fn found_cluster(&mut self, proposed: ClusterId) -> ClusterId {
        let before = self.roster.cluster();
        let name = Arc::make_mut(&mut self.roster).found(proposed);
        self.events
            .note(before.map(Object::Cluster), Some(Object::Cluster(name)));
        name
    }

    fn note_node(
        &mut self,
        entry: &NodeEntry,
        note: impl FnOnce(&mut Roster, &NodeEntry) -> Result<(), Refusal>,
    ) -> Result<Reply, Refusal> {
        let before = self.roster.node(entry.node_id).map(|record| NodeEntry {
            node_id: entry.node_id,
            record: record.clone(),
        });
        note(Arc::make_mut(&mut self.roster), entry)?;
        let node = |entry: NodeEntry| Object::Node(Arc::new(entry));
        self.events
            .note(before.map(node), Some(node(entry.clone())));
        Ok(Reply::NodeNoted)
    }

    fn change_settings(&mut self, new: Settings) -> Result<Settings, Refusal> {
        refuse_first(new.problems())?;
        let before = std::mem::replace(&mut self.settings, new);
        self.events
            .note(Some(Object::Settings(before)), Some(Object::Settings(new)));
        Ok(new)
    }

    fn create_printer(&mut self, new: &NewPrinter, now: Timestamp) -> Result<Printer, Refusal> {
        refuse_first(new.problems())?;
        let printer = Printer {
            id: choose_id(&mut self.printers, Kind::Printer, new.id.as_ref())?,
            company: new.company.clone(),
            model: new.model.clone(),
            created_at: now,
            updated_at: now,
            modified_index: self.applied_index,
        };
        self.put_printer(&printer);
        Ok(printer)
    }

    fn create_filament(&mut self, new: &NewFilament, now: Timestamp) -> Result<Filament, Refusal> {
        refuse_first(new.problems())?;
        let total = new.total_weight_in_grams;
        let filament = Filament {
            id: choose_id(&mut self.filaments, Kind::Filament, new.id.as_ref())?,
            filament_type: new.filament_type,
            color: new.color.clone(),
            total_weight_in_grams: total,
            remaining_weight_in_grams: new.remaining_weight_in_grams.unwrap_or(total),
            created_at: now,
            updated_at: now,
            modified_index: self.applied_index,
        };
        self.put_filament(&filament);
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
            filepath: new.filepath.as_str().into(),
            print_weight_in_grams: new.print_weight_in_grams,
            status: JobStatus::Queued,
            created_at: now,
            updated_at: now,
            modified_index: self.applied_index,
        };
        let after = Arc::new(job.clone());
        self.jobs.insert(Arc::clone(&after)).ok_or(not_enough)?;
        self.events.note(None, Some(Object::Job(after)));
        Ok(job)
    }

    fn set_job_status(
        &mut self,
        target: &Target,
        to: JobStatus,
        now: Timestamp,
    ) -> Result<PrintJob, Refusal> {
        let kind = Kind::PrintJob;
        let Some(before) = self.jobs.table.get(&target.id).cloned() else {
            let id = target.id.clone();
            return Err(Refusal::NotFound { kind, id });
        };
        check_version(kind, target, before.modified_index)?;
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
            modified_index: self.applied_index,
            ..PrintJob::clone(&before)
        };
        self.put_job(before, &after);
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
                modified_index: self.applied_index,
                ..Filament::clone(&before)
            };
            self.put_filament(&after);
        }
    }

    /// Puts a printer in place of the one with its id, if there is one, and notes the change.
    pub(super) fn put_printer(&mut self, printer: &Printer) {
        let after = Arc::new(printer.clone());
        let before = self.printers.put(printer.id.clone(), Arc::clone(&after));
        self.events
            .note(before.map(Object::Printer), Some(Object::Printer(after)));
    }

    /// Puts a filament in place of the one with its id, if there is one, and notes the change.
    pub(super) fn put_filament(&mut self, filament: &Filament) {
        let after = Arc::new(filament.clone());
        let before = self.filaments.put(filament.id.clone(), Arc::clone(&after));
        self.events
            .note(before.map(Object::Filament), Some(Object::Filament(after)));
    }

    /// Puts a job in place of `before`, and notes the change.
    fn put_job(&mut self, before: Arc<PrintJob>, job: &PrintJob) {
        let after = Arc::new(job.clone());
        self.jobs.replace(&before, Arc::clone(&after));
        self.events
            .note(Some(Object::Job(before)), Some(Object::Job(after)));
    }
}

fn token_facts(token: &Token) -> Object {
    Object::Token(Arc::new(token.into()))
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
