#pragma once

#include <asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "delayed_task.hxx"
#include "transport/service_core.hxx"

namespace nuraft {
namespace transport {

/// Runs tasks once after a delay, on a worker. A task has at most one pending run.
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
    struct pending_run {
        uint64_t number = 0;
        ptr<delayed_task> task;  // alive while pending, so its address names it
        std::unique_ptr<asio::steady_timer> timer;
    };
    using pending_runs = std::unordered_map<delayed_task*, pending_run>;

    void fire(delayed_task* key, uint64_t number);

    const std::shared_ptr<service_core> core_;
    std::mutex lock_;  // guards the rest, and the timers' use
    bool closed_ = false;
    uint64_t last_number_ = 0;
    pending_runs pending_;
};

}  // namespace transport
}  // namespace nuraft
