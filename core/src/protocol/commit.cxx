#include <algorithm>
#include <functional>

#include "protocol/raft.hxx"

// The commit rule (Raft sections 5.3, 5.4.2; behaviour 15) and configurations that it activates.

namespace nuraft {
namespace protocol {

uint64_t raft::own_durable_index() const {
    return std::min(durable_index_, log_.last_index());
}

uint64_t raft::quorum_index(bool with_leaving) const {
    std::vector<uint64_t> matched;
    if (is_voter()) matched.push_back(own_durable_index());
    for (const auto& [peer_id, p] : peers_) {
        if (counts(p) || (with_leaving && p.id == leaving_ && is_regular(*p.server))) {
            matched.push_back(p.match);
        }
    }
    const size_t quorum =
        static_cast<size_t>(with_leaving ? quorum_of(static_cast<int32_t>(matched.size()),
                                                     settings_.params.custom_commit_quorum_size_)
                                         : commit_quorum());
    if (matched.size() < quorum) return 0;
    std::sort(matched.begin(), matched.end(), std::greater<uint64_t>());
    return matched[quorum - 1];
}

uint64_t raft::commit_candidate() const {
    const uint64_t without = quorum_index(false);
    if (leaving_ == -1 || commit_index_ >= leaving_index_) return without;
    // Configurations act at commit, so a follower that has not heard of this removal's commit
    // still elects with the leaver. Its removal therefore needs a majority of the old members too;
    // otherwise two removals in a row could be lost to such a follower. In a cluster of two the
    // leader alone is enough once the leaver is known to use the present configuration: then it
    // cannot be elected without us.
    const peer_progress* leaver = find_peer(leaving_);
    const bool pair = voters() == 1 && is_voter();
    if (pair && leaver && leaver->commit_seen >= config_->get_log_idx()) return without;
    return std::min(without, quorum_index(true));
}

void raft::recompute_commit() {
    if (role_ != srv_role::leader) return;  // B41
    const uint64_t candidate = commit_candidate();
    // "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    // log[N].term == currentTerm: set commitIndex = N" (Raft figure 2).
    if (candidate <= commit_index_ || term_of(candidate) != state_.term) return;
    if (peers_.empty() || commit_quorum() == 1) return raise_commit(candidate);

    commit_question q;
    q.current = commit_index_;
    q.expected = candidate;
    q.indexes[id()] = own_durable_index();
    for (const auto& [peer_id, p] : peers_) q.indexes[peer_id] = p.match;
    asked_commit_ = candidate;
    out_->question = std::move(q);
}

void raft::on_commit_answer(const inputs::commit_answer& in) {
    if (role_ != srv_role::leader) return;
    // The program may hold a commit back, not run ahead of the quorum (B20), and what it picks
    // must obey the current-term rule too.
    const uint64_t index = std::min({in.index, asked_commit_, log_.last_index()});
    if (index > commit_index_ && term_of(index) == state_.term) raise_commit(index);
}

void raft::raise_commit(uint64_t index) {
    if (index <= commit_index_) return;
    commit_index_ = index;
    const ptr<cluster_config> before = config_;
    activate_committed_configs();
    out_->commit = commit_index_;
    if (role_ != srv_role::leader) return;
    for (auto& [peer_id, p] : peers_) {
        if (!try_send(p)) p.commit_pending = true;
    }
    // A smaller cluster may need no further answer for what is already in the log.
    if (config_ != before) recompute_commit();
}

void raft::activate_committed_configs() {
    // In order, and each saved before any answer that lets the next one be committed: so no two
    // servers ever use configurations more than one change apart (B36). And only once it is on our
    // own disk: a saved configuration then proves, after a crash, that our log up to it is the
    // committed one.
    const uint64_t through = std::min(commit_index_, durable_index_);
    while (!uncommitted_configs_.empty() && uncommitted_configs_.begin()->first <= through) {
        const uint64_t index = uncommitted_configs_.begin()->first;
        ptr<cluster_config> config = uncommitted_configs_.begin()->second;
        uncommitted_configs_.erase(uncommitted_configs_.begin());
        past_configs_[index] = config;
        if (config->get_log_idx() <= config_->get_log_idx()) continue;  // Replayed after a restart.
        out_->save_config = config;
        apply_config(config);
    }
}

}  // namespace protocol
}  // namespace nuraft
