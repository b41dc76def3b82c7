#pragma once

#include <cstdint>
#include <deque>
#include <libnuraft/nuraft.hxx>
#include <mutex>

namespace raft3d {

/// The newest entries of a log, from the time they are appended until they are read to be applied,
/// which happens once, in order, and mostly soon: then nothing has to be brought back over the
/// bridge. What is not here is in the log. All methods may be called from any thread.
///
/// An entry is handed out only once, because its buffer has a cursor that whoever applies it moves.
class unapplied_entries {
public:
    /// Entry `index` was appended.
    void put(uint64_t index, nuraft::ptr<nuraft::log_entry> entry);

    /// Entry `index`, if it is here; those before it are forgotten.
    nuraft::ptr<nuraft::log_entry> take(uint64_t index);

    /// Forgets the entries from `index` on: they are removed from the log.
    void drop_from(uint64_t index);

private:
    std::mutex mutex_;
    uint64_t first_ = 0;  ///< Index of the first of `entries_`. Guarded by `mutex_`, as the next.
    std::deque<nuraft::ptr<nuraft::log_entry>> entries_;
    size_t bytes_ = 0;  ///< The payloads of `entries_` together.

    void pop_front();
    void pop_back();
};

}  // namespace raft3d
