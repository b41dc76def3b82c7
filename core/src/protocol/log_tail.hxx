#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "log_entry.hxx"
#include "protocol/log_view.hxx"

namespace nuraft {
namespace protocol {

/// The log as the protocol sees it: what the store holds, overlaid with the writes that were asked
/// for and have not reached the store yet.
class log_tail {
public:
    explicit log_tail(const log_view& store);

    uint64_t start_index() const;
    uint64_t last_index() const;
    /// 0 if the entry is not in the log.
    uint64_t term_at(uint64_t index) const;
    /// [first, end) or a prefix; null if some entry was compacted away.
    ptr<std::vector<ptr<log_entry>>> entries(uint64_t first, uint64_t end,
                                             int64_t size_hint_bytes) const;
    ptr<buffer> pack(uint64_t first, int32_t count) const { return store_.pack(first, count); }

    /// Replaces everything from `first` on. Returns the write's number, counted from 1.
    uint64_t write(uint64_t first, const std::vector<ptr<log_entry>>& entries);
    /// The store holds write `number` and all before it.
    void stored(uint64_t number);
    /// What a durability report from a store that has seen writes up to `seen` still says of the
    /// log as it is now; 0: nothing. Reports may come late.
    uint64_t durable(uint64_t index, uint64_t seen) const;
    /// The store was changed behind our back, by a snapshot or a pack; nothing is pending.
    /// `emptied`: it holds none of the entries that were written so far.
    void reset(bool emptied);

private:
    struct pending_write {
        uint64_t number;
        uint64_t first;
        uint64_t end;
    };

    const log_view& store_;
    std::deque<pending_write> pending_;
    uint64_t tail_first_ = 0;  ///< Index of tail_.front(); meaningless while pending_ is empty.
    std::deque<ptr<log_entry>> tail_;
    uint64_t next_number_ = 1;
    uint64_t newest_cut_ = 0;  ///< Number of the newest write that discarded entries.
};

}  // namespace protocol
}  // namespace nuraft
