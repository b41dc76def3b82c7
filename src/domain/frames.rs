//! Checked frames: a stream of records in which no cut and no flipped bit goes unnoticed.
//!
//! ```text
//! stream  = magic (8 bytes)  version (u32)  frame*
//! frame   = length (u32)  crc (u32)  payload (length bytes, one or more whole postcard records)
//! ```
//!
//! Integers are little endian. The CRC-32 covers the magic, the version, the number of the frame
//! in the stream (u64, from 0), the length and the payload, so that frames can neither be
//! exchanged nor be moved to a stream of another version. Where the stream ends is told by its
//! records: the reader knows how many to expect.

use std::io::{self, ErrorKind, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A frame is closed once its payload has this many bytes. It exceeds them by less than the
/// last record in it.
const PAYLOAD_FULL: usize = 64 << 10;

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The source failed.
    #[error("reading the snapshot failed: {0}")]
    Io(#[from] io::Error),
    /// The first bytes are not those of a snapshot.
    #[error("not a snapshot: the first 8 bytes are {found:?} instead of {expected:?}")]
    NotASnapshot {
        /// What they are.
        found: [u8; 8],
        /// What they should be.
        expected: [u8; 8],
    },
    /// A format version this build does not know.
    #[error("snapshot format version {found}; this build reads version {newest}")]
    UnknownVersion {
        /// The version found.
        found: u32,
        /// The one known.
        newest: u32,
    },
    /// The snapshot ends too early.
    #[error("the snapshot is cut off in {part}")]
    Truncated {
        /// Where it ends.
        part: String,
    },
    /// Bytes of a frame are not those written.
    #[error("frame {frame} of the snapshot is damaged: its checksum does not match")]
    Damaged {
        /// Number of the frame, from 0.
        frame: u64,
    },
    /// A frame with a good checksum does not hold the records expected.
    #[error("frame {frame} of the snapshot holds no valid {record}: {reason}")]
    Malformed {
        /// Number of the frame, from 0.
        frame: u64,
        /// What was expected.
        record: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// Valid records that cannot stand together.
    #[error("the snapshot contradicts itself: {0}")]
    Inconsistent(String),
    /// Bytes behind the end.
    #[error("the snapshot is followed by bytes that do not belong to it")]
    TrailingBytes,
}

/// Writes records into frames.
pub(super) struct FrameWriter<'a, W: Write> {
    sink: &'a mut W,
    preamble: [u8; 12],
    payload: Vec<u8>,
    frame: u64,
}

impl<'a, W: Write> FrameWriter<'a, W> {
    /// Begins a stream.
    pub(super) fn begin(sink: &'a mut W, magic: [u8; 8], version: u32) -> io::Result<Self> {
        let preamble = preamble(magic, version);
        sink.write_all(&preamble)?;
        Ok(FrameWriter {
            sink,
            preamble,
            payload: Vec::new(),
            frame: 0,
        })
    }

    /// Adds a record.
    pub(super) fn write<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        let payload = std::mem::take(&mut self.payload);
        self.payload = postcard::to_io(record, payload).map_err(io::Error::other)?;
        if self.payload.len() >= PAYLOAD_FULL {
            self.close_frame()?;
        }
        Ok(())
    }

    /// Ends the frame: the next record begins another.
    pub(super) fn close_frame(&mut self) -> io::Result<()> {
        if self.payload.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.payload.len())
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "a record above 4 GiB"))?;
        let crc = checksum(&self.preamble, self.frame, &self.payload);
        self.sink.write_all(&length.to_le_bytes())?;
        self.sink.write_all(&crc.to_le_bytes())?;
        self.sink.write_all(&self.payload)?;
        self.payload.clear();
        self.frame += 1;
        Ok(())
    }
}

/// Reads records out of frames. Memory used is bounded by the bytes that are there, whatever
/// lengths they claim.
pub(super) struct FrameReader<'a, R: Read> {
    source: &'a mut R,
    preamble: [u8; 12],
    payload: Vec<u8>,
    /// Bytes of the payload already read.
    position: usize,
    /// Number of the next frame.
    next_frame: u64,
}

impl<'a, R: Read> FrameReader<'a, R> {
    /// Reads the beginning of a stream; gives its version too.
    pub(super) fn begin(source: &'a mut R, magic: [u8; 8]) -> Result<(Self, u32), SnapshotError> {
        let found: [u8; 8] = read_array(source, || "its magic bytes".to_owned())?;
        if found != magic {
            return Err(SnapshotError::NotASnapshot {
                found,
                expected: magic,
            });
        }
        let version = u32::from_le_bytes(read_array(source, || "its version".to_owned())?);
        let reader = FrameReader {
            source,
            preamble: preamble(magic, version),
            payload: Vec::new(),
            position: 0,
            next_frame: 0,
        };
        Ok((reader, version))
    }

    /// Reads the next record; `record` names it in errors.
    pub(super) fn read<T: DeserializeOwned>(
        &mut self,
        record: &'static str,
    ) -> Result<T, SnapshotError> {
        if self.position >= self.payload.len() {
            self.load_frame()?;
        }
        let unread = self.payload.get(self.position..).unwrap_or_default();
        let (value, rest) = postcard::take_from_bytes(unread)
            .map_err(|error| self.malformed(record, error.to_string()))?;
        self.position = self.payload.len() - rest.len();
        Ok(value)
    }

    /// Checks that the frame ends with the record just read; `record` names those read.
    pub(super) fn expect_frame_end(&self, record: &'static str) -> Result<(), SnapshotError> {
        if self.position < self.payload.len() {
            let extra = self.payload.len() - self.position;
            return Err(self.malformed(record, format!("{extra} bytes behind the last one")));
        }
        Ok(())
    }

    /// Checks that the stream ends here.
    pub(super) fn expect_end(self) -> Result<(), SnapshotError> {
        let mut behind = Vec::new();
        self.source.by_ref().take(1).read_to_end(&mut behind)?;
        if behind.is_empty() {
            Ok(())
        } else {
            Err(SnapshotError::TrailingBytes)
        }
    }

    fn load_frame(&mut self) -> Result<(), SnapshotError> {
        let frame = self.next_frame;
        let head = || format!("the head of frame {frame}");
        let length = u32::from_le_bytes(read_array(self.source, head)?);
        let crc = u32::from_le_bytes(read_array(self.source, head)?);
        self.payload.clear();
        self.position = 0;
        // Grows with what arrives, not with what the length claims.
        let mut limited = self.source.by_ref().take(u64::from(length));
        limited.read_to_end(&mut self.payload)?;
        if self.payload.len() as u64 != u64::from(length) {
            let part = format!(
                "frame {frame}, which has {} of {length} bytes",
                self.payload.len()
            );
            return Err(SnapshotError::Truncated { part });
        }
        if checksum(&self.preamble, frame, &self.payload) != crc {
            return Err(SnapshotError::Damaged { frame });
        }
        self.next_frame += 1;
        Ok(())
    }

    fn malformed(&self, record: &'static str, reason: String) -> SnapshotError {
        SnapshotError::Malformed {
            frame: self.next_frame.saturating_sub(1),
            record,
            reason,
        }
    }
}

fn preamble(magic: [u8; 8], version: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..].copy_from_slice(&version.to_le_bytes());
    bytes
}

fn checksum(preamble: &[u8; 12], frame: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(preamble);
    hasher.update(&frame.to_le_bytes());
    hasher.update(&(payload.len() as u64).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The next `N` bytes; `part` names them should the source end before.
fn read_array<const N: usize>(
    source: &mut impl Read,
    part: impl FnOnce() -> String,
) -> Result<[u8; N], SnapshotError> {
    let mut bytes = [0; N];
    source
        .read_exact(&mut bytes)
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => SnapshotError::Truncated { part: part() },
            _ => SnapshotError::Io(error),
        })?;
    Ok(bytes)
}
