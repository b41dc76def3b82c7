#pragma once

#include <exception>
#include <vector>

#include "async.hxx"
#include "basic_types.hxx"
#include "buffer.hxx"
#include "log_entry.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// The log of one server; the program implements it. Indexes start at 1.
///
/// All members must be safe to call concurrently and must not call back into the server. Unless
/// `raft_params::parallel_log_appending_` is on, what `append` and `write_at` stored counts as
/// durable when they return, at the latest when `end_of_append_batch` returns. The store may keep
/// the entries it is given; the server moves the cursors of payloads it reads.
class log_store {
    __interface_body__(log_store);

public:
    /// Last index + 1; 1 for a fresh store. Called very often: must be cheap.
    virtual ulong next_slot() const = 0;

    /// First index still held, at least 1. After compaction up to n at least n + 1, also when the
    /// store is empty.
    virtual ulong start_index() const = 0;

    /// Never null; a dummy of term 0 if the store is empty.
    virtual ptr<log_entry> last_entry() const = 0;

    /// Returns the new entry's index.
    virtual ulong append(ptr<log_entry>& entry) = 0;

    /// Overwrites, and discards everything after `index`.
    virtual void write_at(ulong index, ptr<log_entry>& entry) = 0;

    /// The `cnt` entries from `start` on, appended one by one, were one request.
    virtual void end_of_append_batch(ulong start, ulong cnt) {
        (void)start;
        (void)cnt;
    }

    /// [start, end); null if some entry is not available.
    virtual ptr<std::vector<ptr<log_entry>>> log_entries(ulong start, ulong end) = 0;

    /// A prefix of [start, end): all of it for hint 0, at least one entry and no more than reach
    /// the hint in payload bytes if it is positive, none if it is negative. Null if some entry is
    /// not available.
    virtual ptr<std::vector<ptr<log_entry>>> log_entries_ext(ulong start, ulong end,
                                                             int64 batch_size_hint_in_bytes = 0) {
        (void)batch_size_hint_in_bytes;
        return log_entries(start, end);
    }

    /// Null if `index` is not in the store.
    virtual ptr<log_entry> entry_at(ulong index) = 0;

    /// 0 if `index` is below `start_index()`.
    virtual ulong term_at(ulong index) = 0;

    /// The store's own encoding of `cnt` entries from `index`, for a joining server.
    virtual ptr<buffer> pack(ulong index, int32 cnt) = 0;

    /// Installs such a pack from `index` on, in place of whatever is there.
    virtual void apply_pack(ulong index, buffer& pack) = 0;

    /// Drops everything up to and including `last_log_index`. If the store ends before that, the
    /// next index becomes `last_log_index + 1`. False: failed.
    virtual bool compact(ulong last_log_index) = 0;

    /// May return early, but `start_index()` must show the compaction by then. Calls `when_done`
    /// once, from any thread.
    virtual void compact_async(ulong last_log_index,
                               const async_result<bool>::handler_type& when_done) {
        bool done = compact(last_log_index);
        ptr<std::exception> no_error;
        when_done(done, no_error);
    }

    /// Makes everything durable before it returns. False: failed.
    virtual bool flush() = 0;

    /// Consulted with `raft_params::parallel_log_appending_`.
    virtual ulong last_durable_index() { return next_slot() - 1; }
};

}  // namespace nuraft
