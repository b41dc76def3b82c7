#include <stdexcept>

#include "debugging_options.hxx"
#include "error_code.hxx"
#include "server/impl.hxx"

// What a step wants on disk: term and vote, configurations, the log.

namespace nuraft {

using namespace protocol;

void raft_server::impl::save_state(const hard_state& state) {
    srv_state saved(state.term, state.voted_for, state.election_timer_allowed, state.catching_up,
                    state.receiving_snapshot);
    state_mgr_->save_state(saved);
}

void raft_server::impl::write_log(log_write w) {
    ptr<client_batch> batch = w.from_client ? batches_.take_unwritten(w.proposal) : nullptr;
    // Whoever waits for the write must not wait forever if the log store throws.
    struct release_waiter {
        ptr<client_batch> batch;
        ~release_waiter() {
            if (batch) batch->mark_written();
        }
    } release{batch};

    roll_back(w.first, w.discarded_end);
    uint64_t index = w.first;
    ptr<buffer> value;
    try {
        for (ptr<log_entry>& entry : w.entries) value = store_entry(index++, entry, batch);
        if (w.batch_count > 0) store_->end_of_append_batch(w.batch_first, w.batch_count);
    } catch (...) {
        if (batch) batch->finish(nullptr, cmd_result_code::CANCELLED);
        throw;
    }
    if (batch) finish_client_write(batch, value, index - 1);
    after_write(w.number, index - 1);
}

void raft_server::impl::roll_back(uint64_t first, uint64_t end) {
    for (uint64_t index = end; index-- > first;) {
        ptr<log_entry> old = store_->entry_at(index);
        if (!old || old->is_buf_null()) continue;
        if (old->get_val_type() == log_val_type::app_log) {
            ptr<buffer> data = old->get_buf_ptr();
            data->pos(0);
            state_machine_->rollback_ext(state_machine::ext_op_params(index, data));
        } else if (old->get_val_type() == log_val_type::conf) {
            ptr<cluster_config> config = cluster_config::deserialize(old->get_buf());
            state_machine_->rollback_config(index, config);
        }
    }
}

ptr<buffer> raft_server::impl::store_entry(uint64_t index, ptr<log_entry>& entry,
                                           const ptr<client_batch>& batch) {
    const uint64_t end = store_->next_slot();
    if (index < end) {
        store_->write_at(index, entry);
    } else {
        const uint64_t got = store_->append(entry);
        if (got != index) {
            throw std::runtime_error("log_store::append stored at " + std::to_string(got) +
                                     " what belongs at " + std::to_string(index));
        }
    }
    if (entry->get_val_type() == log_val_type::conf) {
        if (!store_->flush()) {
            SERVER_LOG(log_, log_fatal, "log_store::flush failed after the configuration at %lu",
                       index);
            state_mgr_->system_exit(raft_err::N21_log_flush_failed);
        }
        return nullptr;
    }
    ptr<buffer> data = entry->get_buf_ptr();
    if (entry->get_val_type() != log_val_type::app_log || !data) return nullptr;
    data->pos(0);
    ptr<buffer> value = state_machine_->pre_commit_ext(state_machine::ext_op_params(index, data));
    data->pos(0);
    if (batch && batch->ext.after_precommit_) {
        req_ext_cb_params params;
        params.log_idx = index;
        params.log_term = entry->get_term();
        params.context = batch->ext.context_;
        batch->ext.after_precommit_(params);
    }
    return value;
}

void raft_server::impl::finish_client_write(const ptr<client_batch>& batch,
                                            const ptr<buffer>& value, uint64_t last) {
    ulong index = last;
    const CbReturnCode rc = event(cb_func::AppendLogs, -1, &index);
    const size_t sleep_us = debugging_options::get_instance().handle_cli_req_sleep_us_;
    if (sleep_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(sleep_us));
    if (rc == cb_func::ReturnNull) {
        batch->finish(nullptr, cmd_result_code::BAD_REQUEST);
    } else if (batch->at_append) {
        batch->finish(value, cmd_result_code::OK);
    }
}

void raft_server::impl::after_write(uint64_t number, uint64_t last) {
    last_write_ = number;
    const uint64_t durable = parallel_appending_ ? store_->last_durable_index() : last;
    std::lock_guard<std::recursive_mutex> guard(lock_);
    step_and_queue(inputs::log_stored{number});
    step_and_queue(inputs::log_durable{durable, number});
}

void raft_server::impl::sample_durable() {
    const uint64_t durable = store_->last_durable_index();
    std::lock_guard<std::recursive_mutex> guard(lock_);
    step_and_queue(inputs::log_durable{durable, last_write_});
}

void raft_server::impl::on_write_failed() {
    if (view().role == srv_role::leader) {
        SERVER_LOG(log_, log_error, "the log store reports a failed write; giving up leadership");
        std::lock_guard<std::recursive_mutex> guard(lock_);
        step_and_queue(inputs::log_failed{});
        return;
    }
    SERVER_LOG(log_, log_fatal, "the log store reports a failed write on a follower");
    state_mgr_->system_exit(raft_err::N21_log_flush_failed);
}

void raft_server::impl::install_pack(const protocol::install_pack& p) {
    bool ok = false;
    // Under the lock, because no step may see the log between the pack and the news of it.
    std::lock_guard<std::recursive_mutex> guard(lock_);
    try {
        p.pack->pos(0);
        store_->apply_pack(p.first, *p.pack);
        ok = store_->flush();
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "log_store::apply_pack at %lu threw: %s", p.first, e.what());
    }
    step_and_queue(inputs::pack_installed{p.request, ok});
}

}  // namespace nuraft
