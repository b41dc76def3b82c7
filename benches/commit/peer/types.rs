//! What openraft's types are made of here.

use std::fmt;

use bytes::Bytes;
use openraft::impls::leader_id_std::LeaderId;
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// One leader a term, as in Raft as published and in our core.
    pub Types:
        D = Command,
        R = Outcome,
        LeaderId = LeaderId<u64, u64>,
);

/// The bytes of a command of the farm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command(pub Bytes);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a command of {} bytes", self.0.len())
    }
}

/// The bytes of its outcome; none for entries that are no command.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome(pub Vec<u8>);

/// Where an entry is.
pub type LogId = openraft::alias::LogIdOf<Types>;
/// An entry.
pub type Entry = openraft::alias::EntryOf<Types>;
/// Term and vote.
pub type Vote = openraft::alias::VoteOf<Types>;
/// The members, and where in the log they are.
pub type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
/// The description of a snapshot.
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
