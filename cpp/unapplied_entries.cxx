#include "raft3d/unapplied_entries.hxx"

#include <utility>

namespace raft3d {

using nuraft::log_entry;
using nuraft::ptr;

namespace {

/// More are not kept for a state machine that is slow or a leader that does not commit.
constexpr size_t entries_max = 8192;
constexpr size_t bytes_max = 8 << 20;

size_t bytes_of(const log_entry& entry) {
    return entry.is_buf_null() ? 0 : entry.get_buf().size();
}

}  // namespace

void unapplied_entries::put(uint64_t index, ptr<log_entry> entry) {
    std::lock_guard<std::mutex> guard(mutex_);
    while (!entries_.empty() && first_ + entries_.size() > index) pop_back();
    while (!entries_.empty() && first_ + entries_.size() < index) pop_front();
    if (entries_.empty()) first_ = index;
    bytes_ += bytes_of(*entry);
    entries_.push_back(std::move(entry));
    while (entries_.size() > entries_max || bytes_ > bytes_max) pop_front();
}

ptr<log_entry> unapplied_entries::take(uint64_t index) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (index < first_ || index >= first_ + entries_.size()) return nullptr;
    while (first_ < index) pop_front();
    ptr<log_entry> taken = entries_.front();
    pop_front();
    return taken;
}

void unapplied_entries::drop_from(uint64_t index) {
    std::lock_guard<std::mutex> guard(mutex_);
    while (!entries_.empty() && first_ + entries_.size() > index) pop_back();
}

void unapplied_entries::pop_front() {
    bytes_ -= bytes_of(*entries_.front());
    entries_.pop_front();
    ++first_;
}

void unapplied_entries::pop_back() {
    bytes_ -= bytes_of(*entries_.back());
    entries_.pop_back();
}

}  // namespace raft3d
