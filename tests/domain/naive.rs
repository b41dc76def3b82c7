//! The farm done plainly: lists, scans and sums. Slow, and easy to see right.

use raft3d::domain::command::{Command, Op, Target};
use raft3d::domain::id::Id;
use raft3d::domain::idempotency::Limits;
use raft3d::domain::model::{Filament, JobStatus, Kind, PrintJob, Printer};
use raft3d::domain::outcome::{Outcome, Refusal, Reply};
use raft3d::domain::roster::NodeEntry;
use raft3d::domain::settings::Settings;
use raft3d::domain::state::JobFilter;
use raft3d::domain::time::Timestamp;
use raft3d::domain::tokens::{Actor, NewToken, Token, TokenFacts};
use raft3d::domain::weight::Grams;
use raft3d::identity::ClusterId;

/// An answer to a command with a key.
pub struct Answer {
    actor: Option<Actor>,
    key: String,
    fingerprint: [u8; 32],
    given_ms: u64,
    outcome: Outcome,
}

pub struct Naive {
    pub applied_index: u64,
    pub printers: Vec<Printer>,
    pub filaments: Vec<Filament>,
    pub jobs: Vec<PrintJob>,
    /// In the order given.
    pub answers: Vec<Answer>,
    pub cluster: Option<ClusterId>,
    /// Each node, as it was last noted.
    pub nodes: Vec<NodeEntry>,
    pub settings: Settings,
    /// Indexes of the commands that changed anything, but for those that are to be forgotten.
    pub events: Vec<u64>,
    pub events_dropped: u64,
    /// In the order created.
    pub tokens: Vec<Token>,
    tokens_created: u64,
    limits: Limits,
    log_time: u64,
    /// Integers assigned, by kind.
    assigned: Vec<(Kind, i64)>,
    /// Ids of deleted objects.
    deleted: Vec<(Kind, Id)>,
}

impl Naive {
    pub fn new(limits: Limits) -> Naive {
        Naive {
            applied_index: 0,
            printers: Vec::new(),
            filaments: Vec::new(),
            jobs: Vec::new(),
            answers: Vec::new(),
            cluster: None,
            nodes: Vec::new(),
            settings: Settings::default(),
            events: Vec::new(),
            events_dropped: 0,
            tokens: Vec::new(),
            tokens_created: 0,
            limits,
            log_time: 0,
            assigned: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// Applies a command, and notes whether anything is another than before.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        let before = self.everything();
        let outcome = self.apply_quietly(index, command);
        if self.everything() != before {
            self.events.push(index);
        }
        let retention = self.settings.event_retention as usize;
        while self.events.len() > retention {
            self.events_dropped = self.events.remove(0);
        }
        outcome
    }

    /// All that events tell of, as JSON.
    fn everything(&self) -> serde_json::Value {
        let mut nodes = self.nodes.clone();
        nodes.sort_by_key(|entry| entry.node_id);
        let tokens = self.tokens.iter().map(TokenFacts::from);
        serde_json::json!([
            self.printers,
            self.filaments,
            self.jobs,
            self.cluster,
            nodes,
            self.settings,
            tokens.collect::<Vec<_>>(),
        ])
    }

    fn apply_quietly(&mut self, index: u64, command: &Command) -> Outcome {
        if index <= self.applied_index {
            let applied_index = self.applied_index;
            return Outcome::new(index, Err(Refusal::AlreadyApplied { applied_index }));
        }
        self.applied_index = index;
        if command.op == Op::Barrier {
            return Outcome::new(index, Ok(Reply::Barrier));
        }
        self.log_time = self.log_time.max(command.stamped_at.as_millis());
        self.answers
            .retain(|answer| self.log_time - answer.given_ms <= self.limits.age_ms_max);
        if let Some(Actor::Token(id)) = command.actor {
            let valid = self.tokens.iter().any(|token| {
                let end = token.expires_at.map(Timestamp::as_millis);
                token.id == id && end.is_none_or(|end| self.log_time < end)
            });
            if !valid {
                return Outcome::new(index, Err(Refusal::InvalidToken));
            }
        }

        let Some(request) = &command.idempotency else {
            return Outcome::new(index, self.execute(command));
        };
        let length = request.key.len() as u64;
        if length == 0 || length > 255 {
            let refusal = Refusal::InvalidIdempotencyKey { length, max: 255 };
            return Outcome::new(index, Err(refusal));
        }
        for known in &self.answers {
            if known.actor != command.actor || known.key != request.key {
                continue;
            }
            if known.fingerprint == request.fingerprint {
                let mut again = known.outcome.clone();
                again.replayed = true;
                return again;
            }
            let key = known.key.clone();
            return Outcome::new(index, Err(Refusal::IdempotencyKeyReused { key }));
        }
        let outcome = Outcome::new(index, self.execute(command));
        self.answers.push(Answer {
            actor: command.actor,
            key: request.key.clone(),
            fingerprint: request.fingerprint,
            given_ms: self.log_time,
            outcome: outcome.clone(),
        });
        while self.answers.len() as u64 > self.limits.count_max
            || self.remembered_bytes() > self.limits.bytes_max
        {
            self.answers.remove(0);
        }
        outcome
    }

    fn remembered_bytes(&self) -> u64 {
        self.answers
            .iter()
            .map(|answer| (answer.key.len() + answer.outcome.encode().len()) as u64)
            .sum()
    }

    fn execute(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let now = command.stamped_at;
        let index = self.applied_index;
        match &command.op {
            Op::CreatePrinter(new) => {
                non_empty("/company", &new.company)?;
                non_empty("/model", &new.model)?;
                let printer = Printer {
                    id: self.id_for(Kind::Printer, &new.id)?,
                    company: new.company.clone(),
                    model: new.model.clone(),
                    created_at: now,
                    updated_at: now,
                    modified_index: index,
                };
                self.printers.push(printer.clone());
                Ok(Reply::Printer(printer))
            }
            Op::CreateFilament(new) => {
                let total = new.total_weight_in_grams.get();
                non_empty("/color", &new.color)?;
                above_zero("/total_weight_in_grams", total)?;
                let remaining = new.remaining_weight_in_grams.map_or(total, Grams::get);
                if remaining > total {
                    return Err(Refusal::InvalidField {
                        pointer: "/remaining_weight_in_grams".to_owned(),
                        problem: format!(
                            "must be at most total_weight_in_grams, {total}, not {remaining}"
                        ),
                    });
                }
                let filament = Filament {
                    id: self.id_for(Kind::Filament, &new.id)?,
                    filament_type: new.filament_type,
                    color: new.color.clone(),
                    total_weight_in_grams: new.total_weight_in_grams,
                    remaining_weight_in_grams: grams(remaining),
                    created_at: now,
                    updated_at: now,
                    modified_index: index,
                };
                self.filaments.push(filament.clone());
                Ok(Reply::Filament {
                    filament,
                    version: index,
                })
            }
            Op::CreateJob(new) => {
                let weight = new.print_weight_in_grams.get();
                non_empty("/filepath", &new.filepath)?;
                above_zero("/print_weight_in_grams", weight)?;
                self.not_taken(Kind::PrintJob, &new.id)?;
                let Some(printer) = self.printers.iter().find(|p| p.id == new.printer_id) else {
                    let id = new.printer_id.clone();
                    return Err(Refusal::UnknownPrinter { id });
                };
                let Some(filament) = self.filaments.iter().find(|f| f.id == new.filament_id) else {
                    let id = new.filament_id.clone();
                    return Err(Refusal::UnknownFilament { id });
                };
                let available = filament.remaining_weight_in_grams.get() - self.reserved(filament);
                if weight > available {
                    return Err(Refusal::NotEnoughFilament {
                        filament_id: filament.id.clone(),
                        requested: new.print_weight_in_grams,
                        available: grams(available),
                    });
                }
                let (printer_id, filament_id) = (printer.id.clone(), filament.id.clone());
                let job = PrintJob {
                    id: self.id_for(Kind::PrintJob, &new.id)?,
                    printer_id,
                    filament_id,
                    filepath: new.filepath.as_str().into(),
                    print_weight_in_grams: new.print_weight_in_grams,
                    status: JobStatus::Queued,
                    created_at: now,
                    updated_at: now,
                    modified_index: index,
                };
                self.jobs.push(job.clone());
                Ok(Reply::Job(job))
            }
            Op::SetJobStatus { job, to } => self.set_job_status(job, *to, now).map(Reply::Job),
            Op::Barrier => Ok(Reply::Barrier),
            Op::FoundCluster(proposed) => {
                let name = self.cluster.unwrap_or(*proposed);
                self.cluster = Some(name);
                Ok(Reply::Cluster(name))
            }
            Op::AnnounceNode(entry) => {
                for known in &self.nodes {
                    let node_id = entry.node_id;
                    if known.node_id == node_id && known.record.directory != entry.record.directory
                    {
                        return Err(Refusal::OtherDirectory { node_id });
                    }
                }
                self.note(entry)
            }
            Op::AdmitNode(entry) => self.note(entry),
            Op::ChangeSettings(new) => {
                let value = new.event_retention;
                if value == 0 || value > 1_000_000 {
                    return Err(Refusal::InvalidField {
                        pointer: "/event_retention".to_owned(),
                        problem: format!("must be from 1 to 1000000, not {value}"),
                    });
                }
                self.settings = *new;
                Ok(Reply::Settings(*new))
            }
            Op::CreateToken(new) => self.create_token(new, command).map(Reply::Token),
            Op::RevokeToken(id) => {
                let Some(place) = self.tokens.iter().position(|token| token.id == *id) else {
                    return Err(Refusal::TokenNotFound { id: *id });
                };
                Ok(Reply::TokenRevoked(self.tokens.remove(place)))
            }
            Op::NoteTokenUses(uses) => {
                for (id, used_at) in uses {
                    let used_at = used_at.as_millis().min(self.log_time);
                    for token in &mut self.tokens {
                        let before = token.last_used_at.map(Timestamp::as_millis);
                        if token.id == *id && before.is_none_or(|before| before < used_at) {
                            token.last_used_at = Some(Timestamp::from_millis(used_at));
                        }
                    }
                }
                Ok(Reply::TokenUsesNoted)
            }
            Op::UpdatePrinter(change) => {
                let place = self.place(Kind::Printer, &change.target)?;
                let mut after = self.printers[place].clone();
                after.company = change.company.clone().unwrap_or(after.company);
                after.model = change.model.clone().unwrap_or(after.model);
                non_empty("/company", &after.company)?;
                non_empty("/model", &after.model)?;
                if after == self.printers[place] {
                    return Ok(Reply::Printer(after));
                }
                after.updated_at = after.updated_at.max(now);
                after.modified_index = index;
                self.printers[place] = after.clone();
                Ok(Reply::Printer(after))
            }
            Op::UpdateFilament(change) => {
                let place = self.place(Kind::Filament, &change.target)?;
                let mut after = self.filaments[place].clone();
                after.filament_type = change.filament_type.unwrap_or(after.filament_type);
                after.color = change.color.clone().unwrap_or(after.color);
                let (total, remaining) = (
                    change.total_weight_in_grams,
                    change.remaining_weight_in_grams,
                );
                after.total_weight_in_grams = total.unwrap_or(after.total_weight_in_grams);
                after.remaining_weight_in_grams =
                    remaining.unwrap_or(after.remaining_weight_in_grams);
                non_empty("/color", &after.color)?;
                let total = after.total_weight_in_grams.get();
                let remaining = after.remaining_weight_in_grams.get();
                above_zero("/total_weight_in_grams", total)?;
                if remaining > total {
                    return Err(Refusal::InvalidField {
                        pointer: "/remaining_weight_in_grams".to_owned(),
                        problem: format!(
                            "would be {remaining}, more than total_weight_in_grams, {total}"
                        ),
                    });
                }
                if after != self.filaments[place] {
                    after.updated_at = after.updated_at.max(now);
                    after.modified_index = index;
                    self.filaments[place] = after.clone();
                }
                Ok(Reply::Filament {
                    version: self.version_of(&after),
                    filament: after,
                })
            }
            Op::DeletePrinter(target) => {
                let place = self.place(Kind::Printer, target)?;
                let id = self.printers.remove(place).id;
                Ok(self.deleted(Kind::Printer, id))
            }
            Op::DeleteFilament(target) => {
                let place = self.place(Kind::Filament, target)?;
                let id = self.filaments.remove(place).id;
                Ok(self.deleted(Kind::Filament, id))
            }
        }
    }

    fn create_token(&mut self, new: &NewToken, command: &Command) -> Result<Token, Refusal> {
        non_empty("/name", &new.name).map_err(|_| Refusal::InvalidField {
            pointer: "/name".to_owned(),
            problem: "must have 1 to 64 characters".to_owned(),
        })?;
        if let Some(end) = new.expires_at
            && end.as_millis() <= self.log_time
        {
            return Err(Refusal::InvalidField {
                pointer: "/expires_at".to_owned(),
                problem: format!("must be after {}", Timestamp::from_millis(self.log_time)),
            });
        }
        for token in &self.tokens {
            if token.name == new.name {
                let name = new.name.clone();
                return Err(Refusal::TokenNameTaken { name });
            }
        }
        for token in &self.tokens {
            if token.digest == new.digest {
                return Err(Refusal::TokenSecretTaken);
            }
        }
        let mut created_by = None;
        for token in &self.tokens {
            if command.actor == Some(Actor::Token(token.id)) {
                created_by = Some(token.name.clone());
            }
        }
        if command.actor == Some(Actor::AdminFile) {
            created_by = Some("admin token file".to_owned());
        }
        self.tokens_created += 1;
        let token = Token {
            id: self.tokens_created,
            name: new.name.clone(),
            role: new.role,
            digest: new.digest,
            created_at: command.stamped_at,
            expires_at: new.expires_at,
            last_used_at: None,
            created_by,
        };
        self.tokens.push(token.clone());
        Ok(token)
    }

    fn deleted(&mut self, kind: Kind, id: Id) -> Reply {
        self.deleted.push((kind, id.clone()));
        Reply::Deleted { kind, id }
    }

    /// When a filament or one of its jobs was last changed.
    pub fn version_of(&self, filament: &Filament) -> u64 {
        let jobs = self.jobs.iter();
        jobs.filter(|job| job.filament_id == filament.id)
            .map(|job| job.modified_index)
            .fold(filament.modified_index, u64::max)
    }

    /// Where a printer or filament is that may be changed as `target` says.
    fn place(&self, kind: Kind, target: &Target) -> Result<usize, Refusal> {
        let ids = self.ids(kind);
        let Some(place) = ids.iter().position(|id| **id == target.id) else {
            let id = target.id.clone();
            return Err(Refusal::NotFound { kind, id });
        };
        let version = match kind {
            Kind::Printer => self.printers[place].modified_index,
            _ => self.version_of(&self.filaments[place]),
        };
        wanted(kind, target, version)?;
        let uses = |job: &&PrintJob| match kind {
            Kind::Printer => job.printer_id == target.id,
            _ => job.filament_id == target.id,
        };
        let mut users = Vec::new();
        for status in [JobStatus::Running, JobStatus::Queued] {
            let mut ids: Vec<Id> = self
                .jobs
                .iter()
                .filter(|job| job.status == status)
                .filter(uses)
                .map(|job| job.id.clone())
                .collect();
            ids.sort();
            users.extend(ids);
        }
        if users.is_empty() {
            return Ok(place);
        }
        Err(Refusal::InUse {
            kind,
            id: ids[place].clone(),
            more: users.len() > 10,
            jobs: users.into_iter().take(10).collect(),
        })
    }

    fn note(&mut self, entry: &NodeEntry) -> Result<Reply, Refusal> {
        self.nodes.retain(|known| known.node_id != entry.node_id);
        self.nodes.push(entry.clone());
        Ok(Reply::NodeNoted)
    }

    fn set_job_status(
        &mut self,
        target: &Target,
        to: JobStatus,
        now: Timestamp,
    ) -> Result<PrintJob, Refusal> {
        use JobStatus::{Canceled, Done, Queued, Running};
        let kind = Kind::PrintJob;
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == target.id) else {
            let id = target.id.clone();
            return Err(Refusal::NotFound { kind, id });
        };
        wanted(kind, target, job.modified_index)?;
        let from = job.status;
        match (from, to) {
            (Queued, Running) | (Queued, Canceled) | (Running, Done) | (Running, Canceled) => {}
            _ => {
                let id = job.id.clone();
                return Err(Refusal::ForbiddenTransition { id, from, to });
            }
        }
        job.status = to;
        job.updated_at = job.updated_at.max(now);
        job.modified_index = self.applied_index;
        let job = job.clone();
        if to == Done {
            for filament in &mut self.filaments {
                if filament.id == job.filament_id {
                    filament.remaining_weight_in_grams = grams(
                        filament.remaining_weight_in_grams.get() - job.print_weight_in_grams.get(),
                    );
                    filament.updated_at = filament.updated_at.max(now);
                    filament.modified_index = self.applied_index;
                }
            }
        }
        Ok(job)
    }

    pub fn reserved(&self, filament: &Filament) -> u64 {
        self.jobs
            .iter()
            .filter(|job| job.filament_id == filament.id)
            .filter(|job| matches!(job.status, JobStatus::Queued | JobStatus::Running))
            .map(|job| job.print_weight_in_grams.get())
            .sum()
    }

    /// The jobs that match, in the order of ids.
    pub fn matching(&self, filter: &JobFilter) -> Vec<&PrintJob> {
        let mut found: Vec<&PrintJob> = self
            .jobs
            .iter()
            .filter(|job| match filter.status {
                Some(status) => job.status == status,
                None => true,
            })
            .filter(|job| match &filter.printer_id {
                Some(id) => job.printer_id == *id,
                None => true,
            })
            .filter(|job| match &filter.filament_id {
                Some(id) => job.filament_id == *id,
                None => true,
            })
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }

    fn ids(&self, kind: Kind) -> Vec<&Id> {
        match kind {
            Kind::Printer => self.printers.iter().map(|p| &p.id).collect(),
            Kind::Filament => self.filaments.iter().map(|f| &f.id).collect(),
            Kind::PrintJob => self.jobs.iter().map(|j| &j.id).collect(),
        }
    }

    fn not_taken(&self, kind: Kind, wanted: &Option<Id>) -> Result<(), Refusal> {
        for id in self.ids(kind) {
            if wanted
                .as_ref()
                .is_some_and(|wanted| wanted.key() == id.key())
            {
                let id = id.clone();
                return Err(Refusal::IdTaken { kind, id });
            }
        }
        Ok(())
    }

    fn id_for(&mut self, kind: Kind, wanted: &Option<Id>) -> Result<Id, Refusal> {
        self.not_taken(kind, wanted)?;
        if let Some(id) = wanted {
            return Ok(id.clone());
        }
        let last = self
            .assigned
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, n)| *n)
            .max();
        let mut next = last.unwrap_or(0) + 1;
        let is = |id: &Id, next: i64| id.key() == next.to_string();
        while self.ids(kind).iter().any(|id| is(id, next))
            || self
                .deleted
                .iter()
                .any(|(of, id)| *of == kind && is(id, next))
        {
            next += 1;
        }
        self.assigned.push((kind, next));
        Ok(Id::from_integer(next).expect("few ids are assigned in a test"))
    }
}

fn wanted(kind: Kind, target: &Target, modified_index: u64) -> Result<(), Refusal> {
    match &target.versions {
        Some(versions) if !versions.contains(&modified_index) => Err(Refusal::OtherVersion {
            kind,
            id: target.id.clone(),
            modified_index,
        }),
        _ => Ok(()),
    }
}

fn grams(value: u64) -> Grams {
    Grams::new(value).expect("sums of the model stay in range")
}

fn non_empty(pointer: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(Refusal::InvalidField {
            pointer: pointer.to_owned(),
            problem: "must not be empty".to_owned(),
        });
    }
    Ok(())
}

fn above_zero(pointer: &str, weight: u64) -> Result<(), Refusal> {
    if weight == 0 {
        return Err(Refusal::InvalidField {
            pointer: pointer.to_owned(),
            problem: "must be above 0".to_owned(),
        });
    }
    Ok(())
}
