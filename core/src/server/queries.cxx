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
        info.last_succ_resp_us_ =
            static_cast<ulong>(std::max<time_ms>(0, v.since_last_response)) * 1000;
        infos.push_back(info);
    }
    return infos;
}

bool raft_server::impl::part_of_full_consensus() const {
    const server_status s = view();
    if (self_marked_down_ || !s.initialized || stopping_) return false;
    const time_ms limit = time_ms{ctx_->get_params()->heart_beat_interval_} *
                          raft_server::get_raft_limits().full_consensus_follower_limit_.load();
    if (s.role != srv_role::leader) {
        const time_ms last = last_append_;
        return last >= 0 && now() - last <= limit;
    }
    std::lock_guard<std::recursive_mutex> guard(lock_);
    int32_t heard = 1;
    for (const peer_view& v : raft_->peers(now())) {
        const ptr<srv_config> peer = s.config->get_server(v.id);
        const bool votes = peer && !peer->is_learner() && !peer->is_new_joiner();
        if (votes && v.since_last_response <= limit) ++heard;
    }
    return heard >= raft_->commit_quorum();
}

bool raft_server::impl::set_self_mark_down(bool to) {
    if (view().role == srv_role::leader) return self_marked_down_;
    return self_marked_down_.exchange(to);
}

void raft_server::impl::warn_no_term_function() const {
    SERVER_LOG(log_, log_warning,
               "set_inc_term_func has no effect in this version: terms grow by one");
}

}  // namespace nuraft
