#include <algorithm>
#include <limits>
#include <utility>

#include "protocol/append_appendix.hxx"
#include "protocol/raft.hxx"

// Full consensus among healthy members (behaviour 19.1-19.5): while a member is healthy it holds
// every committed entry, and it knows whether it is. It rests on two clocks: a follower takes
// itself for excluded sooner than the leader excludes it.

namespace nuraft {
namespace protocol {

time_ms raft::silence_of(const peer_progress& p, time_ms now) const {
    // A new leader has not asked yet: nobody is silent from before.
    return now - std::max(p.last_response, leader_since_);
}

bool raft::lost_touch(const peer_progress& p) const {
    const raft_params& params = settings_.params;
    const int64_t patience =
        int64_t{params.heart_beat_interval_} * settings_.limits.full_consensus_leader;
    if (silence_of(p, now_) > patience) return true;
    const uint64_t slack = static_cast<uint64_t>(std::max(params.max_append_size_, 0));
    if (commit_index_ <= slack) return false;
    // A match of 0 says only that the connection is new.
    return p.transfer || (p.match != 0 && p.match < commit_index_ - slack);
}

uint64_t raft::healthy_index() const {
    const raft_params& params = settings_.params;
    if (!params.use_full_consensus_among_healthy_members_ ||
        params.custom_commit_quorum_size_ != 0 || quorum_is_adjusted()) {
        return std::numeric_limits<uint64_t>::max();
    }
    // The least of the healthy ones, not a place in a sorted list, in which an excluded member
    // that is far ahead could stand for a healthy one (B24).
    uint64_t least = is_voter() ? own_durable_index() : std::numeric_limits<uint64_t>::max();
    for (const auto& [peer_id, p] : peers_) {
        if (counts(p) && !is_excluded(p)) least = std::min(least, p.match);
    }
    return least;
}

uint64_t raft::append_flags(const peer_progress& p, uint64_t through) const {
    if (!settings_.params.use_full_consensus_among_healthy_members_ || !counts(p)) return 0;
    // A member that this request does not bring up to what is committed is told the same: it must
    // not believe that it holds everything.
    const bool excluded = lost_touch(p) || through < commit_index_;
    return excluded ? req_msg::EXCLUDED_FROM_THE_QUORUM : 0;
}

bool raft::append_comes_after_gap(time_ms now) const {
    if (!settings_.params.use_full_consensus_among_healthy_members_ || role_ == srv_role::leader) {
        return false;
    }
    return now - last_append_ > follower_patience_ms();
}

time_ms raft::follower_patience_ms() const {
    return int64_t{settings_.params.heart_beat_interval_} *
           settings_.limits.full_consensus_follower;
}

void raft::answer_accepted(const waiting_answer& w) {
    // The leader's patience with us began before it sent the request, however long our disk took.
    // But it was not silent meanwhile; it waited for this answer.
    last_accepted_append_ = w.received_at;
    last_append_ = now_;
    const ptr<resp_msg>& resp = w.resp;
    if (self_marked_down_) resp->set_extra_flags(resp_msg::SELF_MARK_DOWN);
    if (settings_.params.track_peers_sm_commit_idx_) {
        append_appendix report;
        report.what = append_appendix::applied_index;
        // What is applied of a log that was given up (behaviour 25.3) is nobody's business.
        report.applied = std::min(applied_index_, commit_index_);
        resp->set_ctx(report.serialize());
    }
    answer_now(w.request, resp);
}

void raft::on_mark_down(const inputs::mark_down& in) {
    if (role_ != srv_role::leader) self_marked_down_ = in.down;
}

bool raft::is_part_of_full_consensus(time_ms now) const {
    if (self_marked_down_ || is_excluded_by_leader() || !initialized_ || stopped_) return false;
    if (role_ != srv_role::leader) return now - last_accepted_append_ <= follower_patience_ms();
    int32_t heard = voters();
    for (const auto& [peer_id, p] : peers_) {
        heard -= counts(p) && silence_of(p, now) > follower_patience_ms() ? 1 : 0;
    }
    return heard >= commit_quorum();
}

}  // namespace protocol
}  // namespace nuraft
