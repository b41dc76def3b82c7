#include "peer.hxx"
#include "server/impl.hxx"

// What classes derived from `raft_server` see of the server, and may do (api 32.2).

namespace nuraft {

using namespace protocol;

namespace {

template <typename T, typename V>
void show_value(std::atomic<T>& to, V value) {
    // Most values stay as they are in most steps, and looking is cheaper than writing.
    if (to.load(std::memory_order_relaxed) != static_cast<T>(value)) to = static_cast<T>(value);
}

void show_state(srv_state& to, const hard_state& from) {
    if (to.get_term() != from.term) to.set_term(from.term);
    if (to.get_voted_for() != from.voted_for) to.set_voted_for(from.voted_for);
    if (to.is_election_timer_allowed() != from.election_timer_allowed) {
        to.allow_election_timer(from.election_timer_allowed);
    }
    if (to.is_catching_up() != from.catching_up) to.set_catching_up(from.catching_up);
    if (to.is_receiving_snapshot() != from.receiving_snapshot) {
        to.set_receiving_snapshot(from.receiving_snapshot);
    }
}

/// All of a peer that is shown, to see whether anything has changed.
auto face_of(const peer_progress& p, bool leaving) {
    return shown_face(p.next, p.match, p.last_accepted, p.applied, p.size_hint, p.errors,
                      p.heartbeat_ms, p.transfer ? p.transfer->number : 0,
                      p.transfer ? p.transfer->object : 0, p.busy, p.heartbeat_on, p.commit_pending,
                      p.snapshot_needed, p.lost, p.leave_requested, p.marked_down, leaving);
}

void show_transfer(peer& to, const snapshot_transfer* t) {
    const ptr<snapshot_sync_ctx> old = to.get_snapshot_sync_ctx();
    if (!t && !old) return;
    if (!t) return to.set_snapshot_in_sync(nullptr);
    if (!old || old->get_snapshot() != t->meta) to.set_snapshot_in_sync(t->meta);
    to.get_snapshot_sync_ctx()->set_obj_idx(t->object);
}

void show_progress(peer& to, const peer_progress& p, bool leaving) {
    to.set_next_log_idx(p.next);
    to.set_matched_idx(p.match);
    to.set_last_accepted_log_idx(p.last_accepted);
    // The rest seldom changes, and looking is cheaper than writing.
    if (p.applied != to.get_sm_committed_idx()) to.set_sm_committed_idx(p.applied);
    if (p.marked_down != to.is_self_mark_down()) to.set_self_mark_down(p.marked_down);
    if (p.size_hint != to.get_next_batch_size_hint_in_bytes()) {
        to.set_next_batch_size_hint_in_bytes(p.size_hint);
    }
    if (p.busy != to.is_busy()) p.busy ? static_cast<void>(to.make_busy()) : to.set_free();
    if (p.heartbeat_on != to.is_hb_enabled()) to.enable_hb(p.heartbeat_on);
    if (p.heartbeat_ms > 0 && p.heartbeat_ms != to.get_current_hb_interval()) {
        to.set_hb_interval(p.heartbeat_ms);
    }
    if (p.commit_pending) to.set_pending_commit();
    if (!p.commit_pending) to.clear_pending_commit();
    if (p.snapshot_needed != to.is_snapshot_sync_needed()) {
        to.set_snapshot_sync_is_needed(p.snapshot_needed);
    }
    show_transfer(to, p.transfer.get());
    if (p.lost != to.is_lost()) p.lost ? to.set_lost() : to.set_recovered();
    if (p.errors < to.get_rpc_errs()) to.reset_rpc_errs();
    while (to.get_rpc_errs() < p.errors) to.inc_rpc_errs();
    if (p.leave_requested) to.set_leave_flag();
    if (leaving) to.step_down();
}

}  // namespace

void raft_server::impl::show() {
    raft_server& o = *owner_;
    show_value(o.role_, raft_->role());
    show_value(o.leader_, raft_->leader());
    show_value(o.hb_alive_, raft_->leader_alive());
    show_value(o.initialized_, raft_->initialized());
    show_value(o.precommit_index_, raft_->last_log_index());
    show_value(o.leader_commit_index_, raft_->leader_commit_index());
    show_value(o.quick_commit_index_, raft_->commit_index());
    show_value(o.index_at_becoming_leader_, raft_->index_at_becoming_leader());

    show_state(*o.state_, raft_->state());

    const inner_view v = raft_->inspect();
    show_value(o.out_of_log_range_, v.out_of_log_range);
    show_value(o.write_paused_, v.writes_paused);
    show_value(o.waiting_for_sm_catchup_, raft_->awaits_own_machine());
    show_value(o.self_mark_down_, raft_->is_marked_down());
    show_value(o.excluded_from_the_quorum_, raft_->is_excluded_by_leader());
    show_value(o.next_leader_candidate_, v.successor);
    o.my_priority_ = v.my_priority;
    o.target_priority_ = v.target_priority;
    o.votes_responded_ = v.votes_responded;
    o.votes_granted_ = v.votes_granted;
    o.election_completed_ = !v.voting;
    o.im_learner_ = v.learner;
    o.steps_to_down_ = v.steps_to_leave;
    o.srv_to_leave_target_idx_ = v.leaving == -1 ? 0 : v.leaving_index;
    o.conf_to_add_ = v.joining;
    o.config_changing_ = v.uncommitted != nullptr;
    if (o.config_ != raft_->config() || o.uncommitted_config_ != v.uncommitted) {
        std::lock_guard<std::mutex> guard(o.config_lock_);
        o.config_ = raft_->config();
        o.uncommitted_config_ = v.uncommitted;
    }
    if (o.last_snapshot_ != raft_->last_snapshot()) {
        std::lock_guard<std::mutex> guard(o.last_snapshot_lock_);
        o.last_snapshot_ = raft_->last_snapshot();
    }
    show_peers(v);
}

void raft_server::impl::show_peer(shown& s, const peer_progress& p, bool leaving) {
    // A new one where settings changed: the program may be reading the old.
    if (s.settings != p.server) {
        s = shown();
        s.settings = p.server;
        s.view = new_shown_peer(p.server);
    }
    const shown_face face = face_of(p, leaving);
    if (s.face != face) show_progress(*s.view, p, leaving);
    s.face = face;
    if (std::exchange(s.last_response, p.last_response) != p.last_response) {
        s.view->reset_resp_timer();
    }
    if (std::exchange(s.last_activity, p.last_activity) != p.last_activity) {
        s.view->reset_active_timer();
    }
}

void raft_server::impl::show_peers(const inner_view& v) {
    raft_server& o = *owner_;
    auto at = shown_.begin();
    auto drop = [&] {
        o.peers_.erase(at->first);
        at = shown_.erase(at);
    };
    // Both are in the order of ids, and after most steps the same peers are there.
    raft_->each_peer([&](const peer_progress& p) {
        while (at != shown_.end() && at->first < p.id) drop();
        if (at == shown_.end() || at->first != p.id) at = shown_.emplace_hint(at, p.id, shown());
        const peer* before = at->second.view.get();
        show_peer(at->second, p, p.id == v.leaving);
        if (at->second.view.get() != before) o.peers_[p.id] = at->second.view;
        ++at;
    });
    while (at != shown_.end()) drop();

    const peer_progress* joining = raft_->joining_peer();
    if (joining) show_peer(shown_joining_, *joining, false);
    if (!joining && shown_joining_.view) shown_joining_ = shown();
    if (o.srv_to_join_ != shown_joining_.view) o.srv_to_join_ = shown_joining_.view;
    auto leaving = v.leaving == -1 ? shown_.end() : shown_.find(v.leaving);
    o.srv_to_leave_ = leaving == shown_.end() ? nullptr : leaving->second.view;
}

/// Without a factory, hence without a connection.
ptr<peer> raft_server::impl::new_shown_peer(ptr<srv_config> server) const {
    const context nothing(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                          *ctx_->get_params());
    timer_task<int32>::executor no_task;
    ptr<logger> no_logger;
    return cs_new<peer>(server, nothing, no_task, no_logger);
}

ptr<peer> raft_server::impl::shown_peer(int32_t id) const {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    auto found = shown_.find(id);
    if (found != shown_.end()) return found->second.view;
    return shown_joining_.view && shown_joining_.view->get_id() == id ? shown_joining_.view
                                                                      : nullptr;
}

inner_view raft_server::impl::inner() const {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    return raft_->inspect();
}

int32_t raft_server::impl::quorum(bool for_commit) const {
    std::lock_guard<std::recursive_mutex> guard(lock_);
    return for_commit ? raft_->commit_quorum() : raft_->election_quorum();
}

std::vector<std::pair<ptr<peer>, uint64_t>> raft_server::impl::voting_peers() const {
    std::vector<std::pair<ptr<peer>, uint64_t>> found;
    std::lock_guard<std::recursive_mutex> guard(lock_);
    const int32_t leaving = raft_->inspect().leaving;
    const time_ms at = now();
    raft_->each_peer([&](const peer_progress& p) {
        auto s = shown_.find(p.id);
        const bool votes = !p.server->is_learner() && !p.server->is_new_joiner() && p.id != leaving;
        if (!votes || s == shown_.end()) return;
        const time_ms since = std::max<time_ms>(0, at - p.last_response);
        found.emplace_back(s->second.view, static_cast<uint64_t>(since));
    });
    return found;
}

size_t raft_server::impl::stale_peers() const {
    const int32_t gap = std::max(0, ctx_->get_params()->stale_log_gap_);
    size_t stale = 0;
    std::lock_guard<std::recursive_mutex> guard(lock_);
    if (raft_->role() != srv_role::leader) return 0;
    raft_->each_peer([&](const peer_progress& p) {
        stale += p.last_accepted + static_cast<uint64_t>(gap) < raft_->last_log_index() ? 1 : 0;
    });
    return stale;
}

}  // namespace nuraft
