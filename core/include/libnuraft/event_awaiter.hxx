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

    void wait() { wait_us(0); }
    /// 0: no limit.
    void wait_ms(size_t time_ms) { wait_us(time_ms * 1000); }
    /// 0: no limit.
    void wait_us(size_t time_us) {
        std::unique_lock<std::mutex> guard(lock_);
        if (time_us == 0) {
            invoked_.wait(guard, [this] { return done_; });
        } else {
            invoked_.wait_for(guard, std::chrono::microseconds(time_us), [this] { return done_; });
            done_ = true;
        }
    }

    void invoke() {
        std::lock_guard<std::mutex> guard(lock_);
        done_ = true;
        invoked_.notify_all();
    }

private:
    std::mutex lock_;
    std::condition_variable invoked_;
    bool done_;
};

}  // namespace nuraft
