//! Objects of one kind by id, and the integers still free for new ones.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::id::{INTEGER_MAX, Id};

/// Objects of one kind. Cloning is O(1); a row is shared until it changes.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    rows: OrdMap<Id, Arc<T>>,
    /// No integer below it will be assigned again.
    next_id: i64,
    /// Integers of deleted objects that are not assigned either.
    retired: OrdSet<i64>,
}

impl<T: Clone> Table<T> {
    /// An empty table, assigning integers from `next_id`.
    pub(super) fn assigning_from(next_id: i64) -> Table<T> {
        Table {
            rows: OrdMap::new(),
            next_id,
            retired: OrdSet::new(),
        }
    }

    /// The smallest integer that may still be assigned, if no client has taken it.
    pub(super) fn next_id(&self) -> i64 {
        self.next_id
    }

    /// The same, to be moved as events say.
    pub(super) fn next_id_mut(&mut self) -> &mut i64 {
        &mut self.next_id
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn get(&self, id: &Id) -> Option<&Arc<T>> {
        self.rows.get(id)
    }

    /// The id equal to `id` as its object has it, if there is one.
    pub(super) fn own_id(&self, id: &Id) -> Option<&Id> {
        self.rows.get_key_value(id).map(|(own, _)| own)
    }

    /// Adds or replaces the row of `id`; gives the one that was there.
    pub(super) fn put(&mut self, id: Id, row: Arc<T>) -> Option<Arc<T>> {
        self.rows.insert(id, row)
    }

    /// Takes the row of `id` out.
    pub(super) fn remove(&mut self, id: &Id) -> Option<Arc<T>> {
        self.rows.remove(id)
    }

    /// Takes out the row of `id`, which is never assigned again: what still names it must not
    /// come to mean another object.
    pub(super) fn delete(&mut self, id: &Id) -> Option<Arc<T>> {
        if let Some(integer) = id.as_integer() {
            self.retire(integer);
        }
        self.remove(id)
    }

    /// The integers of deleted objects that the next ones to be assigned leave out, in order.
    pub(super) fn retired(&self) -> &OrdSet<i64> {
        &self.retired
    }

    /// Notes that `integer` belonged to a deleted object; false if it is assigned no more anyway.
    pub(super) fn retire(&mut self, integer: i64) -> bool {
        let open = integer >= self.next_id && integer <= INTEGER_MAX;
        if open {
            self.retired.insert(integer);
        }
        open
    }

    /// Takes the next free integer as an id: never one assigned before, never one that a client
    /// has given to an object, deleted or not. `None` when none is left.
    ///
    /// Integers skipped once are never looked at again. Where none is left nothing changes: only
    /// an event can tell of a change.
    pub(super) fn assign_id(&mut self) -> Option<Id> {
        for integer in self.next_id..=INTEGER_MAX {
            let candidate = Id::from_integer(integer).ok()?;
            if !self.retired.contains(&integer) && !self.rows.contains_key(&candidate) {
                self.next_id = integer + 1;
                // Those passed are not looked at again.
                self.retired = self.retired.clone().split(&integer).1;
                return Some(candidate);
            }
        }
        None
    }

    /// The rows behind `after`, or all, in the order of ids.
    pub(super) fn after(&self, after: Option<&Id>) -> impl Iterator<Item = &T> + use<'_, T> {
        self.rows(after).map(Arc::as_ref)
    }

    /// The same, to be shared.
    pub(super) fn rows(&self, after: Option<&Id>) -> impl Iterator<Item = &Arc<T>> + use<'_, T> {
        self.rows.range(behind(after)).map(|(_, row)| row)
    }

    /// The last row in the order of ids.
    pub(super) fn last_id(&self) -> Option<&Id> {
        self.rows.get_max().map(|(id, _)| id)
    }
}

/// The range of ids behind `after`, or of all ids.
fn behind(after: Option<&Id>) -> impl RangeBounds<Id> {
    (
        after.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}
