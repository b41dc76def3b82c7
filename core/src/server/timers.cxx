#include "server/timers.hxx"

#include "timer_task.hxx"

namespace nuraft {

namespace {

int32 task_type(protocol::timer_kind kind) {
    switch (kind) {
        case protocol::timer_kind::election:
            return timer_task_type::election_timer;
        case protocol::timer_kind::heartbeat:
            return timer_task_type::heartbeat_timer;
        case protocol::timer_kind::retry:
        case protocol::timer_kind::progress:
            break;
    }
    return 0;
}

}  // namespace

void timers::change(const protocol::timer_change& to) {
    const key which{to.kind, to.peer};
    ptr<delayed_task> cancelled, started;
    ptr<delayed_task_scheduler> scheduler;
    {
        std::lock_guard<std::mutex> guard(shared_->lock);
        if (!scheduler_) return;
        scheduler = scheduler_;
        auto pending = shared_->runs.find(which);
        if (pending != shared_->runs.end()) {
            cancelled = std::move(pending->second.task);
            shared_->runs.erase(pending);
        }
        if (to.delay_ms >= 0) {
            // A new task for each run: a late run of the old one is then recognised by its
            // generation, however the scheduler treats cancellation.
            const uint64_t generation = next_generation_++;
            std::weak_ptr<shared> weak = shared_;
            timer_task<void>::executor run_out = [weak, which, generation] {
                ptr<shared> s = weak.lock();
                if (!s) return;
                {
                    std::lock_guard<std::mutex> guard(s->lock);
                    auto found = s->runs.find(which);
                    if (found == s->runs.end() || found->second.generation != generation) return;
                    s->runs.erase(found);
                }
                s->on_fire(which.first, which.second);
            };
            started = cs_new<timer_task<void>>(run_out, task_type(to.kind));
            shared_->runs[which] = {generation, started};
        }
    }
    if (cancelled) scheduler->cancel(cancelled);
    if (started) scheduler->schedule(started, to.delay_ms);
}

void timers::stop() {
    std::map<key, run> pending;
    ptr<delayed_task_scheduler> scheduler;
    {
        std::lock_guard<std::mutex> guard(shared_->lock);
        pending.swap(shared_->runs);
        scheduler.swap(scheduler_);
    }
    for (auto& [which, r] : pending) scheduler->cancel(r.task);
}

}  // namespace nuraft
