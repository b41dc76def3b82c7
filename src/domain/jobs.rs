//! Print jobs, with what is derived from them: indices by status, printer and filament, and the
//! grams each filament has reserved.

use std::sync::Arc;

use imbl::OrdMap;

use super::id::Id;
use super::id_set::IdSet;
use super::model::{JobStatus, PrintJob};
use super::table::Table;
use super::weight::Grams;

/// Which print jobs to list: those that match every field given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only jobs of this status.
    pub status: Option<JobStatus>,
    /// Only jobs on this printer.
    pub printer_id: Option<Id>,
    /// Only jobs from this filament.
    pub filament_id: Option<Id>,
}

impl JobFilter {
    /// Whether `job` is one of those asked for.
    pub fn matches(&self, job: &PrintJob) -> bool {
        self.status.is_none_or(|status| job.status == status)
            && self
                .printer_id
                .as_ref()
                .is_none_or(|id| job.printer_id == *id)
            && self
                .filament_id
                .as_ref()
                .is_none_or(|id| job.filament_id == *id)
    }
}

/// All print jobs. Cloning is O(1).
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    pub(super) table: Table<PrintJob>,
    by_status: [IdSet; JobStatus::ALL.len()],
    by_printer: OrdMap<Id, IdSet>,
    by_filament: OrdMap<Id, Usage>,
}

/// What the jobs of one filament amount to.
#[derive(Debug, Clone, Default)]
struct Usage {
    /// Sum of the weights of its queued and running jobs.
    reserved: Grams,
    /// Log index of the last change of any of its jobs.
    modified_index: u64,
    jobs: IdSet,
}

impl Jobs {
    /// No jobs, assigning integers from `next_id`.
    pub(super) fn assigning_from(next_id: i64) -> Jobs {
        Jobs {
            table: Table::assigning_from(next_id),
            by_status: Default::default(),
            by_printer: OrdMap::new(),
            by_filament: OrdMap::new(),
        }
    }

    /// Adds a job whose id is new. `None`, and nothing changes, if the filament's reserved grams
    /// would exceed [`Grams::MAX`]; a job that fits the available weight never does that.
    pub(super) fn insert(&mut self, job: Arc<PrintJob>) -> Option<()> {
        let held = if job.status.reserves() {
            job.print_weight_in_grams
        } else {
            Grams::ZERO
        };
        let reserved = self.reserved(&job.filament_id).checked_add(held)?;

        let usage = self.by_filament.entry(job.filament_id.clone()).or_default();
        usage.reserved = reserved;
        usage.modified_index = usage.modified_index.max(job.modified_index);
        usage.jobs.insert(job.id.clone());
        let of_printer = self.by_printer.entry(job.printer_id.clone()).or_default();
        of_printer.insert(job.id.clone());
        self.by_status[slot(job.status)].insert(job.id.clone());
        self.table.put(job.id.clone(), job);
        Some(())
    }

    /// Replaces `before` by `after`, the same job with another status and time.
    pub(super) fn replace(&mut self, before: &PrintJob, after: Arc<PrintJob>) {
        self.by_status[slot(before.status)].remove(&before.id);
        self.by_status[slot(after.status)].insert(after.id.clone());
        if let Some(usage) = self.by_filament.get_mut(&before.filament_id) {
            usage.modified_index = usage.modified_index.max(after.modified_index);
            if before.status.reserves() && !after.status.reserves() {
                usage.reserved = usage.reserved.saturating_sub(before.print_weight_in_grams);
            }
        }
        self.table.put(after.id.clone(), after);
    }

    /// Grams that queued and running jobs hold of a filament.
    pub(super) fn reserved(&self, filament_id: &Id) -> Grams {
        self.by_filament
            .get(filament_id)
            .map_or(Grams::ZERO, |usage| usage.reserved)
    }

    /// Log index of the last change of any job of a filament; 0 if it has none.
    pub(super) fn modified_index(&self, filament_id: &Id) -> u64 {
        self.by_filament
            .get(filament_id)
            .map_or(0, |usage| usage.modified_index)
    }

    pub(super) fn count(&self, status: JobStatus) -> usize {
        self.by_status[slot(status)].len()
    }

    /// The jobs that match `filter` behind `after`, in the order of ids. Walks the smallest index
    /// that covers the filter, and the whole table only without one.
    pub(super) fn select<'a>(
        &'a self,
        filter: &JobFilter,
        after: Option<&Id>,
    ) -> Box<dyn Iterator<Item = &'a PrintJob> + Send + 'a> {
        if *filter == JobFilter::default() {
            return Box::new(self.table.after(after));
        }
        let Some(smallest) = self.smallest_index(filter) else {
            return Box::new(std::iter::empty());
        };
        let filter = filter.clone();
        let jobs = smallest
            .after(after)
            .filter_map(|id| self.table.get(id))
            .map(Arc::as_ref)
            .filter(move |job| filter.matches(job));
        Box::new(jobs)
    }

    /// The smallest of the indices that `filter` names; `None` if one of them is empty.
    fn smallest_index(&self, filter: &JobFilter) -> Option<&IdSet> {
        let mut candidates = Vec::with_capacity(3);
        if let Some(status) = filter.status {
            candidates.push(&self.by_status[slot(status)]);
        }
        if let Some(printer_id) = &filter.printer_id {
            candidates.push(self.by_printer.get(printer_id)?);
        }
        if let Some(filament_id) = &filter.filament_id {
            candidates.push(&self.by_filament.get(filament_id)?.jobs);
        }
        candidates.into_iter().min_by_key(|index| index.len())
    }
}

/// The place of a status in `by_status`.
fn slot(status: JobStatus) -> usize {
    match status {
        JobStatus::Queued => 0,
        JobStatus::Running => 1,
        JobStatus::Done => 2,
        JobStatus::Canceled => 3,
    }
}
