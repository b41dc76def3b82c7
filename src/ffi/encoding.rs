//! What the core encodes: configurations, descriptions of snapshots, term and vote.

use super::bridge::{self, Member};

/// The encoded configuration of a new cluster of `members`.
pub fn encode_config(members: &[Member]) -> Vec<u8> {
    bridge::encode_config(members)
}

/// The encoded description of a snapshot that begins a cluster of `members`: its last entry is
/// `index`, above 0, of `term`.
pub fn encode_snapshot(index: u64, term: u64, members: &[Member]) -> Vec<u8> {
    bridge::encode_snapshot(index, term, members)
}

/// The encoded term and vote of a server in `term` that has voted for nobody.
pub fn encode_term(term: u64) -> Vec<u8> {
    bridge::encode_term(term)
}

/// The members in an encoded configuration.
pub fn decode_config(bytes: &[u8]) -> Result<Vec<Member>, String> {
    bridge::decode_config(bytes).map_err(|e| e.what().to_owned())
}
