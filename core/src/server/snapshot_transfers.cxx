#include "server/snapshot_transfers.hxx"

#include <algorithm>
#include <string>

#include "server/log.hxx"

namespace nuraft {

namespace {

constexpr uint64_t default_block_size = 4096;

/// Of this thread: a reading is on the stack, so `close` must not wait for it.
thread_local int reading_here = 0;

}  // namespace

snapshot_transfers::object snapshot_transfers::read(uint64_t transfer, snapshot& meta, uint64_t id,
                                                    int32_t block_size) {
    void* user_context;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (closed_) return {};
        open_transfer& t = open_[transfer];
        t.reading = true;
        user_context = t.user_context;
        ++readers_;
    }
    ++reading_here;
    object got;
    try {
        got = meta.get_type() == snapshot::raw_binary ? read_raw(meta, id, block_size)
                                                      : read_logical(meta, user_context, id);
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "reading object %lu of the snapshot at %lu threw: %s", id,
                   meta.get_last_log_idx(), e.what());
    }
    --reading_here;

    bool ended;
    {
        std::lock_guard<std::mutex> guard(lock_);
        open_transfer& t = open_[transfer];
        t.reading = false;
        t.user_context = user_context;
        ended = t.ended || closed_;
        if (ended) open_.erase(transfer);
    }
    if (ended) release(user_context);
    std::lock_guard<std::mutex> guard(lock_);
    --readers_;
    idle_.notify_all();
    return got;
}

snapshot_transfers::object snapshot_transfers::read_logical(snapshot& meta, void*& user_context,
                                                            uint64_t id) {
    ptr<buffer> data;
    bool last = false;
    const int rc = state_machine_->read_logical_snp_obj(meta, user_context, id, data, last);
    if (rc < 0 || !data) {
        SERVER_LOG(log_, log_error, "reading object %lu of the snapshot at %lu failed: %d", id,
                   meta.get_last_log_idx(), rc);
        return {};
    }
    data->pos(0);
    return {data, last};
}

/// An empty raw snapshot, or a block shorter than asked for, only ends the transfer: a follower's
/// need must not end the leader's process (B29).
snapshot_transfers::object snapshot_transfers::read_raw(snapshot& meta, uint64_t offset,
                                                        int32_t block_size) {
    if (offset >= meta.size()) {
        SERVER_LOG(log_, log_error, "the raw snapshot at %lu has %lu bytes; byte %lu was asked for",
                   meta.get_last_log_idx(), meta.size(), offset);
        return {};
    }
    const uint64_t block = block_size > 0 ? static_cast<uint64_t>(block_size) : default_block_size;
    const uint64_t wanted = std::min<uint64_t>(block, meta.size() - offset);
    ptr<buffer> data = buffer::alloc(wanted);
    const int got = state_machine_->read_snapshot_data(meta, offset, *data);
    if (got < 0 || static_cast<uint64_t>(got) < wanted) {
        SERVER_LOG(log_, log_error, "reading %lu bytes at %lu of the raw snapshot at %lu gave %d",
                   wanted, offset, meta.get_last_log_idx(), got);
        return {};
    }
    data->pos(0);
    return {data, offset + wanted == meta.size()};
}

void snapshot_transfers::release(void* user_context) {
    try {
        state_machine_->free_user_snp_ctx(user_context);
    } catch (const std::exception& e) {
        SERVER_LOG(log_, log_error, "free_user_snp_ctx threw: %s", e.what());
    }
}

void snapshot_transfers::free(uint64_t transfer) {
    void* user_context;
    {
        std::lock_guard<std::mutex> guard(lock_);
        auto found = open_.find(transfer);
        if (found == open_.end()) return;  // Nothing was read for it yet.
        if (found->second.reading) {
            found->second.ended = true;
            return;
        }
        user_context = found->second.user_context;
        open_.erase(found);
    }
    release(user_context);
}

void snapshot_transfers::close() {
    std::map<uint64_t, open_transfer> left;
    {
        std::unique_lock<std::mutex> guard(lock_);
        closed_ = true;
        idle_.wait(guard, [this] { return readers_ <= reading_here; });
        for (auto t = open_.begin(); t != open_.end();) {
            if (!t->second.reading) left.insert(*t);
            t = t->second.reading ? std::next(t) : open_.erase(t);
        }
    }
    for (auto& [number, t] : left) release(t.user_context);
}

}  // namespace nuraft
