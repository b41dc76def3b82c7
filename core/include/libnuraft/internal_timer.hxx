#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace nuraft {

/// A stop watch on the monotonic clock, with a duration to compare to. Thread-safe.
struct timer_helper {
    /// Starts now. `fire_first_event`: the first question for a timeout is answered with yes.
    timer_helper(size_t duration_us = 0, bool fire_first_event = false);

    static void sleep_us(size_t us);
    static void sleep_ms(size_t ms);
    static void sleep_sec(size_t sec);

    /// Starts again, `offset_ms` from now; a negative offset lies in the past.
    void reset(int64_t offset_ms = 0);

    size_t get_duration_us() const;
    void set_duration_us(size_t us);
    void set_duration_ms(size_t ms);
    void set_duration_sec(size_t sec);

    /// Time since the start; 0 while the start lies in the future.
    uint64_t get_us() const;
    uint64_t get_ms() const;
    uint64_t get_sec() const;

    /// More than the duration has passed.
    bool timeout() const;
    /// The same; starts again if so. The answer that `fire_first_event` gives does not restart it.
    bool timeout_and_reset();

    /// Wall clock, microseconds since the epoch.
    static uint64_t get_timeofday_us();

    std::chrono::time_point<std::chrono::steady_clock> t_created_;
    size_t duration_us_;
    mutable bool first_event_fired_;
    mutable std::mutex lock_;
};

}  // namespace nuraft
