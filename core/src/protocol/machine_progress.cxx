#include <algorithm>
#include <limits>

#include "protocol/append_appendix.hxx"
#include "protocol/raft.hxx"

// What depends on how far a state machine is: this server's own, before it stands for election or
// shows itself as leader (behaviour 7.1, 8.3), and the others', before clients get their results
// (behaviour 19.6).

namespace nuraft {
namespace protocol {

void raft::on_applied(const inputs::applied& in) {
    applied_index_ = in.index;
    if (!awaits_own_machine_ || applied_index_ + 1 < index_at_becoming_leader_) return;
    awaits_own_machine_ = false;
    notify(notice::became_leader);
}

void raft::announce_leadership() {
    awaits_own_machine_ = settings_.params.wait_for_sm_catchup_on_becoming_leader_ &&
                          applied_index_ + 1 < index_at_becoming_leader_;
    notify(awaits_own_machine_ ? notice::leader_catching_up : notice::became_leader);
}

bool raft::leaves_election_to_others() {
    // Others may have applied more and serve their clients sooner; they get a head start, once for
    // each leader that was lost. Not once for each term: terms that nobody can win would keep the
    // only one who could from ever standing.
    const int32_t grace_ms = settings_.params.grace_period_of_lagging_state_machine_;
    if (grace_ms <= 0 || applied_index_ >= lag_target_) return false;
    if (grace_.due) grace_ = {state_.term, now_, false};
    return now_ - grace_.since < grace_ms;
}

uint64_t raft::deliverable_index() const {
    constexpr uint64_t no_limit = std::numeric_limits<uint64_t>::max();
    const raft_params& params = settings_.params;
    if (!params.track_peers_sm_commit_idx_) return no_limit;
    if (role_ != srv_role::leader) return 0;
    // This server's own index needs no place in the list: it has a result only when it has applied
    // the entry, so it counts as infinite.
    std::vector<uint64_t> indexes{no_limit};
    for (const auto& [peer_id, p] : peers_) {
        if (counts(p) && !is_excluded(p) && p.applied != 0) indexes.push_back(p.applied);
    }
    std::sort(indexes.begin(), indexes.end(), std::greater<uint64_t>());
    const int32_t custom = params.custom_commit_quorum_size_;
    const bool by_position = custom > 0 && static_cast<size_t>(custom) < indexes.size();
    return by_position ? indexes[static_cast<size_t>(custom) - 1] : indexes.back();
}

void raft::note_applied_of(peer_progress& p, const resp_msg& resp) {
    const bool tracked = settings_.params.track_peers_sm_commit_idx_;
    const uint64_t reported = tracked ? append_appendix::deserialize(resp.get_ctx()).applied : 0;
    if (reported > p.applied) p.ask_again_ms = 0;
    p.applied = reported;
}

bool raft::knows_commit_by_applying(const peer_progress& p) const {
    return settings_.params.track_peers_sm_commit_idx_ && p.applied >= commit_index_;
}

void raft::ask_again_how_far(peer_progress& p) {
    // Until the peer reports the commit index (behaviour 13.2): at once while it gets on, else
    // after 1, 2, 4, ... ms, up to a heartbeat, so that a slow or paused state machine does not
    // keep the network busy.
    const bool behind = p.applied != 0 && p.applied < commit_index_;
    if (!behind || p.busy || p.bytes_in_flight > 0 || p.size_hint < 0) return;
    if (p.ask_again_ms == 0) {
        p.ask_again_ms = 1;
        try_send(p);
        return;
    }
    arm(timer_kind::progress, p.id, p.ask_again_ms);
    p.ask_again_ms = std::min(2 * p.ask_again_ms, settings_.params.heart_beat_interval_);
}

void raft::on_progress_timer(int32_t peer) {
    peer_progress* p = role_ == srv_role::leader ? find_peer(peer) : nullptr;
    if (p && p->applied < commit_index_) try_send(*p);
}

}  // namespace protocol
}  // namespace nuraft
