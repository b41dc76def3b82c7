#pragma once

#include "basic_types.hxx"
#include "delayed_task.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

/// Runs tasks later. Thread-safe.
class delayed_task_scheduler {
    __interface_body__(delayed_task_scheduler);

public:
    /// Runs `task->execute()` once after the delay, in any thread but not inline. Takes back a
    /// cancellation first; replaces a pending run of the same task.
    virtual void schedule(ptr<delayed_task>& task, int32 milliseconds) = 0;

    void cancel(ptr<delayed_task>& task) {
        cancel_impl(task);
        task->cancel();
    }

private:
    /// Drops a pending run.
    virtual void cancel_impl(ptr<delayed_task>& task) = 0;
};

}  // namespace nuraft
