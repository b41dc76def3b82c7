//! Snapshots of the state machine: one file each, checked as a whole.
//!
//! Layout, little endian: magic `R3DS`, u32 format version, u64 last index, u64 last term,
//! u32 length of the metadata, u64 length of the body, u32 CRC-32 of metadata and body, u32
//! CRC-32 of all that; then the metadata (the core's own description, with the cluster
//! configuration) and the body (the encoded state).
//!
//! A snapshot is written to a temporary file, synced, renamed and the directory synced; only then
//! does anybody hear of it. A transfer between nodes sends the file as it is, in pieces.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::error::StorageError;
use super::record::{publish, sync_dir};

/// Size of one piece of a transfer, in bytes.
pub const PIECE_LEN: u64 = 512 << 10;
/// How many of the newest snapshots are kept.
const KEPT: usize = 2;
const MAGIC: [u8; 4] = *b"R3DS";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 44;
const BUFFER_LEN: usize = 64 << 10;

/// Which snapshot: the last log entry it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// Index of that entry.
    pub index: u64,
    /// Its term.
    pub term: u64,
}

impl SnapshotId {
    fn file_name(self) -> String {
        format!("{:020}-{:020}.snap", self.index, self.term)
    }

    fn parse(name: &str) -> Option<SnapshotId> {
        let (index, term) = name.strip_suffix(".snap")?.split_once('-')?;
        Some(SnapshotId {
            index: index.parse().ok()?,
            term: term.parse().ok()?,
        })
    }
}

/// A snapshot read back and found intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which one.
    pub id: SnapshotId,
    /// The core's description of it.
    pub metadata: Vec<u8>,
    /// The encoded state.
    pub body: Vec<u8>,
}

/// A finished snapshot as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Which one.
    pub id: SnapshotId,
    /// Its size.
    pub bytes: u64,
    /// When it was written or received.
    pub written_at: SystemTime,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// The snapshots in one directory. All methods may be called from any thread.
#[derive(Debug)]
pub struct SnapshotStore {
    dir: PathBuf,
    /// Ids of the finished files, ascending; and the metadata of the newest one vouched for.
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    ids: Vec<SnapshotId>,
    newest: Option<(SnapshotId, Vec<u8>)>,
    /// Hashes of files that were asked for; finished files never change.
    hashes: BTreeMap<SnapshotId, [u8; 32]>,
}

impl SnapshotStore {
    /// Opens `dir`, which exists, and removes what an interrupted write left behind.
    pub fn open(dir: &Path) -> Result<SnapshotStore, StorageError> {
        let mut ids = Vec::new();
        let listing = fs::read_dir(dir).map_err(StorageError::io("list", dir))?;
        for item in listing {
            let path = item.map_err(StorageError::io("list", dir))?.path();
            if path.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(&path).map_err(StorageError::io("remove", &path))?;
            } else if let Some(id) = path
                .file_name()
                .and_then(|n| n.to_str())
                .and_then(SnapshotId::parse)
            {
                ids.push(id);
            }
        }
        // Also for what an earlier run renamed and was killed before it was durable: the log may be
        // compacted because of it.
        sync_dir(dir)?;
        ids.sort_unstable();
        Ok(SnapshotStore {
            dir: dir.to_path_buf(),
            index: Mutex::new(Index {
                ids,
                ..Index::default()
            }),
        })
    }

    /// Loads the newest snapshot, for a log that holds the entries `log_first..log_next`, and
    /// gives what `decode` makes of it.
    ///
    /// A file that is damaged, or that `decode` refuses, is passed over only if an older
    /// snapshot, or the empty state, and the log together still hold everything that it covers;
    /// otherwise the damage is the error. `None` means that the log begins with the first entry
    /// ever and needs no snapshot.
    pub fn load<T>(
        &self,
        log_first: u64,
        log_next: u64,
        decode: impl Fn(&Snapshot) -> Result<T, String>,
    ) -> Result<Option<(SnapshotId, T)>, StorageError> {
        let ids = self.lock().ids.clone();
        let mut damage: Option<(u64, StorageError)> = None;
        let covers = |damage: &Option<(u64, StorageError)>| {
            damage.as_ref().is_none_or(|(index, _)| *index < log_next)
        };
        for id in ids
            .into_iter()
            .rev()
            .take_while(|id| id.index.saturating_add(1) >= log_first)
        {
            match read_file(&self.path(id), id, &decode) {
                Ok((snapshot, decoded)) if covers(&damage) => {
                    warn_of(damage, id.index);
                    let mut index = self.lock();
                    index.ids.retain(|other| *other <= id);
                    index.newest = Some((id, snapshot.metadata));
                    return Ok(Some((id, decoded)));
                }
                Ok(_) => break,
                Err(error) => {
                    damage.get_or_insert((id.index, error));
                }
            }
        }
        let complete = log_first == 1 && covers(&damage);
        match damage {
            Some((_, error)) if !complete => Err(error),
            None if !complete => Err(StorageError::Missing {
                path: self.dir.join("*.snap"),
                lost: "the entries before the first of the log are gone",
            }),
            damage => {
                warn_of(damage, 0);
                self.lock().ids.clear();
                Ok(None)
            }
        }
    }

    /// Id and metadata of the newest snapshot written, received or loaded.
    pub fn newest(&self) -> Option<(SnapshotId, Vec<u8>)> {
        self.lock().newest.clone()
    }

    /// Of the entries up to `upto`, which are to leave the log, those that may: up to the index returned.
    ///
    /// What is behind the older of two snapshots stays, so that the log makes up for a newer one that is
    /// damaged. Not so if the log is to begin behind the newest, because that was received in its place.
    pub fn dispensable(&self, upto: u64) -> u64 {
        match self.lock().ids.as_slice() {
            [.., older, newest] if upto < newest.index => upto.min(older.index),
            _ => upto,
        }
    }

    /// The finished snapshots, by index. Reads those whole that are looked at for the first time.
    pub fn files(&self) -> Result<Vec<SnapshotFile>, StorageError> {
        let ids = self.lock().ids.clone();
        let files = ids.into_iter().map(|id| self.open_file(id));
        let files = files.filter_map(|opened| Some(opened.transpose()?.map(|(file, _)| file)));
        files.collect()
    }

    /// The finished snapshot of `index`, opened for reading; it stays readable even if it is
    /// removed meanwhile. `None` if there is none.
    pub fn open_index(&self, index: u64) -> Result<Option<(SnapshotFile, File)>, StorageError> {
        let ids = self.lock().ids.clone();
        match ids.into_iter().rev().find(|id| id.index == index) {
            Some(id) => self.open_file(id),
            None => Ok(None),
        }
    }

    /// `None` if it has been removed meanwhile.
    fn open_file(&self, id: SnapshotId) -> Result<Option<(SnapshotFile, File)>, StorageError> {
        let path = self.path(id);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StorageError::io("open", &path))?,
        };
        let known = self.lock().hashes.get(&id).copied();
        let sha256 = match known {
            Some(hash) => hash,
            None => hash_file(&mut file).map_err(StorageError::io("read", &path))?,
        };
        self.lock().hashes.insert(id, sha256);
        let about = file.metadata().map_err(StorageError::io("read", &path))?;
        let written_at = about.modified().map_err(StorageError::io("read", &path))?;
        let bytes = about.len();
        let described = SnapshotFile {
            id,
            bytes,
            written_at,
            sha256,
        };
        Ok(Some((described, file)))
    }

    /// Writes a snapshot whose body is produced by `write_body`; durable when it returns `Ok`.
    /// Older ones beyond the newest two are removed.
    pub fn write(
        &self,
        id: SnapshotId,
        metadata: &[u8],
        write_body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StorageError> {
        let temporary = self.dir.join(format!("{}.writing.tmp", id.file_name()));
        let file = File::create(&temporary).map_err(StorageError::io("create", &temporary))?;
        let written = write_file(file, id, metadata, write_body);
        written.map_err(StorageError::io("write", &temporary))?;
        self.adopt(&temporary, id, metadata.to_vec())
    }

    /// Opens a finished snapshot for sending. It stays readable even if it is removed meanwhile.
    pub fn open_pieces(&self, id: SnapshotId) -> Result<PieceReader, StorageError> {
        let path = self.path(id);
        let file = File::open(&path).map_err(StorageError::io("open", &path))?;
        let len = file
            .metadata()
            .map_err(StorageError::io("read", &path))?
            .len();
        Ok(PieceReader { file, len })
    }

    /// Begins receiving a snapshot, in place of any other reception of the same one.
    pub fn receive(&self, id: SnapshotId) -> Result<PieceWriter, StorageError> {
        let path = self.dir.join(format!("{}.receiving.tmp", id.file_name()));
        let file = File::create(&path).map_err(StorageError::io("create", &path))?;
        Ok(PieceWriter {
            id,
            path,
            file,
            next_piece: 0,
        })
    }

    /// Checks a completely received snapshot, `decode` included, and makes it the newest; durable
    /// when it returns what `decode` made of it. After an error nothing has changed.
    pub fn install<T>(
        &self,
        received: PieceWriter,
        decode: impl FnOnce(&Snapshot) -> Result<T, String>,
    ) -> Result<T, StorageError> {
        let PieceWriter { id, path, file, .. } = received;
        file.sync_all().map_err(StorageError::io("sync", &path))?;
        let (snapshot, decoded) = read_file(&path, id, decode)?;
        self.adopt(&path, id, snapshot.metadata)?;
        Ok(decoded)
    }

    fn adopt(
        &self,
        temporary: &Path,
        id: SnapshotId,
        metadata: Vec<u8>,
    ) -> Result<(), StorageError> {
        publish(temporary, &self.path(id))?;
        let mut index = self.lock();
        index.hashes.remove(&id);
        if !index.ids.contains(&id) {
            index.ids.push(id);
            index.ids.sort_unstable();
        }
        if index.newest.as_ref().is_none_or(|(newest, _)| *newest < id) {
            index.newest = Some((id, metadata));
        }
        while index.ids.len() > KEPT {
            let oldest = index.ids.remove(0);
            index.hashes.remove(&oldest);
            let path = self.path(oldest);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove an old snapshot");
            }
        }
        Ok(())
    }

    fn path(&self, id: SnapshotId) -> PathBuf {
        self.dir.join(id.file_name())
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of(damage: Option<(u64, StorageError)>, used: u64) {
    if let Some((index, error)) = damage {
        tracing::warn!(%error, index, used, "snapshot passed over: the log still covers it");
    }
}

/// SHA-256 of the whole file, which is at its beginning before and after.
fn hash_file(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(hasher.finalize().into())
}

/// A snapshot file being sent.
#[derive(Debug)]
pub struct PieceReader {
    file: File,
    len: u64,
}

impl PieceReader {
    /// Piece number `piece`, counted from 0, and whether it is the last.
    pub fn read(&self, piece: u64) -> io::Result<(Vec<u8>, bool)> {
        let start = piece
            .checked_mul(PIECE_LEN)
            .filter(|start| *start < self.len);
        let Some(start) = start else {
            let reason = format!("there is no piece {piece} in a file of {} bytes", self.len);
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        };
        let end = self.len.min(start + PIECE_LEN);
        let mut bytes = vec![0; (end - start) as usize];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok((bytes, end == self.len))
    }
}

/// A snapshot file being received. Dropping it leaves a temporary file that the next reception
/// or the next start removes.
#[derive(Debug)]
pub struct PieceWriter {
    id: SnapshotId,
    path: PathBuf,
    file: File,
    next_piece: u64,
}

impl PieceWriter {
    /// Which snapshot this is.
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// The piece wanted next, counted from 0.
    pub fn next_piece(&self) -> u64 {
        self.next_piece
    }

    /// Adds the piece wanted next.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let written = self.file.write_all(bytes);
        written.map_err(StorageError::io("write", &self.path))?;
        self.next_piece += 1;
        Ok(())
    }
}

struct Header {
    id: SnapshotId,
    metadata_len: u32,
    body_len: u64,
    content_crc: u32,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.id.index.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.term.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.metadata_len.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.content_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Header, String> {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..4] != MAGIC {
            return Err("it does not begin with the magic of a snapshot".into());
        }
        if u32_at(40) != crc32fast::hash(&bytes[..40]) {
            return Err("its header does not fit its checksum".into());
        }
        if u32_at(4) != VERSION {
            let version = u32_at(4);
            return Err(format!(
                "its format version is {version}, this program knows {VERSION}"
            ));
        }
        Ok(Header {
            id: SnapshotId {
                index: u64_at(8),
                term: u64_at(16),
            },
            metadata_len: u32_at(24),
            body_len: u64_at(28),
            content_crc: u32_at(36),
        })
    }
}

fn write_file(
    mut file: File,
    id: SnapshotId,
    metadata: &[u8],
    write_body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    file.write_all(&[0; HEADER_LEN])?;
    let mut out = Checksummed {
        out: io::BufWriter::with_capacity(BUFFER_LEN, &mut file),
        hasher: crc32fast::Hasher::new(),
        len: 0,
    };
    out.write_all(metadata)?;
    let metadata_len = out.len;
    write_body(&mut out)?;
    out.flush()?;
    let header = Header {
        id,
        metadata_len: u32::try_from(metadata_len).map_err(io::Error::other)?,
        body_len: out.len - metadata_len,
        content_crc: out.hasher.clone().finalize(),
    };
    drop(out);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header.encode())?;
    file.sync_all()
}

/// Counts and checksums what passes through.
struct Checksummed<W> {
    out: W,
    hasher: crc32fast::Hasher,
    len: u64,
}

impl<W: Write> Write for Checksummed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads the file back and checks all of it; it must be the snapshot `id`.
fn read_file<T>(
    path: &Path,
    id: SnapshotId,
    decode: impl FnOnce(&Snapshot) -> Result<T, String>,
) -> Result<(Snapshot, T), StorageError> {
    let damaged = |reason: String| StorageError::damaged(path, reason);
    let mut file = File::open(path).map_err(StorageError::io("open", path))?;
    let len = file
        .metadata()
        .map_err(StorageError::io("read", path))?
        .len();
    let mut header = [0; HEADER_LEN];
    if len < HEADER_LEN as u64 {
        return Err(damaged(format!("it has only {len} bytes")));
    }
    file.read_exact(&mut header)
        .map_err(StorageError::io("read", path))?;
    let header = Header::decode(&header).map_err(damaged)?;
    let expected = header
        .body_len
        .checked_add(HEADER_LEN as u64 + u64::from(header.metadata_len));
    if expected != Some(len) {
        return Err(damaged(format!(
            "its header does not fit its size of {len} bytes"
        )));
    }
    if header.id != id {
        return Err(damaged(format!(
            "it holds snapshot {}",
            header.id.file_name()
        )));
    }
    let mut metadata = vec![0; header.metadata_len as usize];
    let mut body = vec![0; header.body_len as usize];
    file.read_exact(&mut metadata)
        .map_err(StorageError::io("read", path))?;
    file.read_exact(&mut body)
        .map_err(StorageError::io("read", path))?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&metadata);
    hasher.update(&body);
    if hasher.finalize() != header.content_crc {
        return Err(damaged("its content does not fit its checksum".into()));
    }
    let snapshot = Snapshot { id, metadata, body };
    let decoded = decode(&snapshot).map_err(damaged)?;
    Ok((snapshot, decoded))
}
