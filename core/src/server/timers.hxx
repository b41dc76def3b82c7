#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "delayed_task_scheduler.hxx"
#include "protocol/effects.hxx"

namespace nuraft {

/// The timers of one server on the program's scheduler: at most one run of each (kind, peer) is
/// pending. Thread-safe.
class timers {
public:
    using fire = std::function<void(protocol::timer_kind, int32_t peer)>;

    explicit timers(ptr<delayed_task_scheduler> scheduler)
        : scheduler_(std::move(scheduler)), shared_(cs_new<shared>()) {}

    /// Before the first change. `f` runs on the scheduler's thread, without locks, for runs that
    /// were neither cancelled nor replaced. It must not keep its server alive.
    void on_fire(fire f) { shared_->on_fire = std::move(f); }

    /// A negative delay cancels.
    void change(const protocol::timer_change& to);
    /// Cancels everything, lets go of the scheduler, and ignores later changes.
    void stop();

private:
    using key = std::pair<protocol::timer_kind, int32_t>;
    struct run {
        uint64_t generation = 0;
        ptr<delayed_task> task;
    };
    /// Outlives this object in runs that a scheduler still holds.
    struct shared {
        std::mutex lock;
        std::map<key, run> runs;  ///< Guarded by `lock`.
        fire on_fire;
    };

    ptr<delayed_task_scheduler> scheduler_;  ///< Guarded by `shared_->lock`.
    uint64_t next_generation_ = 1;           ///< Likewise.
    ptr<shared> shared_;
};

}  // namespace nuraft
