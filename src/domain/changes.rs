//! Printers and filaments that are changed or deleted, which only those may be that no queued or
//! running job counts on.

use super::command::{FilamentChange, PrinterChange, Target};
use super::events::Object;
use super::id::Id;
use super::model::{Filament, Kind, Printer};
use super::outcome::{Refusal, Reply};
use super::state::{JobFilter, State};
use super::table::Table;
use super::time::Timestamp;
use super::weight::Grams;

/// Most jobs that one refusal names.
pub const JOBS_NAMED_MAX: usize = 10;

impl State {
    /// The printer as it is to be. What it is already neither makes a new version nor an event.
    pub(super) fn update_printer(
        &mut self,
        change: &PrinterChange,
        now: Timestamp,
    ) -> Result<Printer, Refusal> {
        let before = self.find_printer(&change.target)?;
        self.refuse_in_use(Kind::Printer, &before.id)?;
        let mut after = before.clone();
        put(&mut after.company, change.company.as_ref());
        put(&mut after.model, change.model.as_ref());
        refuse_empty("/company", &after.company)?;
        refuse_empty("/model", &after.model)?;
        if after == before {
            return Ok(after);
        }
        after.updated_at = before.updated_at.max(now);
        after.modified_index = self.applied_index;
        self.put_printer(&after);
        Ok(after)
    }

    /// The filament as it is to be; likewise.
    pub(super) fn update_filament(
        &mut self,
        change: &FilamentChange,
        now: Timestamp,
    ) -> Result<Filament, Refusal> {
        let before = self.find_filament(&change.target)?;
        self.refuse_in_use(Kind::Filament, &before.id)?;
        let mut after = before.clone();
        put(&mut after.filament_type, change.filament_type.as_ref());
        put(&mut after.color, change.color.as_ref());
        let total = change.total_weight_in_grams.as_ref();
        put(&mut after.total_weight_in_grams, total);
        let remaining = change.remaining_weight_in_grams.as_ref();
        put(&mut after.remaining_weight_in_grams, remaining);
        refuse_empty("/color", &after.color)?;
        refuse_weights(&after)?;
        if after == before {
            return Ok(after);
        }
        after.updated_at = before.updated_at.max(now);
        after.modified_index = self.applied_index;
        self.put_filament(&after);
        Ok(after)
    }

    pub(super) fn delete_printer(&mut self, target: &Target) -> Result<Reply, Refusal> {
        let printer = self.find_printer(target)?;
        self.refuse_in_use(Kind::Printer, &printer.id)?;
        let before = self.printers.delete(&printer.id);
        self.events.note(before.map(Object::Printer), None);
        let (kind, id) = (Kind::Printer, printer.id);
        Ok(Reply::Deleted { kind, id })
    }

    pub(super) fn delete_filament(&mut self, target: &Target) -> Result<Reply, Refusal> {
        let filament = self.find_filament(target)?;
        self.refuse_in_use(Kind::Filament, &filament.id)?;
        let before = self.filaments.delete(&filament.id);
        self.events.note(before.map(Object::Filament), None);
        let (kind, id) = (Kind::Filament, filament.id);
        Ok(Reply::Deleted { kind, id })
    }

    /// The printer that a change is meant for, if it is of a version that will do.
    fn find_printer(&self, target: &Target) -> Result<Printer, Refusal> {
        let printer = find(&self.printers, Kind::Printer, target)?;
        check_version(Kind::Printer, target, printer.modified_index)?;
        Ok(printer)
    }

    /// The filament that a change is meant for, if it is of a version that will do.
    fn find_filament(&self, target: &Target) -> Result<Filament, Refusal> {
        let filament = find(&self.filaments, Kind::Filament, target)?;
        check_version(Kind::Filament, target, self.version_of(&filament))?;
        Ok(filament)
    }

    /// Refuses to touch a printer or a filament that queued or running jobs count on. So no job
    /// that may still be printed loses what it was promised, and nothing of the filament is
    /// reserved while its weights change.
    fn refuse_in_use(&self, kind: Kind, id: &Id) -> Result<(), Refusal> {
        let filter = match kind {
            Kind::Printer => JobFilter {
                printer_id: Some(id.clone()),
                ..JobFilter::default()
            },
            _ => JobFilter {
                filament_id: Some(id.clone()),
                ..JobFilter::default()
            },
        };
        let users = self.jobs_in_progress(&filter);
        let jobs: Vec<Id> = users.take(JOBS_NAMED_MAX + 1).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        Err(Refusal::InUse {
            kind,
            id: id.clone(),
            more: jobs.len() > JOBS_NAMED_MAX,
            jobs: jobs.into_iter().take(JOBS_NAMED_MAX).collect(),
        })
    }
}

/// The object in `table` that a change is meant for.
fn find<T: Clone>(table: &Table<T>, kind: Kind, target: &Target) -> Result<T, Refusal> {
    let found = table.get(&target.id).map(|row| T::clone(row));
    found.ok_or_else(|| Refusal::NotFound {
        kind,
        id: target.id.clone(),
    })
}

/// Refuses a change that is meant for another version than that of `modified_index`. The one place
/// where that is decided: here, in the order of the log, of two writers one comes second.
pub(super) fn check_version(
    kind: Kind,
    target: &Target,
    modified_index: u64,
) -> Result<(), Refusal> {
    match &target.versions {
        Some(versions) if !versions.contains(&modified_index) => Err(Refusal::OtherVersion {
            kind,
            id: target.id.clone(),
            modified_index,
        }),
        _ => Ok(()),
    }
}

fn put<T: Clone>(field: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

fn refuse_empty(pointer: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Err(invalid(pointer, "must not be empty".to_owned()));
    }
    Ok(())
}

fn refuse_weights(filament: &Filament) -> Result<(), Refusal> {
    let total = filament.total_weight_in_grams;
    let remaining = filament.remaining_weight_in_grams;
    if total == Grams::ZERO {
        return Err(invalid(
            "/total_weight_in_grams",
            "must be above 0".to_owned(),
        ));
    }
    if remaining > total {
        let problem = format!(
            "would be {}, more than total_weight_in_grams, {}",
            remaining.get(),
            total.get()
        );
        return Err(invalid("/remaining_weight_in_grams", problem));
    }
    Ok(())
}

fn invalid(pointer: &str, problem: String) -> Refusal {
    Refusal::InvalidField {
        pointer: pointer.to_owned(),
        problem,
    }
}
