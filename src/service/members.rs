//! Changing the members and the leader: what the leader checks before it begins, and when a change
//! is done. One change at a time, each of at most one voter.

use tokio::sync::MutexGuard;
use tokio::time::{Instant, sleep};

use super::{FarmService, Provenance, SubmitError};
use crate::consensus::{CAUGHT_UP_GAP, ChangeError, Consensus, Member, RETRY_PAUSE, Role, Status};
use crate::domain::command::Op;
use crate::domain::outcome::Refusal;
use crate::domain::roster::{NodeEntry, NodeRecord};
use crate::identity::DirectoryId;

/// A node that is to become a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// Server id, positive.
    pub id: i32,
    /// `host:port` of its Raft listener.
    pub raft_addr: String,
    /// `host:port` of its HTTP API.
    pub http_addr: String,
    /// Its data directory.
    pub directory: DirectoryId,
    /// The newest version of commands that it reads.
    pub command_version: u8,
}

/// Why the members or the leader were not changed, or not for certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// This node does not lead; nothing was changed.
    #[error("node {0} does not lead")]
    NotLeader(i32),
    /// No member has the id.
    #[error("node {0} is not a member of the cluster")]
    UnknownMember(i32),
    /// Another member has the id or the address.
    #[error("{0}")]
    Taken(String),
    /// Another change is not done yet; nothing was changed.
    #[error("another change of the members is under way")]
    ChangeInProgress,
    /// The id is that of a node which the leader still tells of its removal; nothing was changed.
    #[error("node {0} was removed just now, and the leader has not parted from it yet")]
    StillLeaving(i32),
    /// The change would leave, or be decided by, too few voters that answer; nothing was changed.
    #[error("{0}")]
    WouldLoseQuorum(String),
    /// The member does not answer or is far behind; nothing was changed.
    #[error("{0}")]
    NotCaughtUp(String),
    /// The leader itself cannot be removed.
    #[error("node {0} leads, and a leader cannot be removed")]
    IsLeader(i32),
    /// A learner cannot lead.
    #[error("node {0} is a learner, and a learner cannot lead")]
    IsLearner(i32),
    /// The successor did not take over in time; the old leader goes on.
    #[error("{0}")]
    NotTakenOver(String),
    /// The rules of Raft forbid it; nothing was changed.
    #[error("the members cannot be changed like that")]
    Forbidden,
    /// Begun, and not seen to be done in time.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// What precedes the change could not be written.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// What precedes the change was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl<C: Consensus> FarmService<C> {
    /// Takes in a node that waits for it, as a learner. A member that is the same already is
    /// given as it is. After the removal of a node with the same id it waits until the leader has
    /// parted from that one.
    pub async fn add_member(&self, new: &NewMember) -> Result<Member, MembersError> {
        let _turn = self.turn()?;
        let deadline = self.deadline();
        let status = self.leading_status()?;
        if let Some(member) = self.same_member(&status, new)? {
            return Ok(member);
        }
        // Before the new one is noted: until then the old one is spoken to under that id.
        self.seen(deadline, |_| {
            (!self.0.consensus.is_leaving(new.id)).then_some(())
        })
        .await
        .ok_or(MembersError::StillLeaving(new.id))?;
        let entry = NodeEntry {
            node_id: new.id,
            record: NodeRecord {
                http_addr: new.http_addr.clone(),
                directory: new.directory,
                command_version: new.command_version,
            },
        };
        // First, so that the others know whom they hear when it speaks.
        let admission = self.submit(Op::AdmitNode(entry), Provenance::default());
        admission.await?.result?;
        self.begin(new.id, deadline, || {
            self.0.consensus.add_learner(new.id, &new.raft_addr)
        })
        .await?;
        self.seen(deadline, |status| member(status, new.id).cloned())
            .await
            .ok_or_else(|| unknown(&format!("node {} was invited and has not joined", new.id)))
    }

    /// Removes a member, dead or alive, except the leader.
    pub async fn remove_member(&self, id: i32) -> Result<(), MembersError> {
        let _turn = self.turn()?;
        let deadline = self.deadline();
        let status = self.leading_status()?;
        let leaver = member(&status, id).ok_or(MembersError::UnknownMember(id))?;
        if !leaver.learner {
            let all = self.voters(&status, |_| true);
            let rest = self.voters(&status, |m| m.id != id);
            if rest.total == 0 {
                let text = format!("node {id} is the only voter: without it there is no cluster");
                return Err(MembersError::WouldLoseQuorum(text));
            }
            all.require("to decide it")?;
            rest.require("that would be left")?;
        }
        if id == status.node_id {
            return Err(MembersError::IsLeader(id));
        }
        self.begin(id, deadline, || self.0.consensus.remove_member(id))
            .await?;
        self.seen(deadline, |status| {
            member(status, id).is_none().then_some(())
        })
        .await
        .ok_or_else(|| unknown(&format!("the removal of node {id} has begun")))
    }

    /// Lets a learner that has caught up vote. One that votes already is given as it is.
    pub async fn promote_member(&self, id: i32) -> Result<Member, MembersError> {
        let _turn = self.turn()?;
        let deadline = self.deadline();
        let status = self.leading_status()?;
        let learner = member(&status, id).ok_or(MembersError::UnknownMember(id))?;
        if !learner.learner {
            return Ok(learner.clone());
        }
        self.require_caught_up(&status, learner)?;
        self.voters(&status, |_| true).require("to decide it")?;
        let after = self.voters(&status, |_| true).and_one_that_answers();
        after.require("there would be")?;
        self.begin(id, deadline, || self.0.consensus.make_voter(id))
            .await?;
        let is_voter = |status: &Status| member(status, id).filter(|m| !m.learner).cloned();
        self.seen(deadline, is_voter)
            .await
            .ok_or_else(|| unknown(&format!("the promotion of node {id} has begun")))
    }

    /// Hands the leadership to `heir`, or to whoever is fit, and gives the new leader.
    pub async fn transfer_leadership(&self, heir: Option<i32>) -> Result<i32, MembersError> {
        let _turn = self.turn()?;
        let deadline = self.deadline();
        let status = self.leading_status()?;
        if heir == Some(status.node_id) {
            return Ok(status.node_id);
        }
        let heir = match heir {
            Some(id) => member(&status, id).ok_or(MembersError::UnknownMember(id))?,
            None => self.fittest(&status)?,
        };
        if heir.learner {
            return Err(MembersError::IsLearner(heir.id));
        }
        self.require_caught_up(&status, heir)?;
        self.0.consensus.yield_leadership(Some(heir.id));
        let others = |status: &Status| status.leader.filter(|leader| *leader != status.node_id);
        self.seen(deadline, others).await.ok_or_else(|| {
            MembersError::NotTakenOver(format!("node {} has not taken over in time", heir.id))
        })
    }

    /// Only one change at a time may begin here.
    fn turn(&self) -> Result<MutexGuard<'_, ()>, MembersError> {
        self.0
            .changing
            .try_lock()
            .map_err(|_| MembersError::ChangeInProgress)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.limits.request_timeout
    }

    fn leading_status(&self) -> Result<Status, MembersError> {
        let status = self.status();
        match status.role {
            Role::Leader => Ok(status),
            _ => Err(MembersError::NotLeader(status.node_id)),
        }
    }

    /// The member that `new` is already, if it is one; an error if another has its id or address.
    fn same_member(
        &self,
        status: &Status,
        new: &NewMember,
    ) -> Result<Option<Member>, MembersError> {
        let clash = status
            .members
            .iter()
            .find(|m| m.raft_addr == new.raft_addr && m.id != new.id);
        if let Some(other) = clash {
            let text = format!("node {} has the Raft address {}", other.id, new.raft_addr);
            return Err(MembersError::Taken(text));
        }
        let Some(known) = member(status, new.id) else {
            return Ok(None);
        };
        let state = self.local_state();
        let directory = state.roster().node(new.id).map(|record| record.directory);
        if known.raft_addr == new.raft_addr && directory == Some(new.directory) {
            return Ok(Some(known.clone()));
        }
        Err(MembersError::Taken(format!(
            "there is a member {} already, at {}, with a data directory of its own: use another \
             id, or remove that member first",
            new.id, known.raft_addr
        )))
    }

    /// Begins a change, once the one before it is done: each ends by itself within moments.
    async fn begin(
        &self,
        id: i32,
        deadline: Instant,
        change: impl Fn() -> Result<(), ChangeError>,
    ) -> Result<(), MembersError> {
        let begun = self.seen(deadline, |_| match change() {
            Err(ChangeError::Busy) => None,
            decided => Some(decided),
        });
        let begun = begun.await.unwrap_or(Err(ChangeError::Busy));
        begun.map_err(|error| match error {
            ChangeError::NotLeader => MembersError::NotLeader(self.0.node_id),
            ChangeError::Exists => MembersError::Taken(format!("there is a member {id} already")),
            ChangeError::NotFound => MembersError::UnknownMember(id),
            ChangeError::Busy => MembersError::ChangeInProgress,
            ChangeError::Forbidden => MembersError::Forbidden,
        })
    }

    /// Waits until this node's view of the cluster shows something.
    async fn seen<T>(&self, deadline: Instant, look: impl Fn(&Status) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = look(&self.status()) {
                return Some(found);
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    fn voters(&self, status: &Status, counts: impl Fn(&Member) -> bool) -> Voters {
        let voters = status.members.iter().filter(|m| !m.learner && counts(m));
        Voters {
            total: voters.clone().count(),
            answering: voters.filter(|m| self.answers(status, m)).count(),
        }
    }

    /// Whether the member answered this node, the leader, lately.
    fn answers(&self, status: &Status, member: &Member) -> bool {
        let alive_within = self.0.limits.alive_within.as_millis();
        let contact = member.last_contact_ms.map(u128::from);
        member.id == status.node_id || contact.is_some_and(|ago| ago <= alive_within)
    }

    fn fittest<'a>(&self, status: &'a Status) -> Result<&'a Member, MembersError> {
        let others = status
            .members
            .iter()
            .filter(|m| m.id != status.node_id && !m.learner);
        let alive = others.filter(|m| self.answers(status, m));
        alive.max_by_key(|m| m.last_log_index).ok_or_else(|| {
            let text = "no other voter answers, so that nobody could take over";
            MembersError::NotCaughtUp(text.into())
        })
    }

    fn require_caught_up(&self, status: &Status, member: &Member) -> Result<(), MembersError> {
        let id = member.id;
        if !self.answers(status, member) {
            let text = format!("node {id} has not answered the leader lately");
            return Err(MembersError::NotCaughtUp(text));
        }
        let has = member.last_log_index.unwrap_or(0);
        let gap = status.last_log_index.saturating_sub(has);
        if gap > CAUGHT_UP_GAP {
            return Err(MembersError::NotCaughtUp(format!(
                "node {id} has the log up to index {has} and so lags {gap} entries behind; at most \
                 {CAUGHT_UP_GAP} count as caught up"
            )));
        }
        Ok(())
    }
}

fn member(status: &Status, id: i32) -> Option<&Member> {
    status.members.iter().find(|m| m.id == id)
}

fn unknown(what: &str) -> MembersError {
    MembersError::OutcomeUnknown(format!("{what}, and is not seen to be done in time"))
}

/// Some voters, and how many of them answer.
#[derive(Debug, Clone, Copy)]
struct Voters {
    total: usize,
    answering: usize,
}

impl Voters {
    fn and_one_that_answers(self) -> Voters {
        Voters {
            total: self.total + 1,
            answering: self.answering + 1,
        }
    }

    /// Refuses what these voters could not decide.
    fn require(self, which: &str) -> Result<(), MembersError> {
        let Voters { total, answering } = self;
        let needed = total / 2 + 1;
        if answering >= needed {
            return Ok(());
        }
        Err(MembersError::WouldLoseQuorum(format!(
            "of the {total} voters {which}, {answering} answered lately and {needed} are needed: \
             the cluster would take no more writes"
        )))
    }
}
