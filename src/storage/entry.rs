//! One entry of the log, and its bytes on disk.
//!
//! A record of the log file is written by `raft-log` and guarded by a checksum at its end. That
//! alone is not enough: a flipped bit in a length would make the reader run past the end of the
//! file, which looks like the torn record of a crash and would be cut off, and acknowledged
//! entries with it. So every length below is guarded by a checksum of its own, read before it is
//! believed: then only a record that really ends too early looks torn.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use raft_log::codeq::{Decode, Encode};

/// Largest payload, in bytes; the transport takes no larger message.
const DATA_LEN_MAX: u32 = 1 << 30;
const HEADER_LEN: usize = 30;
const HEADER_VERSION: u8 = 1;
const POSITION_LEN: usize = 21;
/// First byte of a position: neither a valid option tag nor a valid version of another record.
const POSITION_MAGIC: u8 = 0xA7;

/// One entry of the log. Cloning shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Term in which a leader made the entry.
    pub term: u64,
    /// The core's type byte, kept verbatim.
    pub kind: u8,
    /// When the leader made it: microseconds since the Unix epoch.
    pub timestamp_us: u64,
    /// CRC-32 (IEEE) of `data`.
    pub crc: u32,
    /// The payload.
    pub data: Bytes,
}

impl Entry {
    /// An entry whose checksum is computed here.
    pub fn new(term: u64, kind: u8, timestamp_us: u64, data: Bytes) -> Entry {
        let crc = crc32fast::hash(&data);
        Entry {
            term,
            kind,
            timestamp_us,
            crc,
            data,
        }
    }
}

impl Encode for Entry {
    fn encode<W: Write>(&self, mut w: W) -> Result<usize, io::Error> {
        let len = u32::try_from(self.data.len()).ok();
        let len = len.filter(|len| *len <= DATA_LEN_MAX).ok_or_else(|| {
            let len = self.data.len();
            invalid(format!("a payload of {len} bytes is too long for the log"))
        })?;
        let mut header = [0; HEADER_LEN];
        header[0] = HEADER_VERSION;
        header[1] = self.kind;
        header[2..10].copy_from_slice(&self.term.to_le_bytes());
        header[10..18].copy_from_slice(&self.timestamp_us.to_le_bytes());
        header[18..22].copy_from_slice(&self.crc.to_le_bytes());
        header[22..26].copy_from_slice(&len.to_le_bytes());
        let crc = crc32fast::hash(&header[..26]);
        header[26..].copy_from_slice(&crc.to_le_bytes());
        w.write_all(&header)?;
        w.write_all(&self.data)?;
        Ok(header.len() + self.data.len())
    }
}

impl Decode for Entry {
    fn decode<R: Read>(mut r: R) -> Result<Self, io::Error> {
        let mut header = [0; HEADER_LEN];
        r.read_exact(&mut header)?;
        let (fields, crc) = header.split_at(HEADER_LEN - 4);
        check_crc(fields, crc, "header of a log entry")?;
        let mut fields = Fields(fields);
        let version = fields.byte();
        if version != HEADER_VERSION {
            return Err(invalid(format!(
                "a log entry has format version {version}, this program knows {HEADER_VERSION}"
            )));
        }
        let kind = fields.byte();
        let term = fields.u64();
        let timestamp_us = fields.u64();
        let crc = fields.u32();
        let len = fields.u32();
        if len > DATA_LEN_MAX {
            return Err(invalid(format!(
                "a log entry claims {len} bytes of payload"
            )));
        }
        let mut data = vec![0; len as usize];
        r.read_exact(&mut data)?;
        if crc32fast::hash(&data) != crc {
            return Err(invalid(
                "the payload of a log entry does not fit its checksum",
            ));
        }
        Ok(Entry {
            term,
            kind,
            timestamp_us,
            crc,
            data: Bytes::from(data),
        })
    }
}

/// Where an entry stands in the order of writing: what `raft-log` calls a log id.
///
/// `raft-log` compares whole ids, to know what a truncation or a purge covers and which payloads
/// it may drop from memory, and needs ids to grow with every append. Raft's (term, index) does not
/// do for that: after a snapshot from another server the next entry may have a *lower* term than
/// the one that stood before it. An epoch that grows with every reordering does; the term is part
/// of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Grows with every opening, truncation and gap.
    pub epoch: u64,
    /// Index of the entry in the log.
    pub index: u64,
}

impl Encode for Position {
    fn encode<W: Write>(&self, mut w: W) -> Result<usize, io::Error> {
        let mut bytes = [0; POSITION_LEN];
        bytes[0] = POSITION_MAGIC;
        bytes[1..9].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[9..17].copy_from_slice(&self.index.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..17]);
        bytes[17..].copy_from_slice(&crc.to_le_bytes());
        w.write_all(&bytes)?;
        Ok(bytes.len())
    }
}

impl Decode for Position {
    fn decode<R: Read>(mut r: R) -> Result<Self, io::Error> {
        let mut bytes = [0; POSITION_LEN];
        r.read_exact(&mut bytes)?;
        let (fields, crc) = bytes.split_at(POSITION_LEN - 4);
        check_crc(fields, crc, "position of a log entry")?;
        let mut fields = Fields(fields);
        if fields.byte() != POSITION_MAGIC {
            return Err(invalid("a log entry does not begin with a position"));
        }
        Ok(Position {
            epoch: fields.u64(),
            index: fields.u64(),
        })
    }
}

/// Little-endian fields of a byte string that is known to be long enough; beyond its end all
/// bytes read as zero.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

fn check_crc(bytes: &[u8], crc: &[u8], what: &str) -> Result<(), io::Error> {
    if crc32fast::hash(bytes) == Fields(crc).u32() {
        Ok(())
    } else {
        Err(invalid(format!("the {what} does not fit its checksum")))
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded<T: Encode>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert_eq!(value.encode(&mut bytes).unwrap(), bytes.len());
        bytes
    }

    #[test]
    fn entries_and_positions_read_back() {
        let entry = Entry::new(3, 231, 1_700_000_000_000_000, Bytes::from_static(b"hello"));
        assert_eq!(Entry::decode(&encoded(&entry)[..]).unwrap(), entry);
        let position = Position {
            epoch: 4,
            index: u64::MAX,
        };
        assert_eq!(Position::decode(&encoded(&position)[..]).unwrap(), position);
    }

    #[test]
    fn a_flipped_bit_never_looks_like_a_torn_record() {
        let entry = Entry::new(3, 1, 9, Bytes::from_static(b"some payload"));
        let good = encoded(&entry);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = Entry::decode(&bad[..]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "bit {bit}: {error}");
        }
    }

    #[test]
    fn a_cut_record_looks_torn() {
        let good = encoded(&Entry::new(3, 1, 9, Bytes::from_static(b"some payload")));
        for len in 0..good.len() {
            let error = Entry::decode(&good[..len]).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::UnexpectedEof,
                "cut to {len}: {error}"
            );
        }
    }
}
