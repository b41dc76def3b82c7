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
    use crate::domain::command::{Command, Op};
    use crate::domain::roster::{NodeEntry, NodeRecord};
    use crate::domain::state::State;
    use crate::domain::time::Timestamp;
    use crate::storage::{Entry, SnapshotStore};

    fn cluster(byte: u8) -> Option<ClusterId> {
        ClusterId::from_bytes([byte; identity::LEN])
    }

    fn directory(byte: u8) -> Option<DirectoryId> {
        DirectoryId::from_bytes([byte; identity::LEN])
    }

    /// Node 1 after `ops`, with whatever of a log.
    struct Fixture {
        passports: Passports,
        departure: Arc<Departure>,
        log: Arc<Log>,
        own: DirectoryId,
        _root: tempfile::TempDir,
    }

    fn node_after(ops: &[Op]) -> Fixture {
        let mut state = State::new();
        for op in ops {
            let command = Command {
                stamped_at: Timestamp::EPOCH,
                actor: None,
                idempotency: None,
                op: op.clone(),
            };
            let outcome = state.apply(state.applied_index() + 1, &command);
            assert!(outcome.result.is_ok());
        }
        let root = tempfile::tempdir().unwrap();
        let dir = Arc::new(DataDir::open(root.path(), 1, b"").unwrap());
        let snapshots = SnapshotStore::open(&dir.snapshots_path()).unwrap();
        let machine = Arc::new(Machine::new(1, state, snapshots));
        let (log, departure) = (Arc::new(Log::in_memory()), Arc::default());
        Fixture {
            own: dir.id(),
            passports: Passports::new(1, dir, machine, Arc::clone(&log), Arc::clone(&departure)),
            departure,
            log,
            _root: root,
        }
    }

    /// Node 1 in cluster 1, which knows node 2 with directory 2.
    fn member() -> Fixture {
        let entry = NodeEntry {
            node_id: 2,
            record: NodeRecord {
                http_addr: "127.0.0.1:8082".into(),
                directory: directory(2).unwrap(),
                command_version: 1,
            },
        };
        node_after(&[
            Op::FoundCluster(cluster(1).unwrap()),
            Op::AnnounceNode(entry),
        ])
    }

    impl Fixture {
        /// Whether node 2 is listened to with this.
        fn admits(&self, asks_for_vote: bool, shown: Passport) -> bool {
            self.passports
                .admits(2, asks_for_vote, shown.to_text().as_bytes())
        }
    }

    #[test]
    fn a_member_is_listened_to_and_a_stranger_is_not() {
        let node = member();
        let good = Passport {
            cluster: cluster(1),
            from: directory(2),
            to: Some(node.own),
        };
        let nothing_known = Passport {
            cluster: None,
            to: None,
            ..good
        };
        for asks_for_vote in [false, true] {
            assert!(node.admits(asks_for_vote, good));
            assert!(node.admits(asks_for_vote, nothing_known));
            let strangers = [
                Passport {
                    cluster: cluster(9),
                    ..good
                },
                Passport {
                    from: directory(9),
                    ..good
                },
                Passport { from: None, ..good },
                Passport {
                    to: directory(9),
                    ..good
                },
            ];
            for stranger in strangers {
                assert!(!node.admits(asks_for_vote, stranger), "{stranger:?}");
            }
            assert!(!node.passports.admits(2, asks_for_vote, b""));
        }
        assert!(
            node.departure.is_none(),
            "none of them is this node's fault"
        );
        let issued: Passport = node.passports.issue(2).parse().unwrap();
        let expected = Passport {
            cluster: cluster(1),
            from: Some(node.own),
            to: directory(2),
        };
        assert_eq!(issued, expected);
    }

    #[test]
    fn a_new_node_votes_once_a_leader_has_filled_its_log() {
        let node = node_after(&[]);
        let shown = Passport {
            cluster: cluster(1),
            from: directory(2),
            to: None,
        };
        assert!(!node.admits(true, shown), "it may have forgotten a vote");
        assert!(node.admits(false, shown));
        let nameless = Passport {
            cluster: None,
            ..shown
        };
        assert!(node.admits(true, nameless), "both found a cluster");
        node.log
            .append(&Entry::new(1, 1, 0, bytes::Bytes::from_static(b"entry")));
        assert!(node.admits(true, shown));
    }

    #[test]
    fn a_new_node_that_is_known_with_another_directory_learns_of_it() {
        let node = node_after(&[]);
        let shown = Passport {
            cluster: cluster(1),
            from: directory(2),
            to: directory(9),
        };
        assert!(!node.admits(false, shown));
        assert!(!node.departure.is_none());
    }

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
