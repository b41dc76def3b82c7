//! The whole state as bytes: canonical, versioned and checked.
//!
//! Equal states give equal bytes, so replicas can be compared by [`State::hash`]. What can be
//! derived (indices, reserved grams) is not written but rebuilt, and every rule that holds in a
//! state is checked again on reading.
//!
//! The bytes are checked frames (laid out in `frames.rs`): one with the header, one with the
//! cluster's name and nodes, one with the API tokens, then the printers, the filaments and the print
//! jobs, each in the order of their ids, the remembered answers in the order given, and the events in
//! the order of the log. Each of these groups begins a frame.

use std::io::{self, Read, Write};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::command::{IDEMPOTENCY_KEY_LEN_MAX, NEWEST_VERSION};
use super::events::{Event, Events};
use super::frames::{FrameReader, FrameWriter};
use super::id::{INTEGER_MAX, Id};
use super::idempotency::{Limits, Memory, Remembered};
use super::jobs::Jobs;
use super::model::{Filament, PrintJob, Printer};
use super::roster::Roster;
use super::settings::Settings;
use super::state::State;
use super::table::Table;
use super::time::Timestamp;
use super::tokens::Tokens;
use super::weight::Grams;

pub use super::frames::SnapshotError;

/// The first bytes of every snapshot.
pub const MAGIC: [u8; 8] = *b"R3DSTATE";

/// The version that this build writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 3;

/// What is in the snapshot besides its objects.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    applied_index: u64,
    log_time: Timestamp,
    limits: Limits,
    next_printer_id: i64,
    next_filament_id: i64,
    next_job_id: i64,
    printers: u64,
    filaments: u64,
    jobs: u64,
    /// Of printers and of filaments.
    retired_ids: [u64; 2],
    remembered: u64,
    settings: Settings,
    /// Index of the newest event that was dropped.
    events_dropped: u64,
    events: u64,
}

impl State {
    /// Writes the state, in pieces of about 64 KiB. Memory used does not grow with the state.
    pub fn write_snapshot(&self, sink: &mut impl Write) -> io::Result<()> {
        let mut frames = FrameWriter::begin(sink, MAGIC, FORMAT_VERSION)?;
        write_group(&mut frames, std::iter::once(&self.header()))?;
        write_group(&mut frames, std::iter::once(self.roster().as_ref()))?;
        write_group(&mut frames, std::iter::once(self.tokens().as_ref()))?;
        write_group(&mut frames, self.printers.after(None))?;
        write_group(&mut frames, self.filaments.after(None))?;
        write_group(&mut frames, self.jobs.table.after(None))?;
        write_group(&mut frames, self.printers.retired().iter())?;
        write_group(&mut frames, self.filaments.retired().iter())?;
        write_group(&mut frames, self.memory.iter())?;
        write_group(&mut frames, self.events.iter().map(AsRef::as_ref))
    }

    /// Reads a state of [`FORMAT_VERSION`], to the end of `source`. Anything but the whole of what
    /// was written is an error that says what is wrong.
    pub fn read_snapshot(source: &mut impl Read) -> Result<State, SnapshotError> {
        let (mut frames, version) = FrameReader::begin(source, MAGIC)?;
        let state = match version {
            FORMAT_VERSION => read_state(&mut frames)?,
            found => {
                return Err(SnapshotError::UnknownVersion {
                    found,
                    newest: FORMAT_VERSION,
                });
            }
        };
        frames.expect_end()?;
        Ok(state)
    }

    /// SHA-256 of the snapshot. Two replicas at the same applied index have the same.
    pub fn hash(&self) -> [u8; 32] {
        let mut sink = HashSink::default();
        // A hash takes any bytes, so only a record above 4 GiB could fail; it cannot exist.
        let written = self.write_snapshot(&mut sink);
        debug_assert!(written.is_ok());
        sink.finish()
    }

    fn header(&self) -> Header {
        Header {
            applied_index: self.applied_index,
            log_time: self.log_time,
            limits: self.memory.limits(),
            next_printer_id: self.printers.next_id(),
            next_filament_id: self.filaments.next_id(),
            next_job_id: self.jobs.table.next_id(),
            printers: self.printers.len() as u64,
            filaments: self.filaments.len() as u64,
            jobs: self.jobs.table.len() as u64,
            retired_ids: [
                self.printers.retired().len() as u64,
                self.filaments.retired().len() as u64,
            ],
            remembered: self.memory.len() as u64,
            settings: self.settings,
            events_dropped: self.events.oldest_position(),
            events: self.events.len() as u64,
        }
    }
}

/// Hashes what is written.
#[derive(Default)]
pub(super) struct HashSink(Sha256);

impl HashSink {
    /// SHA-256 of all that was written.
    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl Write for HashSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `records` as a group: they begin a frame, and what follows them another.
pub(super) fn write_group<'a, W: Write, T: Serialize + 'a>(
    frames: &mut FrameWriter<'_, W>,
    records: impl Iterator<Item = &'a T>,
) -> io::Result<()> {
    for record in records {
        frames.write(record)?;
    }
    frames.close_frame()
}

/// Reads `count` records, handing each to `take`.
fn read_group<R: Read, T: DeserializeOwned>(
    frames: &mut FrameReader<'_, R>,
    name: &'static str,
    count: u64,
    mut take: impl FnMut(T) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    for _ in 0..count {
        take(frames.read(name)?)?;
    }
    frames.expect_frame_end(name)
}

fn read_state<R: Read>(frames: &mut FrameReader<'_, R>) -> Result<State, SnapshotError> {
    let header: Header = frames.read("header")?;
    frames.expect_frame_end("header")?;
    let roster: Roster = frames.read("roster")?;
    frames.expect_frame_end("roster")?;
    let used = roster.version_used();
    check(used <= NEWEST_VERSION, || {
        format!("commands of version {used} made it, and this build reads up to {NEWEST_VERSION}")
    })?;
    let tokens: Tokens = frames.read("tokens")?;
    frames.expect_frame_end("tokens")?;
    if let Some(contradiction) = tokens.contradiction(header.log_time) {
        return Err(SnapshotError::Inconsistent(contradiction));
    }
    for next_id in [
        header.next_printer_id,
        header.next_filament_id,
        header.next_job_id,
    ] {
        check((1..=INTEGER_MAX + 1).contains(&next_id), || {
            format!("{next_id} as the next id to assign")
        })?;
    }
    let mut state = State {
        applied_index: header.applied_index,
        log_time: header.log_time,
        printers: Table::assigning_from(header.next_printer_id),
        filaments: Table::assigning_from(header.next_filament_id),
        jobs: Jobs::assigning_from(header.next_job_id),
        memory: Memory::new(header.limits),
        roster: Arc::new(roster),
        settings: header.settings,
        events: Events::default(),
        tokens: Arc::new(tokens),
    };
    check(state.settings.problems().is_empty(), || {
        format!("{:?} cannot be", state.settings)
    })?;
    read_group(frames, "printer", header.printers, |printer| {
        state.restore_printer(printer)
    })?;
    read_group(frames, "filament", header.filaments, |filament| {
        state.restore_filament(filament)
    })?;
    read_group(frames, "print job", header.jobs, |job| {
        state.restore_job(job)
    })?;
    state.check_reservations()?;
    let [printers, filaments] = header.retired_ids;
    read_group(frames, "retired printer id", printers, |id| {
        restore_retired(&mut state.printers, id)
    })?;
    read_group(frames, "retired filament id", filaments, |id| {
        restore_retired(&mut state.filaments, id)
    })?;
    let mut last_answer = None;
    read_group(frames, "remembered answer", header.remembered, |answer| {
        state.restore_answer(&mut last_answer, answer)
    })?;
    check(state.memory.len() as u64 == header.remembered, || {
        format!(
            "{} answers remembered, beyond its own limits",
            header.remembered
        )
    })?;
    let mut events = Vec::new();
    read_group(frames, "event", header.events, |event| {
        events.push(event);
        Ok(())
    })?;
    state.restore_events(header.events_dropped, events)?;
    Ok(state)
}

/// Putting objects back, each checked against the rules and against those before it.
impl State {
    fn restore_printer(&mut self, printer: Printer) -> Result<(), SnapshotError> {
        let id = printer.id.clone();
        check_order(&self.printers, "printer", &id)?;
        check(!printer.company.is_empty(), || {
            format!("printer {id} has no company")
        })?;
        check(!printer.model.is_empty(), || {
            format!("printer {id} has no model")
        })?;
        self.check_times("printer", &id, printer.created_at, printer.updated_at)?;
        self.check_version("printer", &id, printer.modified_index)?;
        self.printers.put(id, Arc::new(printer));
        Ok(())
    }

    fn restore_filament(&mut self, filament: Filament) -> Result<(), SnapshotError> {
        let id = filament.id.clone();
        check_order(&self.filaments, "filament", &id)?;
        check(!filament.color.is_empty(), || {
            format!("filament {id} has no color")
        })?;
        let total = filament.total_weight_in_grams;
        check(total > Grams::ZERO, || {
            format!("filament {id} weighs nothing in total")
        })?;
        check(filament.remaining_weight_in_grams <= total, || {
            format!("filament {id} has more left than its total")
        })?;
        self.check_times("filament", &id, filament.created_at, filament.updated_at)?;
        self.check_version("filament", &id, filament.modified_index)?;
        self.filaments.put(id, Arc::new(filament));
        Ok(())
    }

    fn restore_job(&mut self, job: PrintJob) -> Result<(), SnapshotError> {
        let id = job.id.clone();
        check_order(&self.jobs.table, "print job", &id)?;
        check(!job.filepath.is_empty(), || {
            format!("print job {id} has no filepath")
        })?;
        check(job.print_weight_in_grams > Grams::ZERO, || {
            format!("print job {id} weighs nothing")
        })?;
        // Those of a finished job may have been deleted since.
        if job.status.reserves() {
            check_reference(&self.printers, "printer", &id, &job.printer_id)?;
            check_reference(&self.filaments, "filament", &id, &job.filament_id)?;
        }
        self.check_times("print job", &id, job.created_at, job.updated_at)?;
        self.check_version("print job", &id, job.modified_index)?;
        let filament_id = job.filament_id.clone();
        self.jobs
            .insert(Arc::new(job))
            .ok_or_else(|| over_reserved(&filament_id))
    }

    fn check_reservations(&self) -> Result<(), SnapshotError> {
        let broken = self
            .filaments()
            .find(|filament| self.reserved(filament) > filament.remaining_weight_in_grams);
        match broken {
            None => Ok(()),
            Some(filament) => Err(over_reserved(&filament.id)),
        }
    }

    fn restore_answer(
        &mut self,
        last: &mut Option<(u64, Timestamp)>,
        answer: Remembered,
    ) -> Result<(), SnapshotError> {
        let index = answer.outcome.index;
        let name = || format!("the answer remembered for index {index}");
        check((1..=self.applied_index).contains(&index), || {
            format!("{} is not of the log applied", name())
        })?;
        check(
            (1..=IDEMPOTENCY_KEY_LEN_MAX).contains(&answer.key.len()),
            || format!("{} has a key of {} bytes", name(), answer.key.len()),
        )?;
        check(!answer.outcome.replayed, || {
            format!("{} is no first answer", name())
        })?;
        check(answer.given_at <= self.log_time, || {
            format!("{} is newer than the log", name())
        })?;
        check(
            last.is_none_or(|(before, at)| before < index && at <= answer.given_at),
            || format!("{} is out of order", name()),
        )?;
        *last = Some((index, answer.given_at));
        check(self.memory.is_new(answer.actor, &answer.key), || {
            format!("{} has the key of another", name())
        })?;
        self.memory.remember(answer);
        Ok(())
    }

    /// Puts the events back, if they led to these very objects, and lets them share what they hold
    /// with the tables and with each other.
    fn restore_events(
        &mut self,
        dropped: u64,
        mut events: Vec<Event>,
    ) -> Result<(), SnapshotError> {
        let mut farm = self.farm();
        let mut newer = None;
        for event in events.iter_mut().rev() {
            let index = event.index;
            let fits = newer.map_or(index <= self.applied_index, |newer| index < newer);
            check(fits, || {
                format!("the event at index {index} is out of order")
            })?;
            newer = Some(index);
            check(event.time <= self.log_time, || {
                format!("the event at index {index} is newer than the log")
            })?;
            farm.share(event);
            farm.undo(event)
                .map_err(|error| SnapshotError::Inconsistent(error.to_string()))?;
        }
        let fits = newer.map_or(dropped <= self.applied_index, |oldest| dropped < oldest);
        check(fits, || {
            format!("events up to index {dropped} are dropped and kept")
        })?;
        self.events = Events::restored(dropped, events);
        check(
            !self.events.is_over_full(self.settings.event_retention),
            || format!("{} events, beyond its own limits", self.events.len()),
        )
    }

    fn check_version(&self, kind: &str, id: &Id, index: u64) -> Result<(), SnapshotError> {
        check((1..=self.applied_index).contains(&index), || {
            format!("{kind} {id} was changed at index {index}, which is not of the log applied")
        })
    }

    fn check_times(
        &self,
        kind: &str,
        id: &Id,
        created_at: Timestamp,
        updated_at: Timestamp,
    ) -> Result<(), SnapshotError> {
        check(
            created_at <= updated_at && updated_at <= self.log_time,
            || {
                format!(
                    "{kind} {id} was created at {created_at} and changed at {updated_at}, \
                     in a log that ends at {}",
                    self.log_time
                )
            },
        )
    }
}

fn check(holds: bool, contradiction: impl FnOnce() -> String) -> Result<(), SnapshotError> {
    if holds {
        Ok(())
    } else {
        Err(SnapshotError::Inconsistent(contradiction()))
    }
}

/// Retired ids come in their order, and none that is not assigned any more anyway.
fn restore_retired<T: Clone>(table: &mut Table<T>, id: i64) -> Result<(), SnapshotError> {
    let in_order = table.retired().get_max().is_none_or(|last| *last < id);
    check(in_order && table.retire(id), || {
        format!("{id} is no integer to be left out, or out of order")
    })
}

/// Objects come in the order of their ids, each id once.
fn check_order<T: Clone>(table: &Table<T>, kind: &str, id: &Id) -> Result<(), SnapshotError> {
    check(table.last_id().is_none_or(|last| last < id), || {
        format!("{kind} {id} is out of order")
    })
}

/// A job names its printer and its filament by their own ids, JSON type included.
fn check_reference<T: Clone>(
    table: &Table<T>,
    kind: &str,
    job_id: &Id,
    id: &Id,
) -> Result<(), SnapshotError> {
    let own = table.own_id(id);
    check(
        own.is_some_and(|own| own.is_number() == id.is_number()),
        || format!("print job {job_id} names {kind} {id}, which is not there"),
    )
}

fn over_reserved(filament_id: &Id) -> SnapshotError {
    SnapshotError::Inconsistent(format!(
        "jobs hold more of filament {filament_id} than is left"
    ))
}
