//! The state of the farm and its queries.

use std::sync::Arc;

use super::events::Events;
use super::id::Id;
use super::idempotency::{Limits, Memory};
use super::jobs::Jobs;
use super::model::{Filament, JobStatus, PrintJob, Printer};
use super::roster::Roster;
use super::settings::Settings;
use super::table::Table;
use super::time::Timestamp;
use super::tokens::Tokens;
use super::weight::Grams;
use crate::identity::ClusterId;

pub use super::jobs::JobFilter;

/// Everything the farm knows after some prefix of the log.
///
/// A clone costs O(1) and shares what does not change: a reader or a snapshot works on its own
/// clone while commands go on being applied. Commands are applied by [`State::apply`].
#[derive(Debug, Clone)]
pub struct State {
    pub(super) applied_index: u64,
    /// The latest moment stamped on any command.
    pub(super) log_time: Timestamp,
    pub(super) printers: Table<Printer>,
    pub(super) filaments: Table<Filament>,
    pub(super) jobs: Jobs,
    pub(super) memory: Memory,
    pub(super) roster: Arc<Roster>,
    pub(super) settings: Settings,
    pub(super) events: Events,
    pub(super) tokens: Arc<Tokens>,
}

impl Default for State {
    fn default() -> State {
        State::new()
    }
}

impl State {
    /// The state before the first log entry.
    pub fn new() -> State {
        State::with_limits(Limits::default())
    }

    /// The state before the first log entry, with its own bounds for the memory of idempotency
    /// keys. All replicas must start with the same.
    pub fn with_limits(limits: Limits) -> State {
        State {
            applied_index: 0,
            log_time: Timestamp::EPOCH,
            printers: Table::assigning_from(1),
            filaments: Table::assigning_from(1),
            jobs: Jobs::assigning_from(1),
            memory: Memory::new(limits),
            roster: Arc::default(),
            settings: Settings::default(),
            events: Events::default(),
            tokens: Arc::default(),
        }
    }

    /// Index of the last log entry that this state reflects; 0 before the first.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The cluster's name and its nodes.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The same farm as the beginning of `cluster`, which is new: of the nodes of the cluster that it
    /// comes from nothing is known there. The log goes on at the same index.
    pub fn refounded(mut self, cluster: ClusterId) -> State {
        self.roster = Arc::new(self.roster.refounded(cluster));
        self
    }

    /// The cluster's settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// What the newest commands have changed.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The API tokens.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// How many objects a snapshot of it holds, at O(1) cost.
    pub fn object_count(&self) -> u64 {
        let objects = self.printer_count() + self.filament_count() + self.job_count();
        (objects + self.remembered_count() + self.events.len()) as u64
    }

    /// Notes that the log up to `index` has been passed where entries carry no command, as
    /// configuration changes do. An index already passed changes nothing.
    pub fn advance(&mut self, index: u64) {
        self.applied_index = self.applied_index.max(index);
    }

    /// The printer whose id has the text form `key`.
    pub fn printer(&self, key: &str) -> Option<&Printer> {
        let id = Id::from_key(key).ok()?;
        self.printers.get(&id).map(AsRef::as_ref)
    }

    /// All printers, in the order of their ids.
    pub fn printers(&self) -> impl Iterator<Item = &Printer> {
        self.printers.after(None)
    }

    /// The printers behind `after`, or all, in the order of their ids.
    pub fn printers_after(&self, after: Option<&Id>) -> impl Iterator<Item = &Printer> + use<'_> {
        self.printers.after(after)
    }

    /// The filament whose id has the text form `key`.
    pub fn filament(&self, key: &str) -> Option<&Filament> {
        let id = Id::from_key(key).ok()?;
        self.filaments.get(&id).map(AsRef::as_ref)
    }

    /// All filaments, in the order of their ids.
    pub fn filaments(&self) -> impl Iterator<Item = &Filament> {
        self.filaments.after(None)
    }

    /// The filaments behind `after`, or all, in the order of their ids.
    pub fn filaments_after(&self, after: Option<&Id>) -> impl Iterator<Item = &Filament> + use<'_> {
        self.filaments.after(after)
    }

    /// Grams of the filament that its queued and running jobs hold. O(log n).
    pub fn reserved(&self, filament: &Filament) -> Grams {
        self.jobs.reserved(&filament.id)
    }

    /// Grams of the filament that are neither used nor reserved. O(log n).
    pub fn available(&self, filament: &Filament) -> Grams {
        filament
            .remaining_weight_in_grams
            .saturating_sub(self.reserved(filament))
    }

    /// Log index of the last change of a filament or of any of its jobs: where that is the same, so
    /// is all that clients see of it, what is available included. O(log n).
    pub fn version_of(&self, filament: &Filament) -> u64 {
        let jobs = self.jobs.modified_index(&filament.id);
        filament.modified_index.max(jobs)
    }

    /// The print job whose id has the text form `key`.
    pub fn job(&self, key: &str) -> Option<&PrintJob> {
        let id = Id::from_key(key).ok()?;
        self.jobs.table.get(&id).map(AsRef::as_ref)
    }

    /// The print jobs that match `filter` behind `after`, or all of them, in the order of their
    /// ids. A filter walks the smallest index that covers it.
    pub fn jobs<'a>(
        &'a self,
        filter: &JobFilter,
        after: Option<&Id>,
    ) -> impl Iterator<Item = &'a PrintJob> + Send + use<'a> {
        self.jobs.select(filter, after)
    }

    /// The queued and running jobs among those that match `filter`, those running first.
    pub(super) fn jobs_in_progress(&self, filter: &JobFilter) -> impl Iterator<Item = Id> {
        let [running, queued] = [JobStatus::Running, JobStatus::Queued].map(|status| JobFilter {
            status: Some(status),
            ..filter.clone()
        });
        let jobs = self.jobs(&running, None).chain(self.jobs(&queued, None));
        jobs.map(|job| job.id.clone())
    }

    /// How many printers there are. O(1), as the other counts.
    pub fn printer_count(&self) -> usize {
        self.printers.len()
    }

    /// How many filaments there are.
    pub fn filament_count(&self) -> usize {
        self.filaments.len()
    }

    /// How many print jobs there are.
    pub fn job_count(&self) -> usize {
        self.jobs.table.len()
    }

    /// How many print jobs have this status.
    pub fn job_count_of(&self, status: JobStatus) -> usize {
        self.jobs.count(status)
    }

    /// How many answers are remembered for idempotency keys.
    pub fn remembered_count(&self) -> usize {
        self.memory.len()
    }
}
