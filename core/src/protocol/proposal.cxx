#include <algorithm>

#include "protocol/raft.hxx"

// Clients' entries, and the progress of writes to the log (behaviour 17.2, 21).

namespace nuraft {
namespace protocol {

void raft::on_proposal(const inputs::proposal& in) {
    answer a;
    a.number = in.number;
    a.term = state_.term;
    const bool paused = handover_ && !mutated(mutation::written_while_handing_over);
    if (role_ != srv_role::leader || paused) {
        a.code = cmd_result_code::NOT_LEADER;
    } else if (in.expected_term != 0 && in.expected_term != state_.term) {
        a.code = cmd_result_code::TERM_MISMATCH;
    } else if (in.entries.empty()) {
        a.code = cmd_result_code::BAD_REQUEST;
    } else {
        a.accepted = true;
        a.first_index = log_.last_index() + 1;
        a.last_index = log_.last_index() + in.entries.size();
        for (const ptr<log_entry>& e : in.entries) e->set_term(state_.term);
        write_log(a.first_index, in.entries, a.first_index, in.entries.size());
        out_->write->from_client = true;
        out_->write->proposal = in.number;
        // Whoever still has a request to answer gets the entries after his answer.
        out_->replicate_wanted = std::any_of(peers_.begin(), peers_.end(), [this](const auto& p) {
            return p.second.streaming ? !streaming_full(p.second) : !p.second.busy;
        });
    }
    out_->answers.push_back(a);
}

void raft::on_log_stored(const inputs::log_stored& in) {
    log_.stored(in.write);
}

void raft::on_log_durable(const inputs::log_durable& in) {
    durable_index_ = std::max(durable_index_, log_.durable(in.index, in.write));
    durable_index_ = std::min(durable_index_, log_.last_index());
    activate_committed_configs();
    release_durable_answers();
    recompute_commit();
}

void raft::on_log_failed() {
    // What was not confirmed is not durable and never will be: such a server must not lead.
    if (role_ != srv_role::leader) return;
    resign(false);
}

}  // namespace protocol
}  // namespace nuraft
