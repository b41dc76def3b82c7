#include <algorithm>

#include "protocol/raft.hxx"

// Answers to other servers' requests, and how long they are held back.

namespace nuraft {
namespace protocol {

ptr<resp_msg> raft::make_response(const req_msg& req, msg_type type, uint64_t next, bool accepted) {
    return cs_new<resp_msg>(state_.term, type, id(), req.get_src(), next, accepted);
}

/// Our next slot, as far as the asking leader's own log is known to reach: members exist that stop
/// when another claims to be ahead of them (wire section 9, 1).
uint64_t raft::next_slot_for(const req_msg& req) const {
    const uint64_t theirs = std::max(req.get_last_log_idx(), req.get_commit_idx());
    return std::min(log_.last_index(), theirs) + 1;
}

void raft::answer_now(uint64_t request, const ptr<resp_msg>& resp) {
    out_->replies.push_back({request, resp});
}

void raft::answer_when_durable(uint64_t request, const ptr<resp_msg>& resp, uint64_t index) {
    // An acknowledgement counts towards a commit, so what it vouches for must outlive a crash
    // (Raft figure 2: persistent state is updated before responding to RPCs).
    const waiting_answer w{request, index, now_, resp};
    const bool durable = index <= durable_index_ || mutated(mutation::acknowledged_before_durable);
    if (durable) return answer_accepted(w);
    waiting_answers_.push_back(w);
}

void raft::release_durable_answers() {
    auto ready = std::stable_partition(
        waiting_answers_.begin(), waiting_answers_.end(),
        [this](const waiting_answer& w) { return w.index <= durable_index_; });
    for (auto w = waiting_answers_.begin(); w != ready; ++w) answer_accepted(*w);
    waiting_answers_.erase(waiting_answers_.begin(), ready);
}

void raft::refuse_answers_from(uint64_t index, uint64_t next) {
    // What these would vouch for is gone before it reached the disk.
    auto gone = std::stable_partition(waiting_answers_.begin(), waiting_answers_.end(),
                                      [index](const waiting_answer& w) { return w.index < index; });
    for (auto w = gone; w != waiting_answers_.end(); ++w) {
        answer_now(w->request, cs_new<resp_msg>(state_.term, w->resp->get_type(), id(),
                                                w->resp->get_dst(), next, false));
    }
    waiting_answers_.erase(gone, waiting_answers_.end());
}

}  // namespace protocol
}  // namespace nuraft
