//! A note beside the log of how far it was durable, so that a log which lost its end is recognised.
//!
//! A log that is cut off at the end of a record looks like one that was never longer. After every
//! sync the position reached is written into the file `durable`, over the one before and without a
//! sync of its own, which costs next to nothing. After a crash of the process the note is exact;
//! after a power failure it may be an older one, never a newer one than the log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::Position;
use super::error::StorageError;
use super::record::{self, Kind};

const BODY_LEN: usize = 16;

/// The open file.
#[derive(Debug)]
pub(crate) struct Mark(File);

impl Mark {
    /// Opens the note at `path` and gives what it says; nothing if it is missing or damaged, or
    /// was torn by a power failure. Then a new one is begun.
    pub(crate) fn open(path: &Path) -> Result<(Mark, Option<Position>), StorageError> {
        let noted = record::read(path, Kind::Durable).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log's end cannot be compared with what was durable");
            None
        });
        let noted = noted.as_deref().and_then(decode);
        if noted.is_none() {
            record::write(path, Kind::Durable, &[0; BODY_LEN])?;
        }
        let file = File::options().write(true).open(path);
        let file = file.map_err(StorageError::io("open", path))?;
        Ok((Mark(file), noted))
    }

    /// Notes that the log is durable up to `position`.
    pub(crate) fn write(&self, position: Position) -> io::Result<()> {
        let mut body = [0; BODY_LEN];
        body[..8].copy_from_slice(&position.epoch.to_le_bytes());
        body[8..].copy_from_slice(&position.index.to_le_bytes());
        self.0
            .write_all_at(&record::encode(Kind::Durable, &body), 0)
    }
}

fn decode(body: &[u8]) -> Option<Position> {
    let (epoch, index) = body.split_at_checked(8)?;
    Some(Position {
        epoch: u64::from_le_bytes(epoch.try_into().ok()?),
        index: u64::from_le_bytes(index.try_into().ok()?),
    })
}
