#pragma once

#include <cstdint>
#include <vector>

#include "buffer.hxx"
#include "log_entry.hxx"
#include "ptr.hxx"

namespace nuraft {
namespace protocol {

/// Read access to what the log store holds at the moment. The protocol reads it during a step and
/// lays the entries that it has asked to be written, but that are not stored yet, over it
/// (see log_tail.hxx).
class log_view {
public:
    virtual ~log_view() = default;

    /// First index still in the store, at least 1.
    virtual uint64_t start_index() const = 0;

    /// Last index in the store plus one.
    virtual uint64_t next_index() const = 0;

    /// Term of a stored entry; 0 if it is not in the store.
    virtual uint64_t term_at(uint64_t index) const = 0;

    /// Entries [first, end), or a non-empty prefix of them when `size_hint_bytes` > 0. Null: some
    /// entry is not in the store any more.
    virtual ptr<std::vector<ptr<log_entry>>> entries(uint64_t first, uint64_t end,
                                                     int64_t size_hint_bytes) const = 0;

    /// The store's own encoding of `count` entries from `first`, for a joining server. Null:
    /// not available.
    virtual ptr<buffer> pack(uint64_t first, int32_t count) const = 0;
};

}  // namespace protocol
}  // namespace nuraft
