#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace sim {

/// Virtual time in microseconds.
using time_us = int64_t;
constexpr time_us ms = 1000;

/// What is going to happen, in order of time and then of scheduling.
class event_queue {
public:
    time_us now() const { return now_; }
    uint64_t fired() const { return fired_; }

    void after(time_us delay, std::function<void()> what) {
        events_.push(event{now_ + (delay < 0 ? 0 : delay), next_++, std::move(what)});
    }

    /// Runs the next event if it is due at or before `until`; false: there is none.
    bool run_one(time_us until) {
        if (events_.empty() || events_.top().at > until) {
            now_ = until;
            return false;
        }
        event next = events_.top();
        events_.pop();
        now_ = next.at;
        ++fired_;
        next.what();
        return true;
    }

private:
    struct event {
        time_us at;
        uint64_t number;
        std::function<void()> what;
        bool operator<(const event& o) const { return at != o.at ? at > o.at : number > o.number; }
    };

    std::priority_queue<event> events_;
    time_us now_ = 0;
    uint64_t next_ = 0;
    uint64_t fired_ = 0;
};

}  // namespace sim
