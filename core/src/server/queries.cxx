#include "server/impl.hxx"

// What the program can ask.

namespace nuraft {

using namespace protocol;

server_status raft_server::impl::view() const {
    std::lock_guard<std::mutex> guard(status_lock_);
    return status_;
}

std::vector<raft_server::peer_info> raft_server::impl::peer_infos() const {
    std::vector<peer_view> views;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        views = raft_->peers(now());
    }
    std::vector<peer_info> infos;
    for (const peer_view& v : views) {
        peer_info info;
        info.id_ = v.id;
        info.last_log_idx_ = v.last_accepted;
        info.last_sm_committed_idx_ = v.applied;
        info.last_succ_resp_us_ =
            static_cast<ulong>(std::max<time_ms>(0, v.since_last_response)) * 1000;
        infos.push_back(info);
    }
    return infos;
}

raft_params raft_server::impl::params() const {
    raft_params p = *ctx_->get_params();
    if (view().quorum_is_adjusted) {
        p.custom_commit_quorum_size_ = p.custom_election_quorum_size_ = adjusted_quorum_size;
    }
    return p;
}

uint64_t raft_server::impl::expected_commit_index() {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    const commit_question question = raft_->expected_commit();
    if (asking_ || question.expected == question.current) return question.current;
    return std::max(question.current, adjusted(question));
}

bool raft_server::impl::part_of_full_consensus() const {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    return !stopping_ && raft_->is_part_of_full_consensus(now());
}

bool raft_server::impl::set_self_mark_down(bool to) {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    const bool before = raft_->is_marked_down();
    if (!stopping_) step_and_queue(inputs::mark_down{to});
    return before;
}

}  // namespace nuraft
