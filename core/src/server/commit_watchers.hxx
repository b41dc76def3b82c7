#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "async.hxx"

namespace nuraft {

/// Those who wait for an index to be applied. Thread-safe; results are completed outside the lock.
class commit_watchers {
public:
    using watch_result = cmd_result<bool>;

    /// `applied` tells the last applied index; it is asked under the lock that `complete` takes, so
    /// that no index slips through between.
    ptr<watch_result> add(uint64_t index, const std::function<uint64_t()>& applied);
    /// With true: everything up to `applied`, also where indexes were skipped (B27).
    void complete(uint64_t applied);
    /// With false and `CANCELLED`: everything, and whatever is added later.
    void cancel();

private:
    std::mutex lock_;
    bool cancelled_ = false;                              ///< Guarded by `lock_`.
    std::multimap<uint64_t, ptr<watch_result>> waiting_;  ///< Likewise.
};

}  // namespace nuraft
