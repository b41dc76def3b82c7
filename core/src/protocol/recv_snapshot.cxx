#include <algorithm>

#include "error_code.hxx"
#include "protocol/raft.hxx"
#include "snapshot_sync_req.hxx"

// Receiving a snapshot (Raft figure 13; behaviour 24.3, 24.5).

namespace nuraft {
namespace protocol {

namespace {

ptr<snapshot_sync_req> read_object_request(req_msg& req) {
    if (req.log_entries().size() != 1) return nullptr;
    log_entry& entry = *req.log_entries().front();
    if (entry.get_val_type() != log_val_type::snp_sync_req || entry.is_buf_null()) return nullptr;
    try {
        ptr<snapshot_sync_req> object = snapshot_sync_req::deserialize(entry.get_buf());
        return object->get_snapshot().get_last_log_idx() <= largest_number ? object : nullptr;
    } catch (const std::exception&) {
        return nullptr;  // Hostile bytes; the caller refuses them.
    }
}

/// "The transfer is over": present or absent, never looked into (wire 3.12).
ptr<buffer> finished_mark() {
    ptr<buffer> ctx = buffer::alloc(1);
    ctx->data_begin()[0] = 0;
    return ctx;
}

}  // namespace

bool raft::has_state_of(const snapshot& meta) const {
    // After a crash between the two steps of an installation the state is there and the log is not:
    // then the same snapshot has to come once more.
    const uint64_t index = meta.get_last_log_idx();
    return index < commit_index_ || (index == commit_index_ && !state_.receiving_snapshot);
}

bool raft::would_store(const req_msg& install) const {
    req_msg& req = const_cast<req_msg&>(install);  // The API's accessor is not const.
    if (stopped_ || halted_ || (req.get_term() < state_.term && !state_.catching_up)) return false;
    ptr<snapshot_sync_req> object = read_object_request(req);
    return object && receiving_.request == 0 && !has_state_of(object->get_snapshot());
}

void raft::on_install_request(const inputs::request& in) {
    req_msg& req = *in.msg;
    adopt_term(req.get_term());
    if (steps_to_leave_ > 0) steps_to_leave_ = 2;
    ptr<resp_msg> refusal =
        make_response(req, msg_type::install_snapshot_response, next_slot_for(req), false);
    if (req.get_term() < state_.term && !state_.catching_up) {
        return answer_now(in.number, refusal);
    }
    if (role_ == srv_role::leader) {
        // No term has two leaders; somebody else is wrong, and we go on (B38).
        notice n;
        n.what = notice::misbehaving_leader;
        n.peer = req.get_src();
        n.msg = in.msg;
        out_->notices.push_back(n);
        return answer_now(in.number, nullptr);
    }
    if (role_ == srv_role::candidate) become_follower();
    refresh_leader_alive();
    leader_ = last_leader_ = req.get_src();
    arm_election_timer(true);

    ptr<snapshot_sync_req> object = read_object_request(req);
    if (!object || in.declined || receiving_.request != 0) return answer_now(in.number, refusal);
    const ptr<snapshot> meta = snapshot::deserialize(*object->get_snapshot().serialize());
    if (has_state_of(*meta) && !mutated(mutation::stale_snapshot_installed)) {
        refusal->set_ctx(finished_mark());  // Already have it.
        return answer_now(in.number, refusal);
    }
    const bool receiving = !(mutated(mutation::receiving_ends_too_early) && object->is_done());
    if (state_.receiving_snapshot != receiving) {
        state_.receiving_snapshot = receiving;
        save_state();
    }
    initialized_ = true;
    receiving_.request = in.number;
    receiving_.msg = in.msg;
    receiving_.meta = meta;
    save_object s;
    s.request = in.number;
    s.msg = in.msg;
    s.object = object;
    // "If existing log entry has same index and term as snapshot's last included entry, retain log
    // entries following it. Otherwise discard the entire log" (Raft figure 13).
    s.discard_log = is_foreign(meta->get_last_log_idx()) ||
                    term_of(meta->get_last_log_idx()) != meta->get_last_log_term();
    if (mutated(mutation::conflicting_log_kept)) s.discard_log = false;
    receiving_.discard_log = s.discard_log;
    out_->saves.push_back(s);
}

void raft::on_object_saved(const inputs::object_saved& in) {
    if (receiving_.request != in.request) return;
    receiving done = receiving_;
    receiving_ = receiving();
    req_msg& req = *done.msg;
    if (!in.ok) {
        return answer_now(in.request, make_response(req, msg_type::install_snapshot_response,
                                                    next_slot_for(req), false));
    }
    // What is installed is the committed state of the cluster, whatever has become of the sender.
    if (in.installed) adopt_snapshot(done.meta, done.discard_log);
    if (req.get_term() != state_.term && !state_.catching_up) {
        return answer_now(in.request, make_response(req, msg_type::install_snapshot_response,
                                                    next_slot_for(req), false));
    }
    arm_election_timer(true);  // Saving may have taken long.
    ptr<resp_msg> resp =
        make_response(req, msg_type::install_snapshot_response, in.next_object, true);
    if (in.installed) resp->set_ctx(finished_mark());
    answer_now(in.request, resp);
}

void raft::adopt_snapshot(const ptr<snapshot>& meta, bool discarded) {
    const uint64_t through = meta->get_last_log_idx();
    log_.reset(discarded);
    if (discarded) refuse_answers_from(1, through + 1);
    foreign_through_ = 0;
    snapshot_ = meta;
    durable_index_ = std::max(std::min(durable_index_, log_.last_index()), through);
    uncommitted_configs_.clear();
    past_configs_.clear();
    const ptr<cluster_config>& config = meta->get_last_config();
    if (config) past_configs_[config->get_log_idx()] = config;
    commit_index_ = std::max(commit_index_, through);
    lag_target_ = through;
    if (config && config->get_log_idx() > config_->get_log_idx() &&
        !mutated(mutation::snapshot_config_ignored)) {
        config_gap_end_ = config->get_log_idx();
        out_->save_config = config;
        apply_config(config);
    }
    scan_configs();
    // Only now, with state and log in agreement, is the reception over (B30).
    state_.receiving_snapshot = false;
    save_state();
}

}  // namespace protocol
}  // namespace nuraft
