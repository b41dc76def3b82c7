#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <vector>

#include "delayed_task_scheduler.hxx"
#include "event_awaiter.hxx"
#include "internal_timer.hxx"
#include "timer_task.hxx"

using namespace nuraft;

namespace {

constexpr std::chrono::seconds deadline(20);
constexpr size_t hour_us = size_t(3600) * 1000 * 1000;
constexpr int64_t hour_ms = 3600 * 1000;

}  // namespace

TEST(timer_helper, measures_from_its_start) {
    timer_helper timer;
    EXPECT_LT(timer.get_sec(), 3600u);
    timer.reset(-hour_ms);
    EXPECT_GE(timer.get_us(), hour_us);
    EXPECT_GE(timer.get_ms(), hour_us / 1000);
    EXPECT_GE(timer.get_sec(), 3600u);
    EXPECT_LT(timer.get_sec(), 7200u);
}

TEST(timer_helper, start_in_the_future_is_no_time_at_all) {
    timer_helper timer;
    timer.reset(hour_ms);
    EXPECT_EQ(0u, timer.get_us());
    EXPECT_EQ(0u, timer.get_sec());
    EXPECT_FALSE(timer.timeout());
}

TEST(timer_helper, times_out_after_its_duration) {
    timer_helper timer(hour_us);
    EXPECT_FALSE(timer.timeout());
    EXPECT_FALSE(timer.timeout_and_reset());
    timer.reset(-2 * hour_ms);
    EXPECT_TRUE(timer.timeout());
    EXPECT_TRUE(timer.timeout());
    EXPECT_TRUE(timer.timeout_and_reset());
    EXPECT_FALSE(timer.timeout());
}

TEST(timer_helper, first_event_fires_at_once_without_restarting_the_clock) {
    timer_helper once(hour_us, true);
    EXPECT_TRUE(once.timeout());
    EXPECT_FALSE(once.timeout());

    timer_helper other(hour_us, true);
    other.reset(-hour_ms / 2);
    EXPECT_TRUE(other.timeout_and_reset());
    EXPECT_FALSE(other.timeout_and_reset());
    EXPECT_GE(other.get_us(), hour_us / 2);
}

TEST(timer_helper, duration_in_three_units) {
    timer_helper timer(5);
    EXPECT_EQ(5u, timer.get_duration_us());
    timer.set_duration_us(7);
    EXPECT_EQ(7u, timer.get_duration_us());
    timer.set_duration_ms(7);
    EXPECT_EQ(7000u, timer.get_duration_us());
    timer.set_duration_sec(7);
    EXPECT_EQ(7000000u, timer.get_duration_us());
}

TEST(timer_helper, sleeps_at_least_as_long_as_asked) {
    timer_helper timer;
    timer_helper::sleep_us(300);
    EXPECT_GE(timer.get_us(), 300u);
    timer_helper::sleep_ms(2);
    EXPECT_GE(timer.get_us(), 2300u);
    timer_helper::sleep_sec(0);
}

TEST(timer_helper, time_of_day_is_after_this_was_written) {
    EXPECT_GT(timer_helper::get_timeofday_us(), 1700000000u * uint64_t(1000000));
}

TEST(event_awaiter, invoked_before_the_wait) {
    EventAwaiter event;
    event.invoke();
    event.wait();
    event.wait_ms(0);
    event.wait_us(0);
}

TEST(event_awaiter, invoked_during_the_wait) {
    EventAwaiter event;
    std::promise<void> entering;
    auto waiter = std::async(std::launch::async, [&] {
        entering.set_value();
        event.wait();
    });
    ASSERT_EQ(std::future_status::ready, entering.get_future().wait_for(deadline));
    event.invoke();
    EXPECT_EQ(std::future_status::ready, waiter.wait_for(deadline)) << "wait never returned";
}

TEST(event_awaiter, wait_ends_with_the_time_and_later_waits_return_at_once) {
    EventAwaiter event;
    timer_helper timer;
    event.wait_us(2000);
    EXPECT_GE(timer.get_us(), 2000u);
    event.wait();
    event.reset();
    timer.reset();
    event.wait_ms(2);
    EXPECT_GE(timer.get_us(), 2000u) << "reset did not make the event idle";
}

TEST(event_awaiter, limits_too_long_for_the_clock_still_wait) {
    EventAwaiter event;
    std::promise<void> entering;
    auto waiter = std::async(std::launch::async, [&] {
        entering.set_value();
        event.wait_ms(SIZE_MAX);
        event.wait_us(SIZE_MAX / 2);
    });
    ASSERT_EQ(std::future_status::ready, entering.get_future().wait_for(deadline));
    event.invoke();
    EXPECT_EQ(std::future_status::ready, waiter.wait_for(deadline)) << "wait never returned";
}

TEST(delayed_task, runs_unless_cancelled) {
    int runs = 0;
    timer_task<void>::executor count = [&] { ++runs; };
    timer_task<void> task(count);
    EXPECT_EQ(0, task.get_type());
    task.execute();
    task.cancel();
    task.execute();
    EXPECT_EQ(1, runs);
    task.reset();
    task.execute();
    EXPECT_EQ(2, runs);
}

TEST(delayed_task, deletes_its_context_once) {
    int deleted = 0;
    timer_task<void>::executor nothing;
    {
        timer_task<void> task(nothing, timer_task_type::election_timer);
        EXPECT_EQ(1, task.get_type());
        EXPECT_EQ(nullptr, task.get_impl_context());
        task.set_impl_context(&deleted, [](void* ctx) { ++*static_cast<int*>(ctx); });
        EXPECT_EQ(&deleted, task.get_impl_context());
        task.execute();
        EXPECT_EQ(0, deleted);
    }
    EXPECT_EQ(1, deleted);
}

TEST(timer_task, passes_its_value_and_copies_the_function) {
    std::vector<int32> seen;
    timer_task<int32>::executor remember = [&](int32 id) { seen.push_back(id); };
    timer_task<int32> task(remember, 7, timer_task_type::heartbeat_timer);
    remember = nullptr;
    EXPECT_EQ(2, task.get_type());
    task.execute();
    EXPECT_EQ(std::vector<int32>{7}, seen);
}

TEST(timer_task, empty_function_does_nothing) {
    timer_task<int32>::executor none;
    timer_task<int32> task(none, 7);
    EXPECT_NO_THROW(task.execute());
}

TEST(delayed_task_scheduler, cancels_the_pending_run_before_the_task) {
    struct scheduler : delayed_task_scheduler {
        void schedule(ptr<delayed_task>& task, int32) override { task->reset(); }
        void cancel_impl(ptr<delayed_task>& task) override {
            task->execute();
            ++cancelled;
        }
        int cancelled = 0;
    } s;
    int runs = 0;
    timer_task<void>::executor count = [&] { ++runs; };
    ptr<delayed_task> task = cs_new<timer_task<void>>(count);
    s.cancel(task);
    EXPECT_EQ(1, s.cancelled);
    EXPECT_EQ(1, runs) << "the task was cancelled before the pending run was dropped";
    task->execute();
    EXPECT_EQ(1, runs);
    s.schedule(task, 5);
    task->execute();
    EXPECT_EQ(2, runs);
}
