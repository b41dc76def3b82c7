#include "memory_parts.hxx"

#include <cstdlib>
#include <iostream>

namespace bench {

ptr<buffer> memory_log::pack(ulong index, int32 count) {
    std::vector<ptr<buffer>> parts;
    size_t size = sizeof(int32);
    {
        std::lock_guard<std::mutex> guard(lock_);
        for (ulong i = index; i < index + static_cast<ulong>(count) && i <= entries_.size(); ++i) {
            parts.push_back(entries_[i - 1]->serialize());
            size += sizeof(int32) + parts.back()->size();
        }
    }
    ptr<buffer> all = buffer::alloc(size);
    all->put(static_cast<int32>(parts.size()));
    for (const ptr<buffer>& part : parts) all->put(part->data_begin(), part->size());
    all->pos(0);
    return all;
}

void memory_log::apply_pack(ulong index, buffer& pack) {
    pack.pos(0);
    const int32 count = pack.get_int();
    std::lock_guard<std::mutex> guard(lock_);
    entries_.resize(index - 1, nothing());
    for (int32 i = 0; i < count; ++i) {
        size_t size = 0;
        const byte* bytes = pack.get_bytes(size);
        ptr<buffer> part = buffer::alloc(size);
        part->put_raw(bytes, size);
        part->pos(0);
        entries_.push_back(log_entry::deserialize(*part));
    }
}

void memory_state::system_exit(const int exit_code) {
    std::cerr << "server " << id_ << " cannot go on: code " << exit_code << std::endl;
    std::_Exit(EXIT_FAILURE);
}

}  // namespace bench
