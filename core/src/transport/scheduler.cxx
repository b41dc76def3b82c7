#include "transport/scheduler.hxx"

#include <algorithm>
#include <chrono>

namespace nuraft {
namespace transport {

// A task is released outside of the lock throughout: its destructor may run the program's code.

void scheduler::schedule(const ptr<delayed_task>& task, int32 milliseconds) {
    pending_run replaced;
    std::lock_guard<std::mutex> guard(lock_);
    if (closed_) return;
    task->reset();
    pending_run run;
    run.number = ++last_number_;
    run.task = task;
    run.timer = std::make_unique<asio::steady_timer>(
        core_->context(), std::chrono::milliseconds(std::max(milliseconds, 0)));
    run.timer->async_wait([weak = weak_from_this(), key = task.get(),
                           number = run.number](const asio::error_code& ec) {
        if (ec) return;
        if (std::shared_ptr<scheduler> self = weak.lock()) self->fire(key, number);
    });
    pending_run& slot = pending_[task.get()];
    replaced = std::move(slot);
    slot = std::move(run);
}

void scheduler::cancel(const ptr<delayed_task>& task) {
    pending_run dropped;
    std::lock_guard<std::mutex> guard(lock_);
    auto found = pending_.find(task.get());
    if (found == pending_.end()) return;
    dropped = std::move(found->second);
    pending_.erase(found);
}

void scheduler::fire(delayed_task* key, uint64_t number) {
    pending_run run;
    {
        std::lock_guard<std::mutex> guard(lock_);
        auto found = pending_.find(key);
        // A timer that ran out before it was replaced or cancelled still comes here.
        if (found == pending_.end() || found->second.number != number) return;
        run = std::move(found->second);
        pending_.erase(found);
    }
    guarded(core_->log, "a scheduled task", [&] { run.task->execute(); });
}

void scheduler::close() {
    pending_runs dropped;
    std::lock_guard<std::mutex> guard(lock_);
    closed_ = true;
    dropped.swap(pending_);
}

}  // namespace transport
}  // namespace nuraft
