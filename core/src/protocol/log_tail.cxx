#include "protocol/log_tail.hxx"

#include <algorithm>

namespace nuraft {
namespace protocol {

log_tail::log_tail(const log_view& store) : store_(store) {}

uint64_t log_tail::start_index() const {
    return store_.start_index();
}

uint64_t log_tail::last_index() const {
    return pending_.empty() ? store_.next_index() - 1 : tail_first_ + tail_.size() - 1;
}

uint64_t log_tail::term_at(uint64_t index) const {
    if (pending_.empty() || index < tail_first_) {
        return index < store_.start_index() || index > last_index() ? 0 : store_.term_at(index);
    }
    const uint64_t at = index - tail_first_;
    return at < tail_.size() ? tail_[at]->get_term() : 0;
}

ptr<std::vector<ptr<log_entry>>> log_tail::entries(uint64_t first, uint64_t end,
                                                   int64_t size_hint_bytes) const {
    if (size_hint_bytes < 0 || first >= end) return cs_new<std::vector<ptr<log_entry>>>();
    if (pending_.empty() || end <= tail_first_) {
        return store_.entries(first, end, size_hint_bytes);
    }

    auto found = cs_new<std::vector<ptr<log_entry>>>();
    int64_t bytes = 0;
    if (first < tail_first_) {
        ptr<std::vector<ptr<log_entry>>> stored =
            store_.entries(first, tail_first_, size_hint_bytes);
        if (!stored || stored->size() < tail_first_ - first) return stored;
        *found = *stored;
        for (const ptr<log_entry>& e : *found) bytes += e->is_buf_null() ? 0 : e->get_buf().size();
        first = tail_first_;
    }
    for (; first < end && first - tail_first_ < tail_.size(); ++first) {
        if (size_hint_bytes > 0 && bytes >= size_hint_bytes && !found->empty()) break;
        const ptr<log_entry>& e = tail_[first - tail_first_];
        bytes += e->is_buf_null() ? 0 : e->get_buf().size();
        found->push_back(e);
    }
    return found;
}

uint64_t log_tail::write(uint64_t first, const std::vector<ptr<log_entry>>& entries) {
    const bool cuts = first <= last_index();
    if (pending_.empty() || first < tail_first_) {
        tail_first_ = first;
        tail_.clear();
    } else {
        tail_.resize(first - tail_first_);
    }
    tail_.insert(tail_.end(), entries.begin(), entries.end());
    const uint64_t number = next_number_++;
    if (cuts) newest_cut_ = number;
    pending_.push_back({number, first, first + entries.size()});
    return number;
}

void log_tail::stored(uint64_t number) {
    while (!pending_.empty() && pending_.front().number <= number) pending_.pop_front();
    if (pending_.empty()) {
        tail_.clear();
        return;
    }
    uint64_t first = pending_.front().first;
    for (const pending_write& w : pending_) first = std::min(first, w.first);
    while (tail_first_ < first && !tail_.empty()) {
        tail_.pop_front();
        ++tail_first_;
    }
}

uint64_t log_tail::durable(uint64_t index, uint64_t seen) const {
    // A report from before the log was cut may speak of entries that are gone; the next one tells.
    return seen < newest_cut_ ? 0 : std::min(index, last_index());
}

void log_tail::reset(bool emptied) {
    if (emptied) newest_cut_ = next_number_;
    pending_.clear();
    tail_.clear();
}

}  // namespace protocol
}  // namespace nuraft
