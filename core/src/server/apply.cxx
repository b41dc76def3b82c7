#include "error_code.hxx"
#include "server/impl.hxx"

// The commit thread: committed entries to the state machine, results to the clients.

namespace nuraft {

using namespace protocol;

void raft_server::impl::commit_loop() {
    while (!gate_.stopped()) {
        apply_some(steady_time::max());
        gate_.wait();
    }
}

/// Applies what is committed, at least one entry, until `deadline`. False: some is left.
bool raft_server::impl::apply_some(steady_time deadline) {
    bool in_time = true;
    std::string error;
    try {
        while (in_time) {
            const std::optional<uint64_t> index = gate_.begin();
            if (!index) break;
            apply_one(*index);
            gate_.end();
            in_time = deadline == steady_time::max() || std::chrono::steady_clock::now() < deadline;
        }
        after_applying();
        return in_time;
    } catch (const std::exception& e) {
        error = e.what();
    } catch (...) {
        error = "not a std::exception";
    }
    gate_.end();
    fail(raft_err::N20_background_commit_err,
         "applying behind index " + std::to_string(gate_.applied()) + " threw: " + error);
    return true;
}

void raft_server::impl::apply_one(uint64_t index) {
    ptr<log_entry> entry = store_->entry_at(index);
    if (!entry || entry->get_term() == 0) {
        return fail(raft_err::N19_bad_log_idx_for_term,
                    "committed entry " + std::to_string(index) +
                        (entry ? " has term 0" : " is missing from the log store"));
    }
    switch (entry->get_val_type()) {
        case log_val_type::app_log:
            apply_command(index, *entry);
            break;
        case log_val_type::conf:
            apply_config(index, *entry);
            break;
        default:
            gate_.set_applied(index);
            break;
    }
    snapshot_after(index);
    uint64_t visible = index;
    event(cb_func::StateMachineExecution, -1, &visible);
    watchers_.complete(index);
    tell_progress_if_awaited();
}

void raft_server::impl::apply_command(uint64_t index, log_entry& entry) {
    ptr<buffer> data = entry.get_buf_ptr();
    if (!data) data = buffer::alloc(0);
    data->pos(0);
    ptr<buffer> value = state_machine_->commit_ext(state_machine::ext_op_params(index, data));
    batches_.set_results(index, entry.get_term(), value);
    deliver_results();
    gate_.set_applied(index);
}

void raft_server::impl::deliver_results() {
    for (const ptr<client_batch>& batch : batches_.take_deliverable(deliverable_)) {
        batch->deliver();
    }
}

void raft_server::impl::tell_progress_if_awaited() {
    if (machine_is_awaited_) enter(inputs::applied{gate_.applied()});
}

void raft_server::impl::apply_config(uint64_t index, log_entry& entry) {
    // The protocol has saved and activated it already; this is the program's share.
    ptr<cluster_config> config = cluster_config::deserialize(entry.get_buf());
    uint64_t visible = index;
    event(cb_func::NewConfig, -1, &visible);
    state_machine_->commit_config(index, config);
    for (const ptr<client_batch>& batch : batches_.take_applied(index)) {
        batch->finish(nullptr, cmd_result_code::CANCELLED);
    }
    gate_.set_applied(index);
}

void raft_server::impl::after_applying() {
    deliver_results();
    tell_progress_if_awaited();
    if (snapshot_wanted_.exchange(false)) ask_and_begin_snapshot(gate_.applied());

    const server_status s = view();
    const ptr<raft_params> p = ctx_->get_params();
    if (s.role == srv_role::leader) {
        fresh_ = true;
        return;
    }
    if (s.leader_commit_index == 0) return;  // No leader was heard yet.
    const uint64_t applied = gate_.applied();
    const uint64_t fresh_gap = static_cast<uint64_t>(std::max(0, p->fresh_log_gap_));
    const uint64_t stale_gap = static_cast<uint64_t>(std::max(0, p->stale_log_gap_));
    if (!fresh_ && s.leader_commit_index < applied + fresh_gap) {
        fresh_ = true;
        event(cb_func::BecomeFresh);
    } else if (fresh_ && s.leader_commit_index > applied + stale_gap) {
        fresh_ = false;
        event(cb_func::BecomeStale);
    }
}

void raft_server::impl::reset_applied(uint64_t to) {
    if (!gate_.hold()) return;
    gate_.jump(to);
    gate_.release();
}

void raft_server::impl::pause_applying(uint64_t timeout_ms) {
    gate_.pause();
    if (timeout_ms > 0 && !on_commit_thread()) gate_.wait_idle(timeout_ms, false);
}

bool raft_server::impl::wait_applying_idle(uint64_t timeout_ms) {
    // The commit thread itself is what would have to be waited for.
    return !on_commit_thread() && gate_.wait_idle(timeout_ms, true);
}

ptr<cmd_result<bool>> raft_server::impl::watch(uint64_t index) {
    return watchers_.add(index, [this]() -> uint64_t { return gate_.applied(); });
}

}  // namespace nuraft
