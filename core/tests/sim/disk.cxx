#include "disk.hxx"

#include <algorithm>

namespace sim {

using namespace nuraft;

uint64_t mix(uint64_t hash, uint64_t value) {
    for (int i = 0; i < 8; ++i) {
        hash = (hash ^ ((value >> (8 * i)) & 0xff)) * 0x100000001b3ull;
    }
    return hash;
}

uint64_t content_hash(const log_entry& entry) {
    uint64_t hash = mix(0xcbf29ce484222325ull, entry.get_val_type());
    if (entry.is_buf_null()) return hash;
    const buffer& payload = entry.get_buf();
    const uint8_t* bytes = payload.data_begin();
    for (size_t i = 0; i < payload.size(); ++i) {
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    }
    return hash;
}

ptr<log_entry> copy_entry(const log_entry& entry) {
    ptr<buffer> payload = entry.is_buf_null() ? nullptr : buffer::clone(entry.get_buf());
    return cs_new<log_entry>(entry.get_term(), payload, entry.get_val_type(), entry.get_timestamp(),
                             entry.has_crc32(), entry.get_crc32(), false);
}

uint64_t disk::term_at(uint64_t index) const {
    if (index < start_ || index >= next_index()) return 0;
    return stored_[index - start_].term();
}

ptr<std::vector<ptr<log_entry>>> disk::entries(uint64_t first, uint64_t end,
                                               int64_t size_hint_bytes) const {
    if (first < start_ || end > next_index()) return nullptr;
    auto found = cs_new<std::vector<ptr<log_entry>>>();
    if (size_hint_bytes < 0) return found;
    int64_t bytes = 0;
    for (uint64_t i = first; i < end; ++i) {
        const ptr<log_entry>& entry = stored_[i - start_].entry;
        bytes += entry->is_buf_null() ? 0 : static_cast<int64_t>(entry->get_buf().size());
        found->push_back(entry);
        if (size_hint_bytes > 0 && bytes >= size_hint_bytes) break;
    }
    return found;
}

ptr<buffer> disk::pack(uint64_t first, int32_t count) const {
    const uint64_t end = first + static_cast<uint64_t>(count);
    if (count <= 0 || first < start_ || end > next_index()) return nullptr;
    std::vector<ptr<buffer>> parts;
    size_t size = sz_int;
    for (uint64_t i = first; i < end; ++i) {
        parts.push_back(stored_[i - start_].entry->serialize());
        size += sz_int + parts.back()->size();
    }
    ptr<buffer> packed = buffer::alloc(size);
    packed->put(static_cast<int32>(count));
    for (const ptr<buffer>& part : parts) {
        packed->put(static_cast<int32>(part->size()));
        part->pos(0);
        packed->put(*part);
    }
    packed->pos(0);
    return packed;
}

void disk::queue(const protocol::log_write& write) {
    queued_write q{write.number, write.first, {}};
    for (const ptr<log_entry>& entry : write.entries) {
        q.entries.push_back({copy_entry(*entry), content_hash(*entry)});
    }
    queued_.push_back(std::move(q));
}

uint64_t disk::store_next() {
    queued_write write = std::move(queued_.front());
    queued_.pop_front();
    last_stored_write_ = write.number;
    if (write.first < next_index()) {
        const uint64_t first = std::max(write.first, start_);
        stored_.resize(first - start_);
        unsynced_.push_back({true, first, {}});
    }
    for (size_t i = 0; i < write.entries.size(); ++i) {
        const uint64_t index = write.first + i;
        if (index < start_) continue;
        stored_.push_back(write.entries[i]);
        unsynced_.push_back({false, index, write.entries[i]});
    }
    return write.number;
}

uint64_t disk::settled_next() const {
    uint64_t next = next_index();
    for (const queued_write& write : queued_) next = std::min(next, write.first);
    return next;
}

void disk::apply_to_disk(const operation& op) {
    if (op.truncate) {
        const uint64_t first = std::max(op.index, durable_start_);
        if (first < durable_next()) durable_.resize(first - durable_start_);
    } else if (op.index >= durable_start_) {
        durable_.push_back(op.entry);
    }
}

void disk::sync(uint64_t operations) {
    while (operations-- > 0 && !unsynced_.empty()) {
        apply_to_disk(unsynced_.front());
        unsynced_.pop_front();
    }
}

uint64_t disk::durable_index() const {
    uint64_t index = durable_next() - 1;
    for (const operation& op : unsynced_) {
        if (op.truncate) index = std::min(index, op.index - 1);
    }
    return std::max(index, durable_start_ - 1);
}

void disk::compact(uint64_t last) {
    if (last < start_) return;
    while (start_ <= last && !stored_.empty()) {
        stored_.pop_front();
        ++start_;
    }
    start_ = std::max(start_, last + 1);
    while (durable_start_ <= last && !durable_.empty()) {
        durable_.pop_front();
        ++durable_start_;
    }
    durable_start_ = std::max(durable_start_, last + 1);
}

void disk::install(uint64_t last, bool all) {
    while (has_queued()) store_next();
    if (!all) {
        compact(last);
        return;
    }
    stored_.clear();
    durable_.clear();
    unsynced_.clear();
    start_ = durable_start_ = last + 1;
}

bool disk::install_pack(uint64_t first, buffer& pack) {
    pack.pos(0);
    std::vector<stored_entry> unpacked;
    const int32 count = pack.get_int();
    for (int32 i = 0; i < count; ++i) {
        ptr<buffer> part = buffer::alloc(static_cast<size_t>(pack.get_int()));
        pack.get(part);
        part->pos(0);
        ptr<log_entry> entry = log_entry::deserialize(*part);
        unpacked.push_back({entry, content_hash(*entry)});
    }
    if (first < start_ || first > next_index()) return false;
    sync(unsynced_.size());
    stored_.resize(first - start_);
    stored_.insert(stored_.end(), unpacked.begin(), unpacked.end());
    durable_ = stored_;
    return true;
}

void disk::add_snapshot(const snapshot_image& image) {
    snapshots.push_back(image);
    if (snapshots.size() > 3) snapshots.pop_front();
}

ptr<snapshot> disk::last_snapshot() const {
    return snapshots.empty() ? nullptr : snapshots.back().meta;
}

uint64_t disk::snapshot_index() const {
    return snapshots.empty() ? 0 : snapshots.back().meta->get_last_log_idx();
}

void disk::crash(dice& d) {
    sync(d.below(unsynced_.size() + 1));
    unsynced_.clear();
    queued_.clear();
    stored_ = durable_;
    start_ = durable_start_;
    last_stored_write_ = 0;
}

const disk::stored_entry* disk::logical_at(uint64_t index) const {
    for (auto q = queued_.rbegin(); q != queued_.rend(); ++q) {
        if (index < q->first) continue;
        const uint64_t offset = index - q->first;
        return offset < q->entries.size() ? &q->entries[offset] : nullptr;
    }
    if (index < start_ || index >= next_index()) return nullptr;
    return &stored_[index - start_];
}

uint64_t disk::logical_next() const {
    if (queued_.empty()) return next_index();
    return std::max(start_, queued_.back().first + queued_.back().entries.size());
}

const disk::stored_entry* disk::durable_at(uint64_t index) const {
    if (index < durable_start_ || index >= durable_next()) return nullptr;
    return &durable_[index - durable_start_];
}

}  // namespace sim
