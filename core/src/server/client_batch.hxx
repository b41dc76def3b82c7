#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "async.hxx"
#include "buffer.hxx"
#include "raft_server.hxx"

namespace nuraft {

/// The entries of one client request from acceptance to result. Only the last entry has a result.
/// Thread-safe.
class client_batch {
public:
    using command_result = cmd_result<ptr<buffer>>;

    /// `blocking` is the delivery mode, fixed here for good (B1).
    client_batch(const raft_server::req_ext_params& ext, bool blocking)
        : ext(ext), blocking(blocking), result(cs_new<command_result>()) {}

    const raft_server::req_ext_params ext;
    const bool blocking;
    /// Pending until `finish`, accepted from the start.
    const ptr<command_result> result;

    // Set once, before any other thread knows the batch.
    uint64_t last_index = 0;
    uint64_t term = 0;
    /// Answered with the value of `pre_commit` as soon as the entries are in the log.
    bool at_append = false;

    /// The last entry is applied, with this result; for `deliver`, in the same thread.
    void set_result(ptr<buffer> value, cmd_result_code code);
    /// `finish` with what was set.
    void deliver() { finish(applied_value_, applied_code_); }
    bool is_applied() const { return applied_; }
    /// Completes the result; the first call wins. Runs the handlers in the calling thread.
    void finish(ptr<buffer> value, cmd_result_code code);
    /// The entries are in the log store and pre-committed, or never will be.
    void mark_written();
    void wait_written();
    /// Waits until the result is complete; 0: no limit. False: time is over.
    bool wait_finished(int32_t timeout_ms);

private:
    bool applied_ = false;  ///< Guarded by the lock of `client_batches`, as the next two.
    ptr<buffer> applied_value_;
    cmd_result_code applied_code_ = cmd_result_code::OK;

    std::atomic<bool> claimed_{false};
    std::mutex lock_;
    // Apart, because the write is no news for those who wait for the result. Whoever notifies has
    // let go of the lock, lest the woken thread falls asleep again on it.
    std::condition_variable finish_;
    std::condition_variable write_;
    bool finished_ = false;  ///< Guarded by `lock_`, as the next.
    bool written_ = false;
};

/// The accepted batches that have no result yet. Thread-safe; results are completed by the caller,
/// outside the lock.
class client_batches {
public:
    /// `proposal` is the number under which the batch was proposed.
    void add(uint64_t proposal, const ptr<client_batch>& batch);
    /// The batch whose write was just carried out; null if it is not ours.
    ptr<client_batch> take_unwritten(uint64_t proposal);
    /// An entry was applied. Batches that end with it have this result; those of another term have
    /// none, because another leader's entry has taken their place.
    void set_results(uint64_t index, uint64_t term, const ptr<buffer>& value);
    /// The batches up to `through` that are applied, in index order.
    std::vector<ptr<client_batch>> take_deliverable(uint64_t through);
    /// The batches that end at `index`.
    std::vector<ptr<client_batch>> take_applied(uint64_t index);
    /// Batches with an index above `above` and a term of at most `term`, which this server lost
    /// with its leadership; in index order.
    std::vector<ptr<client_batch>> take_lost(uint64_t above, uint64_t term);
    /// Batches up to `index`, which an installed snapshot has jumped over; in index order.
    std::vector<ptr<client_batch>> take_until(uint64_t index);
    /// All of them, in index order.
    std::vector<ptr<client_batch>> take_all();

private:
    std::mutex lock_;
    std::map<uint64_t, ptr<client_batch>> unwritten_;         ///< By proposal. Guarded by `lock_`.
    std::multimap<uint64_t, ptr<client_batch>> undelivered_;  ///< By last index. Likewise.
};

}  // namespace nuraft
