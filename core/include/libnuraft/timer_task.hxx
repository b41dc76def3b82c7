#pragma once

#include <functional>

#include "basic_types.hxx"
#include "delayed_task.hxx"

namespace nuraft {

/// Tags of the server's own tasks; others have 0.
enum timer_task_type {
    election_timer = 0x1,
    heartbeat_timer = 0x2,
};

/// Calls a function with a value.
template <typename T>
class timer_task : public delayed_task {
public:
    typedef std::function<void(T)> executor;

    timer_task(executor& e, T ctx, int32 type = 0) : delayed_task(type), exec_(e), ctx_(ctx) {}

protected:
    virtual void exec() override {
        if (exec_) exec_(ctx_);
    }

private:
    executor exec_;
    T ctx_;
};

template <>
class timer_task<void> : public delayed_task {
public:
    typedef std::function<void()> executor;

    explicit timer_task(executor& e, int32 type = 0) : delayed_task(type), exec_(e) {}

protected:
    virtual void exec() override {
        if (exec_) exec_();
    }

private:
    executor exec_;
};

}  // namespace nuraft
