#include <algorithm>

#include "protocol/raft.hxx"

// Configurations: how they enter the log and what their activation does (behaviour 16.1, 28).

namespace nuraft {
namespace protocol {

ptr<cluster_config> raft::read_config(log_entry& entry) const {
    if (entry.is_buf_null()) return nullptr;
    try {
        return cluster_config::deserialize(entry.get_buf());
    } catch (const std::exception&) {
        return nullptr;  // The decoder reports hostile bytes this way; the caller refuses them.
    }
}

void raft::recover_configs() {
    past_configs_[config_->get_log_idx()] = config_;
    const ptr<cluster_config> then = snapshot_ ? snapshot_->get_last_config() : nullptr;
    if (then) {
        // Newer than the saved one: power failed between the end of a snapshot's reception and the
        // saving of the configuration that came with it, or that one was still waiting (see
        // activate_committed_configs). In a server that is catching up it may also be that of the
        // cluster of one that it was.
        const bool newer = !state_.catching_up && then->get_log_idx() > config_->get_log_idx();
        (newer ? uncommitted_configs_ : past_configs_)[then->get_log_idx()] = then;
        if (newer) config_gap_end_ = then->get_log_idx();
    }
    scan_configs();
    if (state_.catching_up) recognise_foreign_log();
}

bool raft::log_continues_snapshot() const {
    if (!snapshot_) return true;
    const uint64_t last = snapshot_->get_last_log_idx();
    return log_.start_index() > last || log_.term_at(last) == snapshot_->get_last_log_term();
}

void raft::scan_configs() {
    // Power failed between the installation of a snapshot and the removal of the log that it
    // replaces: that is another leader's, and what it holds may never have been committed.
    if (!log_continues_snapshot()) return;
    // A configuration is saved when it becomes active. One behind that, committed or even applied
    // though it is, was still waiting for something (see activate_committed_configs) and has to be
    // asked in elections.
    const uint64_t active = state_.catching_up ? commit_index_ : config_->get_log_idx();
    const uint64_t first =
        std::max(std::min(initial_commit_index_, active) + 1, log_.start_index());
    constexpr uint64_t chunk = 1000;  // Bounds what is held at once.
    for (uint64_t at = first; at <= log_.last_index();) {
        const uint64_t end = std::min(at + chunk, log_.last_index() + 1);
        ptr<std::vector<ptr<log_entry>>> entries = log_.entries(at, end, 0);
        if (!entries || entries->empty()) return;
        for (const ptr<log_entry>& e : *entries) {
            if (e->get_val_type() == log_val_type::conf) {
                if (ptr<cluster_config> config = read_config(*e)) {
                    (at <= active ? past_configs_ : uncommitted_configs_)[at] = config;
                }
            }
            ++at;
        }
    }
}

void raft::recognise_foreign_log() {
    // Joined, and restarted before the first of the cluster's entries came: our log still begins
    // with the configuration of the cluster of one that we were.
    if (uncommitted_configs_.empty()) return;
    const auto& [index, config] = *uncommitted_configs_.begin();
    if (index != commit_index_ + 1 || config->get_servers().size() != 1 ||
        !config->get_server(id())) {
        return;
    }
    // So does the log of the cluster if it was founded by us, left and joined again. What counts of
    // that stands behind our admission, hence behind the configuration that we were invited with.
    // (If it lists us, it is our own still: power failed before that one was saved.)
    auto invited_with = uncommitted_configs_.find(config_->get_log_idx());
    if (!config_->get_server(id()) && invited_with != uncommitted_configs_.end() &&
        same_members(*invited_with->second, *config_)) {
        return;
    }
    foreign_through_ = log_.last_index();
    uncommitted_configs_.clear();
}

ptr<cluster_config> raft::newest_config() const {
    return uncommitted_configs_.empty() ? config_ : uncommitted_configs_.rbegin()->second;
}

bool raft::voters_are_changing() const {
    return std::any_of(uncommitted_configs_.begin(), uncommitted_configs_.end(),
                       [this](const auto& c) { return !same_voters(*c.second, *config_); });
}

std::vector<const cluster_config*> raft::decisive_configs() const {
    // Configurations act at commit, so servers may use different ones, and a candidate's may be
    // several changes old. Why do the majorities of two decisions meet all the same, so that every
    // leader of a later term has what was committed (Raft section 5.4.3)?
    //
    // Let V1, V2, ... be the sets of voters, each one server away from the one before. A leader
    // changes the voters only while no configuration is in progress: a log with V(i) in it shows
    // that V(i-1) was committed. Suppose a leader whose log ends in V(n) commits an entry, and the
    // first leader of a later term to lack it is elected with a log that ends in V(w). V(n-1) was
    // committed before, so w >= n-1; and V(n+1), were it committed, would stand behind the entry,
    // so w <= n+1. Either of the two asks the set before its last one, and its last one if it is
    // smaller, or, with no change in progress, just the last one. What they ask is then equal or
    // adjacent in each of the three cases, and majorities of sets that differ by one server meet.
    //
    // An addition in progress is decided by the old members alone: the new one may not answer yet.
    std::vector<const cluster_config*> asked{config_.get()};
    const cluster_config* before = config_.get();
    for (auto c = uncommitted_configs_.upper_bound(config_->get_log_idx());
         c != uncommitted_configs_.end(); ++c) {
        const cluster_config* next = c->second.get();
        const bool loses = !keeps_voters(*before, *next);
        if (same_voters(*before, *next)) continue;
        if (asked.back() != before) asked.push_back(before);
        if (loses) asked.push_back(next);
        before = next;
    }
    return asked;
}

void raft::append_config(const ptr<cluster_config>& next) {
    const bool over = mutated(mutation::leader_overwrites_own_log) && config_in_progress();
    const uint64_t index = log_.last_index() + (over ? 0 : 1);
    next->set_log_idx(index);
    auto entry = cs_new<log_entry>(state_.term, next->serialize(), log_val_type::conf);
    uncommitted_configs_[index] = next;
    // The program is told of the ends of batches of clients' and followers' entries only.
    write_log(index, {entry}, index, 0);
}

void raft::add_peer(const ptr<srv_config>& server) {
    peer_progress& p = peers_[server->get_id()];
    p.server = server;
    p.id = server->get_id();
    p.heartbeat_ms = settings_.params.heart_beat_interval_;
    p.last_activity = p.last_response = now_;
    p.next = log_.last_index() + 1;
    if (joining_ && joining_->server->get_id() == p.id) {
        p.next = std::min(std::max<uint64_t>(joining_->progress.next, 1), p.next);
        drop_transfer(joining_->progress);
        forget_sends(joining_->progress);
        cancel(timer_kind::retry, -1);
        joining_.reset();
        out_->connections.push_back({connection_change::replace, p.id, server->get_endpoint()});
    } else {
        out_->connections.push_back({connection_change::open, p.id, server->get_endpoint()});
    }
    removed_ids_.erase(p.id);
    if (role_ == srv_role::leader) start_heartbeats(p);
}

void raft::remove_peer(int32_t peer) {
    peer_progress* p = find_peer(peer);
    if (!p) return;
    cancel(timer_kind::heartbeat, peer);
    drop_transfer(*p);
    forget_sends(*p);
    peers_.erase(peer);
    out_->connections.push_back({connection_change::close, peer, std::string()});
}

void raft::match_peers_to_config() {
    for (const ptr<srv_config>& server : config_->get_servers()) {
        if (server->get_id() == id()) continue;
        if (peer_progress* p = find_peer(server->get_id())) {
            p->server = server;
        } else {
            add_peer(server);
        }
    }
    std::vector<int32_t> gone;
    for (const auto& [peer_id, p] : peers_) {
        const bool still_served = role_ == srv_role::leader && peer_id == leaving_;
        if (!config_->get_server(peer_id) && !still_served) gone.push_back(peer_id);
    }
    for (int32_t peer : gone) remove_peer(peer);
}

void raft::leave_catching_up_if_member() {
    if (!state_.catching_up || !is_voter()) return;
    state_.catching_up = false;
    save_state();
    arm_election_timer(true);
}

void raft::on_replace_config(const inputs::replace_config& in) {
    config_gap_end_ = std::max(config_gap_end_, in.config->get_log_idx());
    out_->save_config = in.config;
    apply_config(in.config);
}

void raft::apply_config(const ptr<cluster_config>& next) {
    ptr<cluster_config> before = config_;
    config_ = next;
    if (next->get_log_idx() <= config_gap_end_) {
        former_voters_ = nullptr;
    } else if (!same_voters(*before, *next)) {
        former_voters_ = before;
    }
    broadcast_priorities_.clear();
    for (const ptr<srv_config>& server : before->get_servers()) {
        if (!next->get_server(server->get_id())) removed_ids_.insert(server->get_id());
    }
    ptr<srv_config> me = next->get_server(id());
    if (me) {
        removed_ids_.erase(id());
        my_priority_ = me->get_priority();
        im_learner_ = me->is_learner();
        steps_to_leave_ = 0;
        was_removed_ = false;
        leave_catching_up_if_member();
        if (!before->get_server(id())) {
            notify(notice::joined_cluster);
            out_->notices.back().config = next;
        }
    } else if (!state_.catching_up) {
        learn_of_removal();
    }
    match_peers_to_config();
    if (handover_ && voters() <= 1) handover_.reset();  // Nobody is left to hand over to.
    target_priority_ = std::max(highest_priority(), 1);
    priority_at_floor_since_ = now_;
    notify(notice::config_active, -1, next->get_log_idx());
    out_->notices.back().config = next;
    // A leader that the cluster has removed, or made a learner, led only until that was committed
    // (Raft section 6).
    if (role_ == srv_role::leader && !is_voter()) resign(false);
}

}  // namespace protocol
}  // namespace nuraft
