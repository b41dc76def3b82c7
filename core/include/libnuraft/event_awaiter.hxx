#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace nuraft {

/// An event that happens once; `reset` makes it usable again. One waiter, any number of threads
/// that invoke it. After a wait has returned, also by running out of time, later waits return at
/// once until `reset`.
class EventAwaiter {
public:
    EventAwaiter() : done_(false) {}
    EventAwaiter(const EventAwaiter&) = delete;
    EventAwaiter& operator=(const EventAwaiter&) = delete;

    void reset() {
        std::lock_guard<std::mutex> guard(lock_);
        done_ = false;
    }

    void wait() {
        std::unique_lock<std::mutex> guard(lock_);
        invoked_.wait(guard, [this] { return done_; });
    }

    /// 0: no limit.
    void wait_ms(size_t time_ms) { wait_for(std::chrono::milliseconds(time_ms)); }
    /// 0: no limit.
    void wait_us(size_t time_us) { wait_for(std::chrono::microseconds(time_us)); }

    void invoke() {
        std::lock_guard<std::mutex> guard(lock_);
        done_ = true;
        invoked_.notify_all();
    }

private:
    template <typename Duration>
    void wait_for(Duration limit) {
        // Longer than that is no limit either, and would overflow the clock.
        if (limit <= Duration::zero() || limit > std::chrono::hours(24 * 365)) return wait();
        std::unique_lock<std::mutex> guard(lock_);
        invoked_.wait_for(guard, limit, [this] { return done_; });
        done_ = true;
    }

    std::mutex lock_;
    std::condition_variable invoked_;
    bool done_;
};

}  // namespace nuraft
