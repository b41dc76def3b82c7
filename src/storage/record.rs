//! Small files that are replaced as a whole and can tell whether they are intact.
//!
//! Layout, little endian: magic `R3D` and one letter for the kind of file, u32 format version,
//! u32 body length, u32 CRC-32 of everything before it and of the body, then the body.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::error::StorageError;

/// Version of the layout above; a reader refuses any other.
const VERSION: u32 = 1;
const HEADER_LEN: usize = 16;

/// The kinds of record files, each with a magic of its own so that one cannot pass for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Which node the directory belongs to, and its own name.
    Identity,
    /// How the node stands to its cluster.
    Standing,
    /// Term, vote and the core's flags.
    State,
    /// The last committed cluster configuration.
    Config,
    /// How far the log was durable.
    Durable,
}

impl Kind {
    fn magic(self) -> [u8; 4] {
        match self {
            Kind::Identity => *b"R3DI",
            Kind::Standing => *b"R3DS",
            Kind::State => *b"R3DV",
            Kind::Config => *b"R3DC",
            Kind::Durable => *b"R3DD",
        }
    }
}

/// Replaces the file at `path` with `body`; durable when it returns `Ok`.
///
/// After an error the file holds the old or the new body, never a mixture.
pub(crate) fn write(path: &Path, kind: Kind, body: &[u8]) -> Result<(), StorageError> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).map_err(StorageError::io("create", &temporary))?;
    file.write_all(&encode(kind, body))
        .map_err(StorageError::io("write", &temporary))?;
    file.sync_all()
        .map_err(StorageError::io("sync", &temporary))?;
    publish(&temporary, path)
}

/// The content of a file that holds `body`.
pub(crate) fn encode(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend_from_slice(&kind.magic());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum(&bytes, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Gives a finished and synced temporary file its real name; durable when it returns `Ok`.
pub(crate) fn publish(temporary: &Path, path: &Path) -> Result<(), StorageError> {
    fs::rename(temporary, path).map_err(StorageError::io("rename", temporary))?;
    match path.parent() {
        Some(dir) => sync_dir(dir),
        None => Ok(()),
    }
}

/// Makes creations, renames and removals in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(StorageError::io("sync", dir))
}

/// The body of the file at `path`, or `None` if there is no such file.
pub(crate) fn read(path: &Path, kind: Kind) -> Result<Option<Vec<u8>>, StorageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StorageError::io("read", path)(e)),
    };
    let Some((header, body)) = bytes.split_at_checked(HEADER_LEN) else {
        return Err(StorageError::damaged(
            path,
            format!("it has only {} bytes", bytes.len()),
        ));
    };
    if header[..4] != kind.magic() {
        return Err(StorageError::damaged(
            path,
            "it does not begin with its kind's magic",
        ));
    }
    let version = le_u32(&header[4..8]);
    if version != VERSION {
        return Err(StorageError::damaged(
            path,
            format!("its format version is {version}, this program knows {VERSION}"),
        ));
    }
    if le_u32(&header[8..12]) as usize != body.len() {
        return Err(StorageError::damaged(
            path,
            "its length field does not fit its size",
        ));
    }
    if le_u32(&header[12..16]) != checksum(&header[..12], body) {
        return Err(StorageError::damaged(
            path,
            "its checksum does not fit its content",
        ));
    }
    Ok(Some(body.to_vec()))
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_every_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert_eq!(read(&path, Kind::State).unwrap(), None);
        write(&path, Kind::State, b"term 7").unwrap();
        write(&path, Kind::State, b"term 8").unwrap();
        assert_eq!(read(&path, Kind::State).unwrap().unwrap(), b"term 8");

        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            let error = read(&path, Kind::State).unwrap_err().to_string();
            assert!(error.contains("state is damaged"), "bit {bit}: {error}");
        }
        for len in 0..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            assert!(read(&path, Kind::State).is_err(), "cut to {len} bytes");
        }
    }

    #[test]
    fn one_kind_does_not_pass_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        write(&path, Kind::Config, b"").unwrap();
        assert!(read(&path, Kind::State).is_err());
    }
}
