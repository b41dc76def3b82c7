//! A hash of the farm alone: what users put in, whichever cluster holds it.

use serde::Serialize;

use super::farm::Farm;
use super::frames::FrameWriter;
use super::snapshot::{HashSink, write_group};
use super::state::State;

/// Told apart from every other stream of frames.
const MAGIC: [u8; 8] = *b"R3D-FARM";
const VERSION: u32 = 1;

/// What of the farm no object shows: the ids to be assigned next. The counts tell where one kind of
/// object ends.
#[derive(Serialize)]
struct Counters {
    next_printer_id: i64,
    next_filament_id: i64,
    next_job_id: i64,
    printers: u64,
    filaments: u64,
    jobs: u64,
}

impl State {
    /// [`Farm::hash`] of the farm as it is.
    pub fn farm_hash(&self) -> [u8; 32] {
        self.farm().hash()
    }
}

impl Farm {
    /// SHA-256 of the canonical bytes of all printers, filaments and print jobs and of the ids to be
    /// assigned next.
    ///
    /// Unlike [`State::hash`] it says nothing of the log, the cluster and remembered answers: a farm
    /// that was backed up and restored into another cluster has the same, and so has one that was
    /// rebuilt from events.
    pub fn hash(&self) -> [u8; 32] {
        let mut sink = HashSink::default();
        // A hash takes any bytes, so only a record above 4 GiB could fail; it cannot exist.
        let written = self.write_farm(&mut sink);
        debug_assert!(written.is_ok());
        sink.finish()
    }

    fn write_farm(&self, sink: &mut HashSink) -> std::io::Result<()> {
        let counters = Counters {
            next_printer_id: self.printers.next_id(),
            next_filament_id: self.filaments.next_id(),
            next_job_id: self.jobs.next_id(),
            printers: self.printers.len() as u64,
            filaments: self.filaments.len() as u64,
            jobs: self.jobs.len() as u64,
        };
        let mut frames = FrameWriter::begin(sink, MAGIC, VERSION)?;
        write_group(&mut frames, std::iter::once(&counters))?;
        write_group(&mut frames, self.printers.after(None))?;
        write_group(&mut frames, self.filaments.after(None))?;
        write_group(&mut frames, self.jobs.after(None))
    }
}
