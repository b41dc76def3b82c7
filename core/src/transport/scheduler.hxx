#pragma once

#include <asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "delayed_task.hxx"
#include "transport/service_core.hxx"

namespace nuraft {
namespace transport {

/// Runs tasks once after a delay, on a worker, one after the other. A task has at most one pending
/// run.
///
/// One timer of the system serves all. It may run out before the first task is due, and is set anew
/// then: so a task that is put off again and again, as an election is, costs no system call.
class scheduler : public closable, public std::enable_shared_from_this<scheduler> {
public:
    explicit scheduler(std::shared_ptr<service_core> core) : core_(std::move(core)) {}

    /// Un-cancels the task and replaces its pending run. A negative delay counts as none. Ignored
    /// once the service is stopped.
    void schedule(const ptr<delayed_task>& task, int32 milliseconds);
    /// Drops the pending run. One that has begun, or is about to, is not waited for.
    void cancel(const ptr<delayed_task>& task);
    /// Drops all pending runs and refuses new ones.
    void close() override;

private:
    using clock = std::chrono::steady_clock;
    using pending_runs = std::multimap<clock::time_point, ptr<delayed_task>>;

    ptr<delayed_task> take(delayed_task* task);
    void set_timer(clock::time_point at);
    void fire();

    const std::shared_ptr<service_core> core_;
    std::mutex lock_;  // guards the rest, and the timer's use
    bool closed_ = false;
    pending_runs pending_;
    std::unordered_map<delayed_task*, pending_runs::iterator> places_;  // in pending_
    std::unique_ptr<asio::steady_timer> timer_;  // null before the first run and once closed
    clock::time_point timer_end_ = clock::time_point::max();  // max: it does not run
};

}  // namespace transport
}  // namespace nuraft
