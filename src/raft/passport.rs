//! What a node shows with every Raft message, so that no stranger takes part.
//!
//! Each message carries the sender's cluster and data directory, and the data directory that the
//! sender knows of the receiver. A node that comes from another cluster, or without the data
//! directory that it acknowledged and voted with, is not listened to. Nothing here is secret: it
//! guards against mistakes, not against attacks.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::departure::{Departure, Parting};
use super::machine::Machine;
use crate::identity::{self, ClusterId, DirectoryId};
use crate::storage::{DataDir, Log};

/// First character of a passport: the version of its form.
const VERSION: char = '1';
const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// Length of the text form of one identity.
const TEXT_LEN: usize = 2 * identity::LEN;

/// Issues this node's passports and checks those of others.
pub struct Passports {
    node_id: i32,
    dir: Arc<DataDir>,
    machine: Arc<Machine>,
    log: Arc<Log>,
    departure: Arc<Departure>,
    /// Why each node was last turned away, so that the log says so once.
    turned_away: Mutex<BTreeMap<i32, Reason>>,
}

/// What a message carries; nothing stands for what the sender does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passport {
    cluster: Option<ClusterId>,
    from: Option<DirectoryId>,
    to: Option<DirectoryId>,
}

/// Why a message is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("its messages carry no passport")]
    NoPassport,
    #[error("it is of cluster {0}, not of this one")]
    OtherCluster(ClusterId),
    #[error(
        "it comes with another data directory than the one known of it, and so no longer knows what \
         it acknowledged and how it voted: remove it from the cluster and let it join again"
    )]
    ForgetfulSender,
    #[error("its message is for a node with another data directory than this one's")]
    MeantForAnother,
    #[error(
        "it asks for a vote before this node, which starts for the first time, has heard from a \
         leader"
    )]
    TooEarlyToVote,
}

impl Passports {
    /// Passports of the node that has `dir`.
    pub fn new(
        node_id: i32,
        dir: Arc<DataDir>,
        machine: Arc<Machine>,
        log: Arc<Log>,
        departure: Arc<Departure>,
    ) -> Passports {
        Passports {
            node_id,
            dir,
            machine,
            log,
            departure,
            turned_away: Mutex::default(),
        }
    }

    /// What a message to node `to` carries.
    pub fn issue(&self, to: i32) -> String {
        let roster = self.machine.roster();
        Passport {
            cluster: self.dir.standing().cluster.or(roster.cluster()),
            from: Some(self.dir.id()),
            to: roster.node(to).map(|record| record.directory),
        }
        .to_text()
    }

    /// Whether a message from node `from`, perhaps one that asks for a vote, is listened to.
    pub fn admits(&self, from: i32, asks_for_vote: bool, shown: &[u8]) -> bool {
        let refused = self.check(from, asks_for_vote, shown).err();
        let mut turned_away = self
            .turned_away
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = match refused {
            Some(reason) => turned_away.insert(from, reason),
            None => turned_away.remove(&from),
        };
        drop(turned_away);
        match refused {
            Some(reason) if before != refused => {
                tracing::warn!(node = from, %reason, "a node is not listened to");
            }
            _ => {}
        }
        refused.is_none()
    }

    fn check(&self, from: i32, asks_for_vote: bool, shown: &[u8]) -> Result<(), Reason> {
        let shown: Passport = std::str::from_utf8(shown)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(Reason::NoPassport)?;
        let roster = self.machine.roster();
        let cluster = self.dir.standing().cluster.or(roster.cluster());
        if let (Some(ours), Some(theirs)) = (cluster, shown.cluster)
            && ours != theirs
        {
            return Err(Reason::OtherCluster(theirs));
        }
        if shown.to.is_some_and(|meant| meant != self.dir.id()) {
            if cluster.is_none() && shown.cluster.is_some() {
                self.departure.announce(Parting::Stranger(format!(
                    "node {} is a member of the cluster with another data directory; with this \
                     one, which is new, it no longer knows what it acknowledged and how it voted. \
                     Start it with its own directory, or remove it from the cluster (raft3d \
                     cluster remove {}) and let it join again (raft3d serve --join)",
                    self.node_id, self.node_id
                )));
            }
            return Err(Reason::MeantForAnother);
        }
        let known = roster.node(from).map(|record| record.directory);
        if known.is_some() && known != shown.from {
            return Err(Reason::ForgetfulSender);
        }
        // A node with nothing in its log may be one that has lost everything. Until a leader has
        // told it what there is, its vote could elect one that lacks what it once acknowledged.
        let blank = cluster.is_none() && self.log.next_index() == 1;
        if asks_for_vote && blank && shown.cluster.is_some() {
            return Err(Reason::TooEarlyToVote);
        }
        Ok(())
    }
}

impl Passport {
    fn to_text(self) -> String {
        let mut text = String::with_capacity(1 + 3 * TEXT_LEN);
        text.push(VERSION);
        let parts = [
            ClusterId::bytes_of(self.cluster),
            DirectoryId::bytes_of(self.from),
            DirectoryId::bytes_of(self.to),
        ];
        for byte in parts.iter().flatten() {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        text
    }
}

impl FromStr for Passport {
    type Err = ();

    fn from_str(text: &str) -> Result<Passport, ()> {
        let digits = text.strip_prefix(VERSION).ok_or(())?;
        let (cluster, rest) = digits.split_at_checked(TEXT_LEN).ok_or(())?;
        let (from, to) = rest.split_at_checked(TEXT_LEN).ok_or(())?;
        Ok(Passport {
            cluster: part(cluster)?,
            from: part(from)?,
            to: part(to)?,
        })
    }
}

/// One identity of a passport; all zeros for none.
fn part<T: FromStr>(digits: &str) -> Result<Option<T>, ()> {
    if digits.len() == TEXT_LEN && digits.bytes().all(|digit| digit == b'0') {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passport_reads_back() {
        let passport = Passport {
            cluster: ClusterId::from_bytes([1; identity::LEN]),
            from: DirectoryId::from_bytes([0xab; identity::LEN]),
            to: None,
        };
        let text = passport.to_text();
        assert_eq!(text.len(), 1 + 3 * TEXT_LEN);
        assert_eq!(text.parse(), Ok(passport));
    }

    #[test]
    fn anything_else_is_no_passport() {
        let whole = "1".to_owned() + &"0".repeat(3 * TEXT_LEN);
        assert!(whole.parse::<Passport>().is_ok());
        let (end, none) = (whole.len() - 1, "");
        for text in [
            none,
            "1",
            &whole[..end],
            &format!("{whole}0"),
            &whole.replace('1', "2"),
            &format!("{}g", &whole[..end]),
        ] {
            assert_eq!(text.parse::<Passport>(), Err(()), "`{text}`");
        }
    }
}
