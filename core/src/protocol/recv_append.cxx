#include <algorithm>

#include "error_code.hxx"
#include "protocol/append_appendix.hxx"
#include "protocol/raft.hxx"

// Append entries, the receiving side (Raft figure 2 and section 5.3; behaviour 12).

namespace nuraft {
namespace protocol {

namespace {

ptr<buffer> appendix(append_appendix::order what) {
    append_appendix a;
    a.what = what;
    return a.serialize();
}

/// What no honest leader sends: entries without a term, from the future, or out of order.
const char* what_is_wrong(req_msg& req) {
    uint64_t before = req.get_last_log_term();
    for (const ptr<log_entry>& e : req.log_entries()) {
        if (e->get_term() == 0) return "an entry of term 0";
        if (e->get_term() > req.get_term()) return "an entry of a later term than the leader's";
        if (e->get_term() < before) return "entries whose terms decrease";
        before = e->get_term();
    }
    return nullptr;
}

}  // namespace

bool raft::log_matches(const req_msg& req) const {
    // "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
    // prevLogTerm" (Raft figure 2).
    const uint64_t previous = req.get_last_log_idx();
    if (previous == 0) return true;
    if (previous > log_.last_index() || is_foreign(previous)) return false;
    const uint64_t term = term_of(previous);
    if (mutated(mutation::log_check_skipped)) return true;
    if (term != 0) return term == req.get_last_log_term();
    // Compacted away, so committed: every leader of a later term has it (Raft 5.4.3).
    return previous < log_.start_index() && previous <= commit_index_;
}

bool raft::would_accept(const req_msg& req, time_ms now) const {
    return !stopped_ && !halted_ && !append_comes_after_gap(now) && req.get_term() >= state_.term &&
           !(role_ == srv_role::leader && req.get_term() == state_.term) &&
           !state_.receiving_snapshot && log_matches(req);
}

void raft::on_append_request(const inputs::request& in) {
    req_msg& req = *in.msg;
    if (const char* wrong = what_is_wrong(req)) {
        report_bad_message(req.get_src(), std::string("append request carries ") + wrong);
        return answer_now(in.number, nullptr);
    }
    adopt_term(req.get_term());
    if (steps_to_leave_ > 0) steps_to_leave_ = 2;
    const bool after_gap = append_comes_after_gap(now_);
    last_append_ = now_;
    // It may have been on its way since before the leader excluded us; the next one tells.
    if (after_gap) return answer_now(in.number, nullptr);
    leave_catching_up_if_member();

    if (req.get_term() == state_.term) {
        if (role_ == srv_role::leader) {
            notice n;
            n.what = notice::misbehaving_leader;
            n.term = state_.term;
            n.peer = req.get_src();
            n.leader = id();
            n.msg = in.msg;
            out_->notices.push_back(n);
            return answer_now(in.number, nullptr);
        }
        if (role_ == srv_role::candidate) become_follower();
        refresh_leader_alive();
        leader_ = last_leader_ = req.get_src();
        // Any append of the term's leader postpones our own election, matching or not (B4).
        arm_election_timer(true);
    }

    const bool outdated = req.get_term() < state_.term && !mutated(mutation::older_term_accepted);
    if (outdated || state_.receiving_snapshot || !log_matches(req)) {
        const uint64_t next = foreign_through_ ? commit_index_ + 1 : log_.last_index() + 1;
        ptr<resp_msg> refusal = make_response(req, msg_type::append_entries_response, next, false);
        if (req.get_term() == state_.term && state_.receiving_snapshot) {
            refusal->set_ctx(appendix(append_appendix::receiving_snapshot));
        }
        return answer_now(in.number, refusal);
    }
    initialized_ = true;
    excluded_by_leader_ = (req.get_extra_flags() & req_msg::EXCLUDED_FROM_THE_QUORUM) != 0;
    if (in.declined) {
        ptr<resp_msg> refusal =
            make_response(req, msg_type::append_entries_response, log_.last_index() + 1, false);
        refusal->set_ctx(appendix(append_appendix::do_not_rewind));
        refusal->set_next_batch_size_hint_in_bytes(-1);
        return answer_now(in.number, refusal);
    }

    if (!store_entries(req)) return answer_now(in.number, nullptr);
    out_of_log_range_ = false;
    leader_commit_index_ = req.get_commit_idx();
    const uint64_t through = req.get_last_log_idx() + req.log_entries().size();
    raise_commit(std::min(leader_commit_index_,
                          mutated(mutation::commit_beyond_entries) ? log_.last_index() : through));
    activate_committed_configs();
    answer_when_durable(in.number,
                        make_response(req, msg_type::append_entries_response, through + 1, true),
                        through);
}

bool raft::store_entries(const req_msg& request) {
    req_msg& req = const_cast<req_msg&>(request);  // The API's accessor is not const.
    std::vector<ptr<log_entry>>& entries = req.log_entries();
    const uint64_t first = req.get_last_log_idx() + 1;

    // "If an existing entry conflicts with a new one (same index but different terms), delete the
    // existing entry and all that follow it. Append any new entries not already in the log."
    size_t known = 0;
    while (known < entries.size()) {
        const uint64_t index = first + known;
        if (mutated(mutation::known_entries_cut_off) && index > commit_index_) break;
        const bool compacted = index < log_.start_index() && index <= commit_index_;
        if (!compacted && (index > log_.last_index() || is_foreign(index) ||
                           term_of(index) != entries[known]->get_term())) {
            break;
        }
        ++known;
    }
    if (known == entries.size()) return true;

    const uint64_t from = first + known;
    if (from <= commit_index_) {
        // Two leaders' entries were committed at one index: never undo what was applied (B17).
        halt(raft_err::N19_bad_log_idx_for_term, "leader " + std::to_string(req.get_src()) +
                                                     " of term " + std::to_string(req.get_term()) +
                                                     " sent another entry for committed index " +
                                                     std::to_string(from));
        return false;
    }
    std::map<uint64_t, ptr<cluster_config>> configs;
    for (size_t i = known; i < entries.size(); ++i) {
        if (entries[i]->get_val_type() != log_val_type::conf) continue;
        ptr<cluster_config> config = read_config(*entries[i]);
        if (!config) {
            report_bad_message(req.get_src(), "a configuration that cannot be read");
            return false;
        }
        configs[first + i] = config;
    }
    if (from <= log_.last_index()) {
        if (!mutated(mutation::config_rollback_forgotten)) {
            uncommitted_configs_.erase(uncommitted_configs_.lower_bound(from),
                                       uncommitted_configs_.end());
        }
        durable_index_ = std::min(durable_index_, from - 1);
        refuse_answers_from(from, from);
    }
    foreign_through_ = 0;  // Cut off by this write.
    uncommitted_configs_.insert(configs.begin(), configs.end());
    write_log(from, {entries.begin() + static_cast<std::ptrdiff_t>(known), entries.end()}, first,
              entries.size());
    return true;
}

}  // namespace protocol
}  // namespace nuraft
