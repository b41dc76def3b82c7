//! Sets of ids that take little more room than the ids in them.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use super::id::Id;

/// Most ids of one chunk: it is copied whole when a clone of the set shares it, which should not
/// take longer than finding it.
const CHUNK_LEN_MAX: usize = 64;

/// A chunk of fewer ids than this joins the one before it, if there is room.
const CHUNK_LEN_MIN: usize = CHUNK_LEN_MAX / 4;

/// A set of ids in their order. Cloning is O(1), a change O(log n).
///
/// The persistent map by itself would leave half of its room empty, as it splits full nodes in the
/// middle and most ids come in ascending order. So it only finds chunks here, and a chunk that
/// ascending ids have filled stays full.
#[derive(Debug, Clone, Default)]
pub(super) struct IdSet {
    /// Each chunk is sorted, and holds the ids from its key up to the next one's; the first, whose
    /// key is `None`, has no lower bound.
    chunks: OrdMap<Option<Id>, Arc<Vec<Id>>>,
    len: usize,
}

impl IdSet {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds `id`, unless it is there.
    pub(super) fn insert(&mut self, id: Id) {
        let key = self.key_of(&id);
        let Some(chunk) = self.chunks.get_mut(&key).map(Arc::make_mut) else {
            // The first of all.
            self.chunks.insert(None, Arc::new(vec![id]));
            self.len = 1;
            return;
        };
        let Err(place) = chunk.binary_search(&id) else {
            return;
        };
        self.len += 1;
        if chunk.len() < CHUNK_LEN_MAX {
            chunk.insert(place, id);
        } else if place == CHUNK_LEN_MAX {
            self.chunks.insert(Some(id.clone()), Arc::new(vec![id]));
        } else {
            chunk.insert(place, id);
            let upper = chunk.split_off(CHUNK_LEN_MAX / 2);
            self.chunks.insert(upper.first().cloned(), Arc::new(upper));
        }
    }

    /// Takes `id` out, if it is there.
    pub(super) fn remove(&mut self, id: &Id) {
        let key = self.key_of(id);
        let Some(chunk) = self.chunks.get_mut(&key).map(Arc::make_mut) else {
            return;
        };
        if let Ok(place) = chunk.binary_search(id) {
            chunk.remove(place);
            self.len -= 1;
            if chunk.len() < CHUNK_LEN_MIN {
                self.join_to_the_one_before(&key);
            }
        }
    }

    /// The ids behind `after`, or all, in their order. O(log n) to begin.
    pub(super) fn after(&self, after: Option<&Id>) -> impl Iterator<Item = &Id> + use<'_> {
        let after = after.cloned();
        let first = after.as_ref().and_then(|after| self.key_of(after));
        let chunks = self
            .chunks
            .range((Bound::Included(first), Bound::Unbounded));
        chunks.flat_map(move |(_, chunk)| {
            // All of it, except in the first.
            let passed = |id: &Id| after.as_ref().is_some_and(|after| id <= after);
            chunk.iter().skip(chunk.partition_point(passed))
        })
    }

    /// The key of the chunk that `id` belongs to.
    fn key_of(&self, id: &Id) -> Option<Id> {
        let wanted = Some(id.clone());
        match self.chunks.get_max() {
            // Most ids are the highest so far, and this is the shorter way.
            Some((last, _)) if *last <= wanted => last.clone(),
            _ => self.chunks.get_prev(&wanted)?.0.clone(),
        }
    }

    /// Joins the chunk of `key` to the one before, if there is one and it has room for many more.
    fn join_to_the_one_before(&mut self, key: &Option<Id>) {
        let lower = (Bound::Unbounded, Bound::Excluded(key));
        let Some((before, room)) = self.chunks.range::<_, Option<Id>>(lower).next_back() else {
            return;
        };
        let before = before.clone();
        let len = self.chunks.get(key).map_or(0, |chunk| chunk.len());
        if room.len() + len > CHUNK_LEN_MAX / 2 {
            return;
        }
        let joined = self.chunks.remove(key);
        if let (Some(chunk), Some(joined)) = (self.chunks.get_mut(&before), joined) {
            Arc::make_mut(chunk).extend_from_slice(&joined);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(integer: i64) -> Id {
        Id::from_integer(integer).unwrap()
    }

    fn ids(set: &IdSet, after: Option<i64>) -> Vec<Id> {
        set.after(after.map(id).as_ref()).cloned().collect()
    }

    proptest! {
        /// Few ids, so that they meet; runs of them, so that chunks fill up and empty.
        #[test]
        fn holds_what_a_set_of_the_library_holds(
            steps in prop::collection::vec((any::<bool>(), 0..500_i64, 1..200_i64), 1..30),
            after in 0..500_i64,
        ) {
            let (mut set, mut model) = (IdSet::default(), BTreeSet::new());
            for (adds, first, count) in steps {
                for integer in first..first + count {
                    if adds {
                        set.insert(id(integer));
                        model.insert(id(integer));
                    } else {
                        set.remove(&id(integer));
                        model.remove(&id(integer));
                    }
                }
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert_eq!(ids(&set, None), Vec::from_iter(model.clone()));
            let behind = model.range((Bound::Excluded(id(after)), Bound::Unbounded));
            prop_assert_eq!(ids(&set, Some(after)), Vec::from_iter(behind.cloned()));
        }
    }

    #[test]
    fn ascending_ids_fill_their_chunks() {
        let mut set = IdSet::default();
        (0..1000).for_each(|integer| set.insert(id(integer)));
        assert_eq!(set.chunks.len(), 1000_usize.div_ceil(CHUNK_LEN_MAX));
    }

    #[test]
    fn what_few_ids_are_left_of_takes_few_chunks() {
        let mut set = IdSet::default();
        (0..10_000).for_each(|integer| set.insert(id(integer)));
        let removed = (0..10_000).filter(|integer| integer % 100 != 0);
        removed.for_each(|integer| set.remove(&id(integer)));
        assert_eq!(set.len(), 100);
        assert!(set.chunks.len() <= 100 / (CHUNK_LEN_MIN / 2));
        (0..10_000).for_each(|integer| set.remove(&id(integer)));
        assert!(ids(&set, None).is_empty());
        assert_eq!(set.chunks.len(), 1);
    }

    #[test]
    fn a_clone_does_not_change_with_it() {
        let mut set = IdSet::default();
        (0..100).for_each(|integer| set.insert(id(integer)));
        let clone = set.clone();
        (0..100).for_each(|integer| set.remove(&id(integer)));
        assert_eq!(ids(&clone, Some(97)), [id(98), id(99)]);
    }
}
