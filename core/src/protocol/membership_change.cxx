#include <algorithm>

#include "buffer_serializer.hxx"
#include "protocol/raft.hxx"

// The leader's side of membership and attribute changes (Raft section 6, dissertation 4;
// behaviour 25-27). One membership change at a time: each is refused while a configuration is
// uncommitted, and a new leader's own first entry is one.

namespace nuraft {
namespace protocol {

namespace {
/// After how many refused packs a join has failed (B32).
constexpr int32_t refused_packs_limit = 3;
}  // namespace

void raft::answer_admin(uint64_t number, cmd_result_code code, bool accepted) {
    answer a;
    a.number = number;
    a.code = code;
    a.accepted = accepted;
    a.term = state_.term;
    a.last_index = log_.last_index();
    out_->answers.push_back(a);
}

// Adding a server: invite it, bring it up to date, then admit it by a configuration entry.

bool raft::joining_is_inactive() const {
    if (!joining_) return true;
    const int64_t silence =
        int64_t{settings_.params.heart_beat_interval_} * settings_.limits.response;
    const peer_progress& p = joining_->progress;
    return p.transfer ? now_ - p.transfer->progress_at > transfer_timeout_ms()
                      : now_ - p.last_activity > silence;
}

void raft::on_add_server(const inputs::add_server& in) {
    auto refuse = [&](cmd_result_code code) { answer_admin(in.number, code, false); };
    if (!in.server || in.server->get_id() <= 0) return refuse(cmd_result_code::BAD_REQUEST);
    if (role_ != srv_role::leader || handover_) return refuse(cmd_result_code::NOT_LEADER);
    check_leaving();
    const int32_t wanted = in.server->get_id();
    if (wanted == id() || find_peer(wanted)) {
        return refuse(cmd_result_code::SERVER_ALREADY_EXISTS);
    }
    if (config_in_progress()) return refuse(cmd_result_code::CONFIG_CHANGING);
    if (joining_ && !joining_is_inactive()) return refuse(cmd_result_code::SERVER_IS_JOINING);
    if (joining_) fail_join();

    joining_ = std::make_unique<joining>();
    joining_->server = in.server;
    peer_progress& p = joining_->progress;
    p.server = in.server;
    p.id = wanted;
    p.last_activity = p.last_response = now_;
    p.heartbeat_ms = settings_.params.heart_beat_interval_;
    out_->connections.push_back({connection_change::open, wanted, in.server->get_endpoint()});
    answer_admin(in.number, cmd_result_code::OK, true);
    invite();
}

void raft::invite() {
    peer_progress& p = joining_->progress;
    if (p.busy) return;
    if (!ready_to_send(p)) return arm(timer_kind::retry, -1, p.heartbeat_ms);
    auto req = cs_new<req_msg>(state_.term, msg_type::join_cluster_request, id(), p.id, 0,
                               log_.last_index(), commit_index_);
    req->log_entries().push_back(
        cs_new<log_entry>(state_.term, config_->serialize(), log_val_type::conf));
    send_to(p, req, true);
}

void raft::on_join_response(const resp_msg& resp) {
    if (!resp.get_accepted()) return fail_join();
    joining_->invited = true;
    joining_->progress.next =
        std::min(std::max<uint64_t>(resp.get_next_idx(), 1), log_.last_index() + 1);
    bring_up_to_date();
}

void raft::bring_up_to_date() {
    const raft_params& params = settings_.params;
    peer_progress& p = joining_->progress;
    const uint64_t gap = commit_index_ > p.next ? commit_index_ - p.next : 0;
    const uint64_t near = static_cast<uint64_t>(std::max(params.log_sync_stop_gap_, 0));
    if (near == 0 || gap < near || params.use_new_joiner_type_) return admit();
    if (p.busy) return;
    if (!ready_to_send(p)) return arm(timer_kind::retry, -1, p.heartbeat_ms);
    if (p.next < log_.start_index() && snapshot_) {
        send_snapshot(p);
        return;
    }
    const int32_t count = static_cast<int32_t>(
        std::min<uint64_t>(gap, static_cast<uint64_t>(std::max(params.log_sync_batch_size_, 1))));
    ptr<buffer> pack = log_.pack(p.next, count);
    if (!pack) return arm(timer_kind::retry, -1, p.heartbeat_ms);
    auto req = cs_new<req_msg>(state_.term, msg_type::sync_log_request, id(), p.id, 0, p.next - 1,
                               commit_index_);
    req->log_entries().push_back(cs_new<log_entry>(state_.term, pack, log_val_type::log_pack));
    send_to(p, req, true);
}

void raft::on_sync_response(const resp_msg& resp) {
    if (!resp.get_accepted() && ++joining_->refused_packs > refused_packs_limit) {
        return fail_join();
    }
    joining_->progress.next =
        std::min(std::max<uint64_t>(resp.get_next_idx(), 1), log_.last_index() + 1);
    bring_up_to_date();
}

void raft::admit() {
    if (config_in_progress()) {
        // Another change came first: this one waits for its commit.
        return arm(timer_kind::retry, -1, settings_.params.heart_beat_interval_);
    }
    ptr<srv_config> server = joining_->server;
    server->set_new_joiner(settings_.params.use_new_joiner_type_);
    append_config(with_server(*config_, *server));
    recompute_commit();
    replicate_to_all();
}

void raft::fail_join() {
    const int32_t failed = joining_->server->get_id();
    drop_transfer(joining_->progress);
    forget_sends(joining_->progress);
    cancel(timer_kind::retry, -1);
    joining_.reset();
    out_->connections.push_back({connection_change::close, failed, std::string()});
    notify(notice::server_join_failed, failed);
}

void raft::on_joining_error(const sent_request&) {
    peer_progress& p = joining_->progress;
    if (p.transfer) {
        if (joining_is_inactive()) return fail_join();
        return arm(timer_kind::retry, -1, p.heartbeat_ms);
    }
    // Its heartbeat interval is the budget of retries (behaviour 25.6).
    if (p.heartbeat_ms >= max_heartbeat_ms()) return fail_join();
    p.heartbeat_ms =
        std::min(p.heartbeat_ms + settings_.params.rpc_failure_backoff_, max_heartbeat_ms());
    arm(timer_kind::retry, -1, p.heartbeat_ms);
}

void raft::on_retry_timer() {
    if (role_ != srv_role::leader || !joining_) return;
    if (joining_->progress.busy) return;
    if (!joining_->invited) return invite();
    bring_up_to_date();
}

// Removing a server: ask it to leave, then append the configuration without it.

void raft::on_remove_server(const inputs::remove_server& in) {
    auto refuse = [&](cmd_result_code code) { answer_admin(in.number, code, false); };
    if (role_ != srv_role::leader || handover_) return refuse(cmd_result_code::NOT_LEADER);
    check_leaving();
    for (const auto& [peer_id, p] : peers_) {
        if (p.leave_requested) return refuse(cmd_result_code::SERVER_IS_LEAVING);
    }
    if (leaving_ != -1) return refuse(cmd_result_code::SERVER_IS_LEAVING);
    if (config_in_progress() || joining_) return refuse(cmd_result_code::CONFIG_CHANGING);
    if (in.server == id()) return refuse(cmd_result_code::CANNOT_REMOVE_LEADER);
    peer_progress* p = find_peer(in.server);
    if (!p) return refuse(cmd_result_code::SERVER_NOT_FOUND);
    if (!has_voters(*without_server(*config_, in.server))) {
        return refuse(cmd_result_code::BAD_REQUEST);
    }
    p->leave_requested = p->leave_unsent = true;
    p->heartbeats_since_leave = 0;
    answer_admin(in.number, cmd_result_code::OK, true);
    try_send(*p);
}

void raft::on_leave_response(peer_progress& p, const resp_msg& resp) {
    if (role_ != srv_role::leader || !p.leave_requested || !resp.get_accepted()) return;
    append_removal(p);
}

void raft::append_removal(peer_progress& p) {
    if (leaving_ != -1 || config_in_progress()) return;  // The next heartbeat tries again.
    ptr<cluster_config> next = without_server(*config_, p.id);
    if (!has_voters(*next)) {  // The others have become learners since it was asked to leave.
        p.leave_requested = false;
        return;
    }
    leaving_ = p.id;
    append_config(next);
    leaving_index_ = log_.last_index();
    recompute_commit();
    replicate_to_all();
}

void raft::force_leave(peer_progress& p) {
    if (leaving_ == p.id) return check_leaving();
    p.leave_unsent = false;
    append_removal(p);
}

void raft::check_leaving() {
    if (leaving_ == -1 || role_ != srv_role::leader) return;
    const peer_progress* p = find_peer(leaving_);
    const int64_t patience =
        int64_t{settings_.params.heart_beat_interval_} * settings_.limits.leave;
    const bool silent = !p || now_ - p->last_response > patience;
    // Until its removal is committed it may still be needed for that (see recompute_commit).
    if (silent && commit_index_ >= leaving_index_) finish_leaving();
}

void raft::finish_leaving() {
    const int32_t gone = leaving_;
    leaving_ = -1;
    leaving_index_ = 0;
    remove_peer(gone);
}

// Attributes.

void raft::on_set_priority(const inputs::set_priority& in) {
    answer a;
    a.number = in.number;
    a.term = state_.term;
    const bool leads = role_ == srv_role::leader;
    const bool live_leader = leads || leader_alive();
    if (in.broadcast_always || (leads && in.server == id() && in.priority == 0) ||
        (!leads && (!live_leader || in.broadcast_when_leader_exists))) {
        broadcast_priority(in.server, in.priority);
        a.priority = raft_server::PrioritySetResult::BROADCAST;
    } else if (leads) {
        append_config(with_change(*newest_config(), in.server,
                                  [&in](srv_config& s) { s.set_priority(in.priority); }));
        recompute_commit();
        replicate_to_all();
        a.priority = raft_server::PrioritySetResult::SET;
        a.accepted = true;
    }
    out_->answers.push_back(a);
}

void raft::change_priority_here(int32_t server, int32_t priority) {
    config_ =
        with_change(*config_, server, [priority](srv_config& s) { s.set_priority(priority); });
    broadcast_priorities_[server] = priority;
    if (server == id()) my_priority_ = priority;
    for (auto& [peer_id, p] : peers_) {
        if (ptr<srv_config> s = config_->get_server(peer_id)) p.server = s;
    }
}

ptr<cluster_config> raft::with_broadcast_priorities(const cluster_config& config) const {
    ptr<cluster_config> next = copy_of(config);
    for (const auto& [server, priority] : broadcast_priorities_) {
        if (ptr<srv_config> s = next->get_server(server)) s->set_priority(priority);
    }
    return next;
}

void raft::broadcast_priority(int32_t server, int32_t priority) {
    change_priority_here(server, priority);
    for (auto& [peer_id, p] : peers_) {
        if (p.busy || !ready_to_send(p)) continue;
        ptr<buffer> body = buffer::alloc(8);
        buffer_serializer bs(body);
        bs.put_i32(server);
        bs.put_i32(priority);
        auto req = cs_new<req_msg>(state_.term, msg_type::priority_change_request, id(), peer_id,
                                   last_log_term(), log_.last_index(), commit_index_);
        req->log_entries().push_back(cs_new<log_entry>(state_.term, body, log_val_type::custom));
        send_to(p, req, true);
    }
}

void raft::on_set_user_context(const inputs::set_user_context& in) {
    if (role_ != srv_role::leader) {  // B35
        return answer_admin(in.number, cmd_result_code::NOT_LEADER, false);
    }
    ptr<cluster_config> next = copy_of(*newest_config());
    next->set_user_ctx(in.context);
    append_config(next);
    recompute_commit();
    replicate_to_all();
    answer_admin(in.number, cmd_result_code::OK, true);
}

void raft::on_update_server(const inputs::update_server& in) {
    if (role_ != srv_role::leader) {
        return answer_admin(in.number, cmd_result_code::NOT_LEADER, false);
    }
    ptr<srv_config> now = newest_config()->get_server(in.server->get_id());
    if (!now) return answer_admin(in.number, cmd_result_code::SERVER_NOT_FOUND, false);
    if (now->is_new_joiner() || now->get_endpoint() != in.server->get_endpoint() ||
        now->is_learner() != in.server->is_learner() || in.server->is_new_joiner()) {
        // Who votes changes only through set_learner, one server at a time (B35).
        return answer_admin(in.number, cmd_result_code::BAD_REQUEST, false);
    }
    append_config(with_server(*newest_config(), *in.server));
    recompute_commit();
    replicate_to_all();
    answer_admin(in.number, cmd_result_code::OK, true);
}

void raft::on_set_learner(const inputs::set_learner& in) {
    auto done = [&](cmd_result_code code) { answer_admin(in.number, code, false); };
    if (role_ != srv_role::leader) return done(cmd_result_code::NOT_LEADER);
    if (config_in_progress()) return done(cmd_result_code::CONFIG_CHANGING);
    ptr<srv_config> server = config_->get_server(in.server);
    if (!server) return done(cmd_result_code::SERVER_NOT_FOUND);
    if (server->is_learner() == in.learner) return done(cmd_result_code::OK);
    ptr<cluster_config> next =
        with_change(*config_, in.server, [&in](srv_config& s) { s.set_learner(in.learner); });
    if ((in.learner && in.server == id()) || !has_voters(*next)) {
        return done(cmd_result_code::BAD_REQUEST);  // B34
    }
    append_config(next);
    recompute_commit();
    replicate_to_all();
    done(cmd_result_code::OK);
}

void raft::promote_new_joiner(peer_progress& p) {
    if (config_in_progress()) return;
    const uint64_t gap = static_cast<uint64_t>(std::max(settings_.params.log_sync_stop_gap_, 1));
    if (p.match + gap < log_.last_index() + 1) return;
    append_config(with_change(*config_, p.id, [](srv_config& s) { s.set_new_joiner(false); }));
    recompute_commit();
    replicate_to_all();
}

}  // namespace protocol
}  // namespace nuraft
