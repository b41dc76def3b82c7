#include "transport/scheduler.hxx"

#include <algorithm>
#include <vector>

namespace nuraft {
namespace transport {

// A task is released outside of the lock throughout: its destructor may run the program's code.

void scheduler::schedule(const ptr<delayed_task>& task, int32 milliseconds) {
    const clock::time_point due =
        clock::now() + std::chrono::milliseconds(std::max(milliseconds, 0));
    std::lock_guard<std::mutex> guard(lock_);
    if (closed_) return;
    task->reset();
    take(task.get());  // The caller has it too.
    places_[task.get()] = pending_.emplace(due, task);
    if (due < timer_end_) set_timer(due);
}

void scheduler::cancel(const ptr<delayed_task>& task) {
    std::lock_guard<std::mutex> guard(lock_);
    take(task.get());
}

/// Takes the pending run out; null if there is none.
ptr<delayed_task> scheduler::take(delayed_task* task) {
    auto found = places_.find(task);
    if (found == places_.end()) return nullptr;
    ptr<delayed_task> taken = std::move(found->second->second);
    pending_.erase(found->second);
    places_.erase(found);
    return taken;
}

void scheduler::set_timer(clock::time_point at) {
    if (!timer_) timer_ = std::make_unique<asio::steady_timer>(core_->context());
    timer_end_ = at;
    timer_->expires_at(at);
    timer_->async_wait([weak = weak_from_this()](const asio::error_code& ec) {
        if (ec) return;
        if (std::shared_ptr<scheduler> self = weak.lock()) self->fire();
    });
}

void scheduler::fire() {
    std::vector<ptr<delayed_task>> due;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (closed_) return;
        timer_end_ = clock::time_point::max();
        const clock::time_point now = clock::now();
        while (!pending_.empty() && pending_.begin()->first <= now) {
            due.push_back(take(pending_.begin()->second.get()));
        }
        if (!pending_.empty()) set_timer(pending_.begin()->first);
    }
    for (const ptr<delayed_task>& task : due) {
        guarded(core_->log, "a scheduled task", [&] { task->execute(); });
    }
}

void scheduler::close() {
    pending_runs dropped;
    std::lock_guard<std::mutex> guard(lock_);
    closed_ = true;
    places_.clear();
    dropped.swap(pending_);
    timer_.reset();
}

}  // namespace transport
}  // namespace nuraft
