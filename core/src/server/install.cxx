#include "error_code.hxx"
#include "server/impl.hxx"

// Receiving a leader's snapshot (behaviour 24.3, 24.5).

namespace nuraft {

using namespace protocol;

void raft_server::impl::save_object(const protocol::save_object& s) {
    inputs::object_saved result;
    result.request = s.request;
    snapshot& meta = s.object->get_snapshot();
    ulong object = s.object->get_offset();
    try {
        buffer& data = s.object->get_data();
        data.pos(0);
        if (meta.get_type() == snapshot::raw_binary) {
            state_machine_->save_snapshot_data(meta, object, data);
            object += data.size();  // The byte that is wanted next.
        } else {
            state_machine_->save_logical_snp_obj(meta, object, data, object == 0,
                                                 s.object->is_done());
        }
        if (s.object->is_done()) {
            install(s, object);
            return;
        }
    } catch (const std::exception& e) {
        return fail(raft_err::N13_snapshot_install_failed,
                    "receiving the snapshot at " + std::to_string(meta.get_last_log_idx()) +
                        " threw: " + e.what());
    }
    result.ok = true;
    result.next_object = object;
    enter(result);
}

/// The state machine first, the log second: after a crash in between, the log is longer than it
/// need be, instead of the state older than the log (B30).
bool raft_server::impl::install(const protocol::save_object& s, uint64_t next) {
    snapshot& received = s.object->get_snapshot();
    const uint64_t through = received.get_last_log_idx();
    if (!gate_.hold()) return false;  // The server stops.
    struct release_gate {
        apply_gate& gate;
        ~release_gate() { gate.release(); }
    } release{gate_};

    if (s.discard_log) roll_back(view().commit_index + 1, store_->next_slot());
    SERVER_LOG(log_, log_info, "installing the snapshot at %lu", through);
    if (!state_machine_->apply_snapshot(received)) {
        fail(raft_err::N12_apply_snapshot_failed,
             "apply_snapshot at " + std::to_string(through) + " returned false");
        return false;
    }
    gate_.jump(through);
    for (const ptr<client_batch>& batch : batches_.take_until(through)) {
        batch->finish(nullptr, cmd_result_code::CANCELLED);
    }
    watchers_.complete(through);

    inputs::object_saved result;
    result.request = s.request;
    result.next_object = next;
    // Under the lock, because no step may see the log between the cut and the news of it.
    std::lock_guard<std::recursive_mutex> guard(lock_);
    result.ok = result.installed =
        cut_log(cs_new<snapshot>(through, received.get_last_log_term(), received.get_last_config()),
                s.discard_log);
    step_and_queue(result);
    return result.ok;
}

/// Removes from the log what the snapshot stands for, and with `discard` all the rest too.
bool raft_server::impl::cut_log(const ptr<snapshot>& meta, bool discard) {
    const uint64_t through = meta->get_last_log_idx();
    if (discard && store_->start_index() <= through && through < store_->next_slot()) {
        // Overwriting drops everything behind; compaction then takes this entry too.
        auto marker = cs_new<log_entry>(meta->get_last_log_term(),
                                        meta->get_last_config()->serialize(), log_val_type::conf);
        store_->write_at(through, marker);
    }
    if (store_->compact(through)) return true;
    SERVER_LOG(log_, log_error, "log_store::compact(%lu) failed; the leader will try again",
               through);
    return false;
}

}  // namespace nuraft
