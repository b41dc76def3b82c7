#include <limits>

#include "protocol/raft.hxx"

// The voting side of elections (behaviour 6.2, 6.3, 7.2, 7.3).

namespace nuraft {
namespace protocol {

bool raft::sees_live_leader() const {
    if (role_ == srv_role::leader) return true;  // B8
    if (!leader_is_live_) return false;
    // Another's timer may run out before ours: silence for the lower bound is evidence enough.
    return now_ - election_armed_at_ <= settings_.params.election_timeout_lower_bound_;
}

bool raft::is_behind_us(const req_msg& candidacy) const {
    // What is left of the cluster of one that we were before we joined says nothing: its terms
    // would keep us from ever voting in a cluster that has counted less far.
    const uint64_t last = is_foreign(log_.last_index()) ? commit_index_ : log_.last_index();
    const uint64_t term = term_of(last);
    if (candidacy.get_last_log_term() != term) return candidacy.get_last_log_term() < term;
    return candidacy.get_last_log_idx() < last;
}

void raft::on_pre_vote_request(const inputs::request& in) {
    const req_msg& req = *in.msg;
    const bool grant = state_.catching_up || !sees_live_leader();
    uint64_t next = grant ? log_.last_index() + 1 : 0;
    // A live cluster tells a stranger that it is no member any more.
    if (!grant && !config_->get_server(req.get_src())) next = std::numeric_limits<uint64_t>::max();
    answer_now(in.number, cs_new<resp_msg>(req.get_term(), msg_type::pre_vote_response, id(),
                                           req.get_src(), next, grant));
}

void raft::on_vote_request(const inputs::request& in) {
    const req_msg& req = *in.msg;
    const int32_t candidate = req.get_src();
    if (removed_ids_.count(candidate)) {
        // Known to have left: neither its vote nor its term is ours to follow (B3).
        return answer_now(in.number, make_response(req, msg_type::request_vote_response, 0, false));
    }
    const bool raised = adopt_term(req.get_term());
    if (raised && !im_learner_ && !sees_live_leader() &&
        now_ - last_vote_decay_ >= settings_.params.election_timeout_lower_bound_) {
        last_vote_decay_ = now_;  // B6
        decay_target_priority();
    }
    if (steps_to_leave_ > 0) steps_to_leave_ = 2;

    // "If votedFor is null or candidateId, and candidate's log is at least as up-to-date as
    // receiver's log, grant vote" (Raft figure 2).
    const bool current = req.get_term() == state_.term;
    const bool fresh = mutated(mutation::vote_for_older_log) || !is_behind_us(req);
    const bool free =
        state_.voted_for == -1 || state_.voted_for == candidate || mutated(mutation::vote_twice);
    const bool forced = !in.msg->log_entries().empty();
    ptr<srv_config> known = config_->get_server(candidate);
    const bool priority_ok = forced || state_.catching_up || !known || known->get_priority() == 0 ||
                             known->get_priority() >= target_priority_;
    if (!current || !fresh || !free || !priority_ok) {
        return answer_now(in.number, make_response(req, msg_type::request_vote_response, 0, false));
    }
    if (state_.voted_for != candidate) {
        state_.voted_for = candidate;
        if (!mutated(mutation::vote_not_saved)) save_state();
    }
    arm_election_timer(false);
    answer_now(in.number,
               make_response(req, msg_type::request_vote_response, log_.last_index() + 1, true));
}

}  // namespace protocol
}  // namespace nuraft
