//! The frames of a snapshot, taken apart and put together by the documented layout.

use raft3d::domain::snapshot::{FORMAT_VERSION, MAGIC};
use serde::Serialize;

pub fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("bytes")
}

/// Where the frames of a snapshot lie, heads included.
pub fn frame_places(snapshot: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    let mut place = 12;
    while place < snapshot.len() {
        let head: [u8; 4] = snapshot[place..place + 4].try_into().expect("four bytes");
        let end = place + 8 + u32::from_le_bytes(head) as usize;
        places.push(place..end);
        place = end;
    }
    places
}

/// The payloads of a snapshot's frames.
pub fn frames(snapshot: &[u8]) -> Vec<Vec<u8>> {
    frame_places(snapshot)
        .into_iter()
        .map(|place| snapshot[place.start + 8..place.end].to_vec())
        .collect()
}

/// A snapshot of these payloads, with the checksums as documented.
pub fn sealed(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    let preamble = bytes.clone();
    for (number, payload) in payloads.iter().enumerate() {
        let mut covered = preamble.clone();
        covered.extend((number as u64).to_le_bytes());
        covered.extend((payload.len() as u64).to_le_bytes());
        covered.extend(payload);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(&covered).to_le_bytes());
        bytes.extend(payload);
    }
    bytes
}
