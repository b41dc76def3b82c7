#include <algorithm>

#include "buffer_serializer.hxx"
#include "protocol/raft.hxx"

// The other end of membership changes: being invited, brought up to date, asked to leave
// (behaviour 25.3, 25.4, 26.3, 5.6).

namespace nuraft {
namespace protocol {

void raft::on_join_request(const inputs::request& in) {
    req_msg& req = *in.msg;
    auto refuse = [&] {
        answer_now(in.number, make_response(req, msg_type::join_cluster_response, 0, false));
    };
    if (req.log_entries().size() != 1 ||
        req.log_entries().front()->get_val_type() != log_val_type::conf) {
        return refuse();
    }
    ptr<cluster_config> theirs = read_config(*req.log_entries().front());
    if (!theirs || !theirs->get_server(req.get_src())) return refuse();

    const bool alone = config_->get_servers().size() == 1 && config_->get_server(id());
    const bool member_of_many = config_->get_server(id()) && !alone;
    if (member_of_many || (state_.catching_up && same_members(*config_, *theirs, id()))) {
        if (!same_members(*config_, *theirs, id())) return refuse();  // Another cluster's server.
        return answer_now(in.number, make_response(req, msg_type::join_cluster_response,
                                                   commit_index_ + 1, true));
    }
    // No leader invites a member. We would vote at once, with the log of our own and in terms for
    // which we have voted already.
    if (theirs->get_server(id())) return refuse();
    // A term in which it may have voted for another must not come back (B31).
    const bool outdated =
        req.get_term() < state_.term && !mutated(mutation::term_lowered_by_invitation);
    if (outdated && !alone) return refuse();
    if (joining_) {
        if (id() < req.get_src()) return refuse();  // Two that invite each other: lower id stays.
        fail_join();
    }
    ptr<resp_msg> resp = make_response(req, msg_type::join_cluster_response, 0, false);
    join(*theirs, req, alone);
    resp->accept(commit_index_ + 1);  // Carries the term from before, as the leader expects.
    answer_now(in.number, resp);
}

void raft::join(const cluster_config& theirs, const req_msg& req, bool alone) {
    const bool was_catching_up = state_.catching_up;
    cancel(timer_kind::election, -1);
    state_.catching_up = true;
    if (req.get_term() != state_.term) state_.voted_for = -1;
    state_.term = req.get_term();
    save_state();
    become_follower();
    leader_ = last_leader_ = req.get_src();
    leader_is_live_ = true;
    if (alone && !was_catching_up) {
        // The log of its own, as a cluster of one, is superseded by the cluster's. What a former
        // member has applied is the cluster's and stays.
        commit_index_ = initial_commit_index_;
        if (!mutated(mutation::applied_not_reset)) out_->applied_reset = commit_index_;
        foreign_through_ = log_.last_index();
        uncommitted_configs_.clear();
    }
    past_configs_.clear();
    ptr<cluster_config> config = copy_of(theirs);
    past_configs_[config->get_log_idx()] = config;
    config_gap_end_ = config->get_log_idx();
    out_->save_config = config;
    apply_config(config);
}

void raft::on_sync_request(const inputs::request& in) {
    req_msg& req = *in.msg;
    const bool is_pack = req.log_entries().size() == 1 &&
                         req.log_entries().front()->get_val_type() == log_val_type::log_pack &&
                         !req.log_entries().front()->is_buf_null();
    const uint64_t first = req.get_last_log_idx() + 1;
    if (!state_.catching_up || !is_pack || packs_waiting_.count(in.number) ||
        first <= commit_index_ || first > log_.last_index() + 1) {
        return answer_now(in.number, make_response(req, msg_type::sync_log_response,
                                                   log_.last_index() + 1, false));
    }
    packs_waiting_[in.number] = in.msg;
    install_pack pack;
    pack.request = in.number;
    pack.first = first;
    pack.pack = req.log_entries().front()->get_buf_ptr();
    out_->pack = pack;
}

void raft::on_pack_installed(const inputs::pack_installed& in) {
    auto found = packs_waiting_.find(in.request);
    if (found == packs_waiting_.end()) return;
    ptr<req_msg> req = found->second;
    packs_waiting_.erase(found);
    if (in.ok) {
        // Only committed entries travel in packs.
        log_.reset(true);
        refuse_answers_from(1, log_.last_index() + 1);
        foreign_through_ = 0;
        durable_index_ = log_.last_index();
        uncommitted_configs_.clear();
        scan_configs();
        raise_commit(log_.last_index());
    }
    answer_now(in.request,
               make_response(*req, msg_type::sync_log_response, log_.last_index() + 1, in.ok));
}

void raft::on_leave_request(const inputs::request& in) {
    const req_msg& req = *in.msg;
    const bool accepts = !config_in_progress() && req.get_term() >= state_.term &&
                         config_->get_server(req.get_src()) && role_ != srv_role::leader;
    if (accepts) {
        // Quiet for two timeouts, to let the removal pass.
        steps_to_leave_ = 2;
        was_removed_ = false;
    }
    answer_now(in.number, make_response(req, msg_type::leave_cluster_response,
                                        accepts ? log_.last_index() + 1 : 0, accepts));
}

void raft::on_priority_request(const inputs::request& in) {
    req_msg& req = *in.msg;
    bool known = false;
    if (req.log_entries().size() == 1 && !req.log_entries().front()->is_buf_null() &&
        req.log_entries().front()->get_buf().size() >= 8 && config_->get_server(req.get_src())) {
        buffer_serializer bs(req.log_entries().front()->get_buf());
        const int32_t server = bs.get_i32();
        const int32_t priority = bs.get_i32();
        known = config_->get_server(server) != nullptr;
        if (known) change_priority_here(server, priority);
    }
    answer_now(in.number,
               cs_new<resp_msg>(req.get_term(), msg_type::priority_change_response, id(),
                                req.get_src(), known ? log_.last_index() + 1 : 0, known));
}

}  // namespace protocol
}  // namespace nuraft
