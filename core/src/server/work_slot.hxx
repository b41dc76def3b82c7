#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace nuraft {

/// One kind of a server's background work, done by one of a pool's workers at a time. Thread-safe;
/// takes no other lock.
class work_slot {
public:
    /// False: somebody else is at it and will be told that there is more to do, or the slot is
    /// closed.
    bool enter() {
        std::lock_guard<std::mutex> guard(lock_);
        if (closed_) return false;
        if (busy_) {
            more_ = true;
            return false;
        }
        busy_ = true;
        worker_ = std::this_thread::get_id();
        return true;
    }

    /// True: somebody was turned away meanwhile, so there may be more to do.
    bool leave() {
        std::lock_guard<std::mutex> guard(lock_);
        busy_ = false;
        worker_ = std::thread::id();
        idle_.notify_all();
        const bool more = more_;
        more_ = false;
        return more && !closed_;
    }

    /// For good. Waits for the worker that is at it, unless that is the caller.
    void close() {
        std::unique_lock<std::mutex> guard(lock_);
        closed_ = true;
        idle_.wait(guard, [this] { return !busy_ || worker_ == std::this_thread::get_id(); });
    }

private:
    std::mutex lock_;
    std::condition_variable idle_;
    bool busy_ = false;  ///< Guarded by `lock_`, as all below.
    bool more_ = false;
    bool closed_ = false;
    std::thread::id worker_;
};

}  // namespace nuraft
