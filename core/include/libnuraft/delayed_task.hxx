#pragma once

#include <atomic>
#include <functional>

#include "basic_types.hxx"
#include "pp_util.hxx"

namespace nuraft {

/// Work to be done later, once or again. Cancelling and running may overlap.
class delayed_task {
    __nocopy__(delayed_task);

public:
    /// `type` is a tag for the scheduler, see `timer_task_type`.
    delayed_task(int32 type = 0);
    /// Runs the context's deleter if a context is set.
    virtual ~delayed_task();

    /// Does the work unless the task is cancelled.
    void execute();
    void cancel() { cancelled_ = true; }
    /// Takes a cancellation back.
    void reset() { cancelled_ = false; }

    /// The scheduler's own; null until set. Not synchronised.
    void* get_impl_context() const { return impl_ctx_; }
    /// The task takes ownership of `ctx`; an earlier context stays the scheduler's to free.
    void set_impl_context(void* ctx, std::function<void(void*)> del);

    int32 get_type() const { return type_; }

protected:
    virtual void exec() = 0;

private:
    std::atomic<bool> cancelled_;
    void* impl_ctx_;
    std::function<void(void*)> deleter_;
    int32 type_;
};

}  // namespace nuraft
