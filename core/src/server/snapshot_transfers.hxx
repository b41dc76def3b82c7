#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>

#include "logger.hxx"
#include "ptr.hxx"
#include "state_machine.hxx"

namespace nuraft {

/// The transfers for which the state machine may hold a context of its own, and the reading for
/// them. A context is freed once, and never while an object is read for its transfer: whoever frees
/// it meanwhile leaves that to the reader. Thread-safe; no lock is held while the program's code
/// runs.
class snapshot_transfers {
public:
    struct object {
        ptr<buffer> data;  ///< Null: reading failed, which was logged.
        bool last = false;
    };

    snapshot_transfers(ptr<state_machine> sm, ptr<logger> log)
        : state_machine_(std::move(sm)), log_(std::move(log)) {}

    /// Reads one object of `meta`; of a raw snapshot the `block_size` bytes (0: 4096) from byte
    /// `id` on. One reading for a transfer at a time.
    object read(uint64_t transfer, snapshot& meta, uint64_t id, int32_t block_size);
    /// The transfer has ended.
    void free(uint64_t transfer);
    /// Waits for what is being read, unless that is the caller, frees everything and reads nothing
    /// any more.
    void close();

private:
    struct open_transfer {
        void* user_context = nullptr;
        bool reading = false;
        bool ended = false;
    };

    object read_logical(snapshot& meta, void*& user_context, uint64_t id);
    object read_raw(snapshot& meta, uint64_t offset, int32_t block_size);
    void release(void* user_context);

    const ptr<state_machine> state_machine_;
    const ptr<logger> log_;
    std::mutex lock_;
    std::condition_variable idle_;
    std::map<uint64_t, open_transfer> open_;  ///< Guarded by `lock_`, as all below.
    int readers_ = 0;
    bool closed_ = false;
};

}  // namespace nuraft
