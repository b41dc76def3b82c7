//! A node's view of the cluster, looked up when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::consensus::{Consensus, Member, Role, Status};
use crate::service::FarmService;
use crate::telemetry::{gauge, gauges};

/// What [`Status`] tells.
pub(super) struct RaftView<C> {
    service: FarmService<C>,
}

impl<C> RaftView<C> {
    pub(super) fn new(service: FarmService<C>) -> RaftView<C> {
        RaftView { service }
    }
}

impl<C> fmt::Debug for RaftView<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftView").finish_non_exhaustive()
    }
}

impl<C: Consensus> Collector for RaftView<C> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.service.status();
        let to = &mut encoder;
        own_part(to, &status)?;
        gauge(
            to,
            "raft_proposals_pending",
            "Commands submitted on this node that have no outcome yet.",
            self.service.in_flight(),
        )?;
        indexes(to, &status)?;
        peers(to, &status)
    }
}

fn own_part(to: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    gauge(
        to,
        "node_failed",
        "1 once this node has no part in the cluster any more because its disk failed or its state \
         was impossible; /readyz has the reason.",
        u32::from(status.failure.is_some()),
    )?;
    gauge(
        to,
        "raft_has_leader",
        "1 if this node knows a leader.",
        u32::from(status.leader.is_some()),
    )?;
    gauge(
        to,
        "raft_is_leader",
        "1 if this node leads.",
        u32::from(status.role == Role::Leader),
    )?;
    gauge(to, "raft_term", "The present term.", status.term)?;
    let learners = status.members.iter().filter(|m| m.learner).count();
    gauges(
        to,
        "raft_members",
        "Members of the cluster as this node knows it, by kind.",
        [
            ([("kind", "voter")], status.members.len() - learners),
            ([("kind", "learner")], learners),
        ],
    )
}

fn indexes(to: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    gauge(
        to,
        "raft_last_log_index",
        "Index of the last entry in this node's log.",
        status.last_log_index,
    )?;
    gauge(
        to,
        "raft_commit_index",
        "Highest index that this node knows to be committed.",
        status.committed_index,
    )?;
    gauge(
        to,
        "raft_applied_index",
        "Highest index applied to this node's state.",
        status.applied_index,
    )?;
    gauge(
        to,
        "raft_snapshot_last_index",
        "Last index covered by this node's newest snapshot; 0 without one.",
        status.snapshot_index,
    )?;
    gauge(
        to,
        "raft_log_start_index",
        "First index that is still in this node's log.",
        status.log_start_index,
    )
}

/// What only a leader knows: a follower has no series of these.
fn peers(to: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let others = || status.members.iter().filter(|m| m.id != status.node_id);
    let label = |member: &Member| [("peer", member.id)];
    gauges(
        to,
        "raft_peer_match_index",
        "Leader only: highest index known to be in that member's log.",
        others().filter_map(|m| Some((label(m), m.last_log_index?))),
    )?;
    gauges(
        to,
        "raft_peer_last_contact_seconds",
        "Leader only: time since that member last answered.",
        others().filter_map(|m| Some((label(m), m.last_contact_ms? as f64 / 1e3))),
    )
}
