#include "server/impl.hxx"
#include "server/snapshot_io_queue.hxx"

// Snapshots of this server's own state, and reading them for others (behaviour 23, 24.2).

namespace nuraft {

using namespace protocol;

void raft_server::impl::snapshot_after(uint64_t index) {
    bool scheduled;
    {
        std::lock_guard<std::mutex> guard(scheduled_lock_);
        scheduled = scheduled_ && !scheduled_running_;
        if (scheduled && !creating_) scheduled_running_ = true;
    }
    if (scheduled) {
        if (creating_) return;  // After the next entry, then.
        if (!ask_and_begin_snapshot(index)) finish_scheduled(0, cmd_result_code::FAILED);
        return;
    }
    if (snapshot_due(index)) begin_snapshot(index);
}

bool raft_server::impl::snapshot_due(uint64_t index) {
    const ptr<raft_params> p = ctx_->get_params();
    if (p->snapshot_distance_ <= 0) return false;
    const server_status s = view();
    if (s.config->get_prev_log_idx() >= store_->next_slot()) return false;
    uint64_t distance = static_cast<uint64_t>(p->snapshot_distance_);
    if (first_distance_ > 0 && s.snapshot_index == 0 && !creating_) {
        distance = static_cast<uint64_t>(first_distance_);
    }
    const uint64_t start = store_->start_index();
    if (index + 1 < start + distance) return false;
    if (!state_machine_->chk_create_snapshot()) return false;
    uint64_t i = index;
    if (event(cb_func::SnapshotCreationBegin, -1, &i) != cb_func::Ok) return false;
    return s.snapshot_index == 0 || index >= s.snapshot_index + distance;
}

bool raft_server::impl::ask_and_begin_snapshot(uint64_t index) {
    uint64_t i = index;
    return event(cb_func::SnapshotCreationBegin, -1, &i) == cb_func::Ok && begin_snapshot(index);
}

bool raft_server::impl::begin_snapshot(uint64_t index) {
    if (index == 0 || stopping_) return false;
    // A snapshot must not outlive, in a crash, the entries that it stands for.
    if (parallel_appending_ && index > store_->last_durable_index()) return false;
    if (creating_.exchange(true)) return false;
    const uint64_t term = store_->term_at(index);
    ptr<cluster_config> config;
    bool newer;
    {
        std::lock_guard<std::recursive_mutex> guard(lock_);
        config = raft_->config_at(index);
        const ptr<snapshot> last = raft_->last_snapshot();
        newer = !last || last->get_last_log_idx() < index;
    }
    if (!newer || term == 0 || !config) {
        if (newer) {
            SERVER_LOG(log_, log_error, "no snapshot at %lu: its %s is not known", index,
                       term == 0 ? "term" : "configuration");
        }
        creating_ = false;
        return false;
    }

    auto meta = cs_new<snapshot>(index, term, config);
    auto done = cs_new<std::atomic<bool>>(false);
    std::weak_ptr<impl> weak = weak_from_this();
    async_result<bool>::handler_type when_done = [weak, meta, done](bool& ok,
                                                                    ptr<std::exception>& error) {
        ptr<impl> self = weak.lock();
        if (self && !done->exchange(true)) {
            self->on_snapshot_created(meta->get_last_log_idx(), ok, error);
        }
    };
    SERVER_LOG(log_, log_info, "creating a snapshot at %lu, term %lu", index, term);
    try {
        state_machine_->create_snapshot(*meta, when_done);
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "create_snapshot at %lu threw: %s", index, e.what());
        if (!done->exchange(true)) on_snapshot_created(index, false, nullptr);
        return false;
    }
    return true;
}

void raft_server::impl::on_snapshot_created(uint64_t index, bool ok,
                                            const ptr<std::exception>& error) {
    const ptr<snapshot> last = ok && !error ? state_machine_->last_snapshot() : nullptr;
    if (last) {
        // The protocol learns of it first: then it can vouch for the last index that is dropped.
        enter(inputs::snapshot_created{last});
        if (!stopping_) compact_behind(last->get_last_log_idx());
    } else {
        SERVER_LOG(log_, log_error, "creating the snapshot at %lu failed: %s", index,
                   error ? error->what()
                         : (ok ? "last_snapshot() returned null" : "the state machine says so"));
    }
    creating_ = false;
    finish_scheduled(last ? index : 0, last ? cmd_result_code::OK : cmd_result_code::FAILED);
}

void raft_server::impl::compact_behind(uint64_t snapshot_index) {
    const uint64_t reserved =
        static_cast<uint64_t>(std::max(0, ctx_->get_params()->reserved_log_items_));
    if (snapshot_index <= reserved) return;
    const uint64_t through = snapshot_index - reserved;
    if (through < store_->start_index()) return;
    SERVER_LOG(log_, log_info, "compacting the log through %lu", through);
    try {
        store_->compact_async(through, [log = log_, through](bool& ok, ptr<std::exception>&) {
            if (!ok) SERVER_LOG(log, log_error, "compacting through %lu failed", through);
        });
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "compact_async through %lu threw: %s", through, e.what());
    }
}

uint64_t raft_server::impl::create_snapshot(bool serialize_commit) {
    if (stopping_) return 0;
    const bool held = serialize_commit && !on_commit_thread() && gate_.hold();
    const uint64_t index = gate_.applied();
    const bool begun = ask_and_begin_snapshot(index);
    if (held) gate_.release();
    return begun ? index : 0;
}

ptr<cmd_result<uint64_t>> raft_server::impl::schedule_snapshot() {
    std::lock_guard<std::mutex> guard(scheduled_lock_);
    if (scheduled_) return nullptr;
    auto result = cs_new<cmd_result<uint64_t>>();
    if (stopping_) {
        uint64_t none = 0;
        ptr<std::exception> no_error;
        result->set_result(none, no_error, cmd_result_code::CANCELLED);
        return result;
    }
    scheduled_ = result;
    is_scheduled_ = true;
    return result;
}

void raft_server::impl::finish_scheduled(uint64_t index, cmd_result_code code,
                                         bool even_if_not_begun) {
    ptr<cmd_result<uint64_t>> result;
    {
        std::lock_guard<std::mutex> guard(scheduled_lock_);
        if (!scheduled_running_ && !even_if_not_begun) return;
        result.swap(scheduled_);
        scheduled_running_ = false;
        is_scheduled_ = false;
    }
    ptr<std::exception> no_error;
    if (result) result->set_result(index, no_error, code);
}

void raft_server::impl::read_object(const protocol::read_object& r) {
    const bool raw = r.meta->get_type() == snapshot::raw_binary;
    if (!raw && ctx_->get_params()->use_bg_thread_for_snapshot_io_) {
        std::weak_ptr<impl> weak = weak_from_this();
        auto read = [weak, r] {
            if (ptr<impl> self = weak.lock()) self->read_object_now(r);
        };
        if (snapshot_io_queue::instance().push(owner_address_, r.peer, read)) return;
    }
    read_object_now(r);
}

void raft_server::impl::read_object_now(const protocol::read_object& r) {
    inputs::object_read result;
    result.transfer = r.transfer;
    result.object = r.object;
    const snapshot_transfers::object got =
        transfers_->read(r.transfer, *r.meta, r.object, ctx_->get_params()->snapshot_block_size_);
    result.data = got.data;
    result.last = got.last;
    enter(result);
}

}  // namespace nuraft
