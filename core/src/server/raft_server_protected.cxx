#include "peer.hxx"
#include "server/impl.hxx"

// The protected members of the API: for classes derived from `raft_server` (api 32.2).

namespace nuraft {

using namespace protocol;

int32 raft_server::get_num_voting_members() {
    return impl_->inner().voters;
}

int32 raft_server::get_quorum_for_election() {
    return impl_->quorum(false) - 1;
}

int32 raft_server::get_quorum_for_commit() {
    return impl_->quorum(true) - 1;
}

int32 raft_server::get_leadership_expiry() {
    const raft_params p = impl_->params();
    if (p.leadership_expiry_ != 0) return p.leadership_expiry_;
    return p.heart_beat_interval_ * raft_limits_.leadership_limit_;
}

std::list<ptr<peer>> raft_server::get_not_responding_peers(uint64_t expiry) {
    std::list<ptr<peer>> silent;
    if (expiry == 0) {
        expiry = static_cast<uint64_t>(impl_->params().heart_beat_interval_) *
                 static_cast<uint64_t>(raft_limits_.response_limit_);
    }
    for_each_voting_members([&](const ptr<peer>& p, uint64_t since_ms) {
        if (since_ms > expiry) silent.push_back(p);
    });
    return silent;
}

size_t raft_server::get_not_responding_peers_count(uint64_t expiry, uint64_t required_log_idx) {
    size_t count = get_not_responding_peers(expiry).size();
    if (required_log_idx == 0) return count;
    const std::list<ptr<peer>> silent = get_not_responding_peers(expiry);
    for_each_voting_members([&](const ptr<peer>& p, uint64_t) {
        const bool lacks = p->get_matched_idx() != 0 && p->get_matched_idx() < required_log_idx;
        const bool counted = std::find(silent.begin(), silent.end(), p) != silent.end();
        count += lacks && !counted ? 1 : 0;
    });
    return count;
}

size_t raft_server::get_num_stale_peers() {
    return impl_->stale_peers();
}

bool raft_server::is_regular_member(const ptr<peer>& p) {
    return !p->is_learner() && !p->is_new_joiner() && !p->is_stepping_down();
}

void raft_server::for_each_voting_members(
    const std::function<void(const ptr<peer>&, uint64_t)>& callback) {
    for (const auto& [p, since_ms] : impl_->voting_peers()) callback(p, since_ms);
}

bool raft_server::is_excluded_from_quorum(const peer& pp, uint64_t resp_elapsed_ms, uint64_t expiry,
                                          uint64_t required_log_idx, bool include_self_mark_down) {
    return resp_elapsed_ms > expiry ||
           (pp.get_matched_idx() != 0 && pp.get_matched_idx() < required_log_idx) ||
           pp.get_snapshot_sync_ctx() != nullptr ||
           (include_self_mark_down && pp.is_self_mark_down());
}

void raft_server::reconfigure(const ptr<cluster_config>& new_config) {
    if (new_config) impl_->enter(inputs::replace_config{new_config});
}

void raft_server::set_config(const ptr<cluster_config>& new_config) {
    reconfigure(new_config);
}

ptr<snapshot> raft_server::get_last_snapshot() const {
    std::lock_guard<std::mutex> guard(last_snapshot_lock_);
    return last_snapshot_;
}

void raft_server::set_last_snapshot(const ptr<snapshot>& new_snapshot) {
    impl_->enter(inputs::snapshot_created{new_snapshot});
}

global_mgr* raft_server::get_global_mgr() const {
    return impl_->manager_;
}

bool raft_server::check_leadership_validity() {
    const int32 expiry = get_leadership_expiry();
    if (expiry < 0) return true;
    size_t silent = 0;
    for_each_voting_members([&](const ptr<peer>&, uint64_t since_ms) {
        silent += since_ms > static_cast<uint64_t>(expiry) ? 1 : 0;
    });
    return get_num_voting_members() - static_cast<int32>(silent) >= impl_->quorum(true);
}

void raft_server::become_follower() {
    impl_->enter(inputs::yield{true, -1});
}

void raft_server::initiate_vote(bool force_vote) {
    impl_->enter(inputs::campaign{force_vote});
}

void raft_server::request_append_entries() {
    impl_->enter(inputs::replicate{});
}

bool raft_server::request_append_entries(ptr<peer> p) {
    if (role_ != srv_role::leader || !impl_->shown_peer(p->get_id())) return false;
    impl_->enter(inputs::replicate{p->get_id()});
    return true;
}

bool raft_server::commit_in_bg_exec(size_t timeout_ms) {
    const std::shared_ptr<impl> kept = impl_;  // A callback may drop the last server pointer.
    return kept->commit_slice(timeout_ms);
}

void raft_server::append_entries_in_bg_exec() {
    const std::shared_ptr<impl> kept = impl_;
    kept->append_round();
}

}  // namespace nuraft
