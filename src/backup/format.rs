//! The bytes of a backup.
//!
//! ```text
//! backup   = magic (8 bytes)  version (u32)  piece*  0 (u32)  manifest  digest (32 bytes)
//! piece    = length (u32, 1 to 65536)  bytes of the state's snapshot (domain/snapshot.rs)
//! manifest = length (u32, to 65536)  postcard record
//! digest   = SHA-256 of everything before it
//! ```
//!
//! Integers are little endian. What is known only at the end stands there, so that a backup is
//! written in one go from a state of any size.

use std::io::{self, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::snapshot::SnapshotError;
use crate::domain::state::State;
use crate::domain::time::Timestamp;
use crate::identity::ClusterId;

/// The first bytes of every backup.
pub const MAGIC: [u8; 8] = *b"R3D-BACK";
/// The version that this build writes and reads.
pub const VERSION: u32 = 1;
const PIECE_LEN_MAX: usize = 64 << 10;
const DIGEST_LEN: usize = 32;

/// SHA-256 of the backup: names it, and is its last bytes.
pub type Digest = [u8; DIGEST_LEN];

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that wrote it.
    pub program: String,
    /// The cluster that it was taken of, if it had a name.
    pub cluster: Option<ClusterId>,
    /// The log index that it reflects.
    pub index: u64,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// [`State::farm_hash`] of the state.
    pub farm_hash: [u8; 32],
    /// How many printers there are.
    pub printers: u64,
    /// How many filaments.
    pub filaments: u64,
    /// How many print jobs.
    pub jobs: u64,
}

impl Manifest {
    fn of(state: &State, taken_at: Timestamp) -> Manifest {
        Manifest {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: state.roster().cluster(),
            index: state.applied_index(),
            taken_at,
            farm_hash: state.farm_hash(),
            printers: state.printer_count() as u64,
            filaments: state.filament_count() as u64,
            jobs: state.job_count() as u64,
        }
    }
}

/// Why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The source failed.
    #[error("reading it failed: {0}")]
    Io(io::Error),
    /// The first bytes are not those of a backup.
    #[error("it is no backup of raft3d: the first 8 bytes are others")]
    NotABackup,
    /// A format that this build does not know.
    #[error(
        "its format version is {found}; this build reads version {VERSION}: use a newer raft3d"
    )]
    UnknownVersion {
        /// The version found.
        found: u32,
    },
    /// It ends too early.
    #[error("it is cut off")]
    Truncated,
    /// Its bytes are not those written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Its state cannot be read.
    #[error("its state cannot be read: {0}")]
    State(SnapshotError),
    /// State and manifest do not belong together.
    #[error("it contradicts itself: its {0} is not what its manifest says")]
    Contradiction(&'static str),
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> BackupError {
        match error.kind() {
            ErrorKind::UnexpectedEof => BackupError::Truncated,
            _ => BackupError::Io(error),
        }
    }
}

impl From<SnapshotError> for BackupError {
    fn from(error: SnapshotError) -> BackupError {
        match error {
            SnapshotError::Io(error) => error.into(),
            error => BackupError::State(error),
        }
    }
}

/// Writes a backup of `state`. Memory used does not grow with the state.
pub fn write(state: &State, taken_at: Timestamp, sink: impl Write) -> io::Result<()> {
    let mut out = Hashed {
        inner: sink,
        hasher: Sha256::new(),
    };
    out.write_all(&MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    let mut pieces = Pieces {
        out: &mut out,
        piece: Vec::with_capacity(PIECE_LEN_MAX),
    };
    state.write_snapshot(&mut pieces)?;
    pieces.flush()?;
    out.write_all(&0_u32.to_le_bytes())?;
    let manifest = postcard::to_stdvec(&Manifest::of(state, taken_at)).map_err(io::Error::other)?;
    write_piece(&mut out, &manifest)?;
    let Hashed { mut inner, hasher } = out;
    inner.write_all(&hasher.finalize())?;
    inner.flush()
}

/// Reads the backup to its end and checks that it is what was written, in bounded memory. What the
/// state says is not looked at.
pub fn check(source: impl Read) -> Result<(Manifest, Digest), BackupError> {
    let mut reader = Reader::begin(source)?;
    io::copy(&mut reader, &mut io::sink())?;
    reader.finish()
}

/// Reads the state back and checks everything; nothing is believed before.
pub fn load(source: impl Read) -> Result<(State, Manifest, Digest), BackupError> {
    let mut reader = Reader::begin(source)?;
    let state = State::read_snapshot(&mut reader)?;
    let (manifest, digest) = reader.finish()?;
    let expected = Manifest::of(&state, manifest.taken_at);
    for (what, holds) in [
        ("index", manifest.index == expected.index),
        ("cluster", manifest.cluster == expected.cluster),
        ("farm hash", manifest.farm_hash == expected.farm_hash),
    ] {
        if !holds {
            return Err(BackupError::Contradiction(what));
        }
    }
    Ok((state, manifest, digest))
}

/// Passes bytes on and hashes them.
struct Hashed<T> {
    inner: T,
    hasher: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.hasher.update(&into[..length]);
        Ok(length)
    }
}

/// Cuts what is written into pieces.
struct Pieces<'a, W> {
    out: &'a mut W,
    piece: Vec<u8>,
}

impl<W: Write> Write for Pieces<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE_LEN_MAX {
            self.flush()?;
        }
        let length = bytes.len().min(PIECE_LEN_MAX - self.piece.len());
        self.piece.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    /// Ends the piece, however short.
    fn flush(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            write_piece(self.out, &self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }
}

fn write_piece(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Reads a backup: first the bytes of its state, which are not to be believed before
/// [`Reader::finish`] has seen the rest.
pub struct Reader<R> {
    source: Hashed<R>,
    left_of_piece: usize,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a backup.
    pub fn begin(source: R) -> Result<Reader<R>, BackupError> {
        let mut source = Hashed {
            inner: source,
            hasher: Sha256::new(),
        };
        if read_array(&mut source)? != MAGIC {
            return Err(BackupError::NotABackup);
        }
        match u32::from_le_bytes(read_array(&mut source)?) {
            VERSION => Ok(Reader {
                source,
                left_of_piece: 0,
                ended: false,
            }),
            found => Err(BackupError::UnknownVersion { found }),
        }
    }

    /// Reads what follows the state: the manifest and the digest, which everything must fit. The
    /// state must have been read to its end.
    pub fn finish(mut self) -> Result<(Manifest, Digest), BackupError> {
        if self.read(&mut [0])? != 0 {
            return Err(BackupError::Damaged("its state is followed by other bytes"));
        }
        let length = read_length(&mut self.source)?;
        let mut manifest = vec![0; length];
        self.source.read_exact(&mut manifest)?;
        let Hashed { mut inner, hasher } = self.source;
        let expected: Digest = hasher.finalize().into();
        if read_array(&mut inner)? != expected {
            return Err(BackupError::Damaged("its bytes do not fit its digest"));
        }
        if inner.read(&mut [0])? != 0 {
            return Err(BackupError::Damaged("it is followed by other bytes"));
        }
        let (manifest, rest) = postcard::take_from_bytes(&manifest)
            .map_err(|_| BackupError::Damaged("its manifest is none"))?;
        match rest {
            [] => Ok((manifest, expected)),
            _ => Err(BackupError::Damaged("its manifest is none")),
        }
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left_of_piece == 0 && !self.ended {
            self.left_of_piece = read_length(&mut self.source)?;
            self.ended = self.left_of_piece == 0;
        }
        let length = into.len().min(self.left_of_piece);
        let read = self.source.read(&mut into[..length])?;
        if read == 0 && length > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left_of_piece -= read;
        Ok(read)
    }
}

fn read_length(source: &mut impl Read) -> io::Result<usize> {
    let length = u32::from_le_bytes(read_array(source)?) as usize;
    if length > PIECE_LEN_MAX {
        let reason = "the length of a piece is damaged";
        return Err(io::Error::new(ErrorKind::InvalidData, reason));
    }
    Ok(length)
}

fn read_array<const N: usize>(source: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}
