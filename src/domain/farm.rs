//! Printers, filaments and print jobs by themselves, as events rebuild them.
//!
//! A [`Farm`] is what a [`State`] holds of the farm, without what is derived from it or remembered
//! for clients. Events lead from one to the next, in both directions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::events::{Change, Event, Object};
use super::id::{INTEGER_MAX, Id};
use super::model::{Filament, PrintJob, Printer};
use super::state::State;
use super::table::Table;

/// The objects of the farm and the integers free for new ones. Cloning is O(1).
#[derive(Debug, Clone)]
pub struct Farm {
    pub(super) printers: Table<Printer>,
    pub(super) filaments: Table<Filament>,
    pub(super) jobs: Table<PrintJob>,
}

/// For each kind of object, the smallest integer that may still be assigned as an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextIds {
    /// Of printers.
    pub printer: i64,
    /// Of filaments.
    pub filament: i64,
    /// Of print jobs.
    pub job: i64,
}

impl Default for NextIds {
    fn default() -> NextIds {
        NextIds {
            printer: 1,
            filament: 1,
            job: 1,
        }
    }
}

/// An event does not fit the farm that it is said to have changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event at index {index} {reason}")]
pub struct Contradiction {
    /// Index of the event.
    pub index: u64,
    reason: String,
}

impl State {
    /// The farm's objects as they are. O(1).
    pub fn farm(&self) -> Farm {
        Farm {
            printers: self.printers.clone(),
            filaments: self.filaments.clone(),
            jobs: self.jobs.table.clone(),
        }
    }

    /// The farm as it was before the oldest event that is kept, at
    /// [`oldest_position`](super::events::Events::oldest_position). O(n log n) of the events.
    pub fn base_farm(&self) -> Result<Farm, Contradiction> {
        let mut farm = self.farm();
        for event in self.events.iter().rev() {
            farm.undo(event)?;
        }
        Ok(farm)
    }
}

impl Farm {
    /// A farm without objects.
    pub fn empty(next_ids: NextIds) -> Farm {
        Farm {
            printers: Table::assigning_from(next_ids.printer),
            filaments: Table::assigning_from(next_ids.filament),
            jobs: Table::assigning_from(next_ids.job),
        }
    }

    /// The integers free for new objects.
    pub fn next_ids(&self) -> NextIds {
        NextIds {
            printer: self.printers.next_id(),
            filament: self.filaments.next_id(),
            job: self.jobs.next_id(),
        }
    }

    /// How many printers, filaments and print jobs there are.
    pub fn counts(&self) -> [usize; 3] {
        [self.printers.len(), self.filaments.len(), self.jobs.len()]
    }

    /// The objects behind `last`, or all: printers, filaments and print jobs, each in the order of
    /// their ids.
    pub fn objects_after<'a>(
        &'a self,
        last: Option<&Object>,
    ) -> impl Iterator<Item = Object> + use<'a> {
        // `None` for a table that `last` is behind.
        let (printers, filaments, jobs) = match last {
            Some(Object::Printer(last)) => (Some(Some(last.id.clone())), Some(None), Some(None)),
            Some(Object::Filament(last)) => (None, Some(Some(last.id.clone())), Some(None)),
            Some(Object::Job(last)) => (None, None, Some(Some(last.id.clone()))),
            _ => (Some(None), Some(None), Some(None)),
        };
        let printers = printers.into_iter();
        let printers = printers.flat_map(|id| self.printers.rows(id.as_ref()));
        let filaments = filaments.into_iter();
        let filaments = filaments.flat_map(|id| self.filaments.rows(id.as_ref()));
        let jobs = jobs.into_iter().flat_map(|id| self.jobs.rows(id.as_ref()));
        let printers = printers.cloned().map(Object::Printer);
        let filaments = filaments.cloned().map(Object::Filament);
        printers
            .chain(filaments)
            .chain(jobs.cloned().map(Object::Job))
    }

    /// Adds an object of a farm that is read back. `false`, and nothing changes, if it is there
    /// already or is nothing of a farm.
    pub fn insert(&mut self, object: Object) -> bool {
        let is_of_the_farm = matches!(
            object,
            Object::Printer(_) | Object::Filament(_) | Object::Job(_)
        );
        is_of_the_farm && self.turn(None, Some(&object))
    }

    /// Does what `event` tells of; each object must be as the event says it was before.
    pub fn redo(&mut self, event: &Event) -> Result<(), Contradiction> {
        check_sound(event)?;
        for change in &event.changes {
            if !self.turn(change.before.as_ref(), change.after.as_ref()) {
                return Err(unlike(event, change, "before"));
            }
        }
        self.move_counter(event, |next, assigned| {
            (next <= assigned).then_some(assigned + 1)
        })
    }

    /// Takes back what `event` tells of; each object must be as the event says it was after.
    pub fn undo(&mut self, event: &Event) -> Result<(), Contradiction> {
        check_sound(event)?;
        for change in event.changes.iter().rev() {
            if !self.turn(change.after.as_ref(), change.before.as_ref()) {
                return Err(unlike(event, change, "after"));
            }
        }
        self.move_counter(event, |next, assigned| {
            (next > assigned).then_some(assigned)
        })
    }

    /// Makes the event share what it holds with the farm that it led to.
    pub(super) fn share(&self, event: &mut Event) {
        for after in event.changes.iter_mut().filter_map(|c| c.after.as_mut()) {
            match after {
                Object::Printer(row) => share(&self.printers, row),
                Object::Filament(row) => share(&self.filaments, row),
                Object::Job(row) => share(&self.jobs, row),
                Object::Cluster(_) | Object::Node(_) | Object::Settings(_) | Object::Token(_) => {}
            }
        }
    }

    /// Puts `to` where `from` is; false, and nothing changes, if it is not. What is no object of
    /// the farm is not looked at.
    fn turn(&mut self, from: Option<&Object>, to: Option<&Object>) -> bool {
        match from.or(to) {
            Some(Object::Printer(_)) => turn(&mut self.printers, from, to),
            Some(Object::Filament(_)) => turn(&mut self.filaments, from, to),
            Some(Object::Job(_)) => turn(&mut self.jobs, from, to),
            Some(Object::Cluster(_) | Object::Node(_) | Object::Settings(_) | Object::Token(_))
            | None => true,
        }
    }

    /// Moves the counter that `event` took an id from, if it did: `moved` gives its new value from
    /// the present one and the id, or nothing if they do not fit.
    fn move_counter(
        &mut self,
        event: &Event,
        moved: impl FnOnce(i64, i64) -> Option<i64>,
    ) -> Result<(), Contradiction> {
        if !event.id_assigned {
            return Ok(());
        }
        let created = event
            .changes
            .first()
            .and_then(|change| change.after.as_ref());
        let counter = match created {
            Some(Object::Printer(_)) => Some(self.printers.next_id_mut()),
            Some(Object::Filament(_)) => Some(self.filaments.next_id_mut()),
            Some(Object::Job(_)) => Some(self.jobs.next_id_mut()),
            _ => None,
        };
        let assigned = created.and_then(Object::id).and_then(|id| id.as_integer());
        let next = counter.zip(assigned).and_then(|(counter, assigned)| {
            *counter = moved(*counter, assigned)?;
            Some(())
        });
        next.ok_or_else(|| Contradiction {
            index: event.index,
            reason: "has an id that was not free to be assigned".to_owned(),
        })
    }
}

fn check_sound(event: &Event) -> Result<(), Contradiction> {
    if !event.changes.is_empty() && event.changes.iter().all(Change::is_sound) {
        return Ok(());
    }
    Err(Contradiction {
        index: event.index,
        reason: "tells of no change".to_owned(),
    })
}

fn unlike(event: &Event, change: &Change, side: &str) -> Contradiction {
    let object = change.object();
    let id = object.and_then(Object::id);
    Contradiction {
        index: event.index,
        reason: format!(
            "does not fit: {} {} is not what the event says it was {side} it",
            object.map_or("nothing", Object::name),
            id.map_or_else(String::new, |id| id.to_string()),
        ),
    }
}

/// What the farm has a table of.
trait Row: Clone + PartialEq {
    fn id(&self) -> &Id;

    /// The row that `object` is, if it is one of this table.
    fn of(object: &Object) -> Option<&Arc<Self>>;
}

impl Row for Printer {
    fn id(&self) -> &Id {
        &self.id
    }

    fn of(object: &Object) -> Option<&Arc<Printer>> {
        match object {
            Object::Printer(printer) => Some(printer),
            _ => None,
        }
    }
}

impl Row for Filament {
    fn id(&self) -> &Id {
        &self.id
    }

    fn of(object: &Object) -> Option<&Arc<Filament>> {
        match object {
            Object::Filament(filament) => Some(filament),
            _ => None,
        }
    }
}

impl Row for PrintJob {
    fn id(&self) -> &Id {
        &self.id
    }

    fn of(object: &Object) -> Option<&Arc<PrintJob>> {
        match object {
            Object::Job(job) => Some(job),
            _ => None,
        }
    }
}

fn turn<T: Row>(table: &mut Table<T>, from: Option<&Object>, to: Option<&Object>) -> bool {
    let (from, to) = (from.and_then(T::of), to.and_then(T::of));
    let Some(id) = from.or(to).map(|row| row.id().clone()) else {
        return false;
    };
    let holds = table.get(&id) == from;
    if holds {
        match to {
            Some(row) => table.put(id, Arc::clone(row)),
            None => table.remove(&id),
        };
    }
    holds
}

fn share<T: Row>(table: &Table<T>, row: &mut Arc<T>) {
    if let Some(present) = table.get(row.id()).filter(|present| *present == row) {
        *row = Arc::clone(present);
    }
}

impl NextIds {
    /// Whether each is one that a farm may have.
    pub fn are_valid(&self) -> bool {
        let all = [self.printer, self.filament, self.job];
        all.iter().all(|next| (1..=INTEGER_MAX + 1).contains(next))
    }
}
