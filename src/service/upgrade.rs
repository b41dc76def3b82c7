//! Commands of a new version are proposed only once every member can read them.

use super::SubmitError;
use crate::consensus::Status;
use crate::domain::roster::Roster;

/// Refuses a command of version `needed` while a member is known to run a program that cannot read
/// it.
///
/// A member that has announced nothing yet does not count: it has never run, or does so within a
/// moment, and one whose program is too old stops by itself before it applies anything wrong.
pub(super) fn require_finished(
    needed: u8,
    status: &Status,
    roster: &Roster,
) -> Result<(), SubmitError> {
    let reads = |id| match id == status.node_id {
        true => Some(status.command_version),
        false => roster.node(id).map(|record| record.command_version),
    };
    let members = status.members.iter().map(|member| member.id);
    let lags = members.filter_map(|id| Some((id, reads(id).filter(|reads| *reads < needed)?)));
    let lags: Vec<_> = lags
        .map(|(id, reads)| format!("node {id} reads commands up to version {reads}"))
        .collect();
    if lags.is_empty() {
        return Ok(());
    }
    Err(SubmitError::UpgradeNotFinished(format!(
        "{}, and this takes version {needed}",
        lags.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{Member, Role};
    use crate::domain::command::{Command, Op};
    use crate::domain::roster::{NodeEntry, NodeRecord};
    use crate::domain::state::State;
    use crate::domain::time::Timestamp;
    use crate::identity::DirectoryId;
    use crate::storage::Stage;

    fn directory() -> DirectoryId {
        DirectoryId::from_bytes([1; 16]).unwrap()
    }

    /// The view of node 1, which reads version 2, of three members.
    fn status() -> Status {
        let member = |id| Member {
            id,
            raft_addr: String::new(),
            learner: id == 3,
            last_log_index: None,
            last_contact_ms: None,
            http_addr: None,
        };
        Status {
            node_id: 1,
            cluster_id: None,
            directory_id: directory(),
            raft_addr: String::new(),
            command_version: 2,
            stage: Stage::Member,
            leader: Some(1),
            role: Role::Leader,
            term: 1,
            last_log_index: 1,
            committed_index: 1,
            applied_index: 1,
            snapshot_index: 0,
            log_start_index: 1,
            members: (1..=3).map(member).collect(),
            failure: None,
        }
    }

    fn announced(versions: &[(i32, u8)]) -> State {
        let mut state = State::new();
        for (&(node_id, command_version), index) in versions.iter().zip(1..) {
            let record = NodeRecord {
                http_addr: String::new(),
                directory: directory(),
                command_version,
            };
            let command = Command {
                stamped_at: Timestamp::EPOCH,
                actor: None,
                idempotency: None,
                op: Op::AnnounceNode(NodeEntry { node_id, record }),
            };
            assert!(state.apply(index, &command).result.is_ok());
        }
        state
    }

    fn refusal(needed: u8, versions: &[(i32, u8)]) -> String {
        let result = require_finished(needed, &status(), announced(versions).roster());
        result.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn every_member_that_lags_is_named() {
        let text = refusal(2, &[(1, 2), (2, 1), (3, 1)]);
        for part in ["node 2 reads", "node 3 reads", "takes version 2"] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        assert!(!text.contains("node 1"), "{text}");
        assert_eq!(refusal(1, &[(2, 1), (3, 1)]), "");
        assert_eq!(refusal(2, &[(1, 2), (2, 2), (3, 2)]), "");
    }

    #[test]
    fn a_node_knows_itself_better_than_the_others_do() {
        assert_eq!(refusal(2, &[(1, 1)]), "");
        assert!(refusal(3, &[(1, 3)]).contains("node 1 reads commands up to version 2"));
    }

    #[test]
    fn strangers_and_members_that_never_ran_do_not_count() {
        assert_eq!(refusal(2, &[(4, 1)]), "");
    }
}
