#include <gtest/gtest.h>
#include <pthread.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <set>
#include <thread>

#include "asio_service.hxx"
#include "timer_task.hxx"
#include "transport/waiting.hxx"

namespace nuraft {
namespace transport {

namespace {

asio_service_options two_threads() {
    asio_service_options options;
    options.thread_pool_size_ = 2;
    return options;
}

/// Counts the runs of a task.
struct counted {
    counted() {
        timer_task<void>::executor count = [this] { state.change([this] { ++runs; }); };
        task = cs_new<timer_task<void>>(count);
    }
    testing::AssertionResult wait_for(int number) {
        return state.wait(std::to_string(number) + " runs", [&] { return runs >= number; });
    }
    watched state;
    int runs = 0;  // under `state`
    ptr<delayed_task> task;
};

/// Waits until a task that was scheduled now, later than all others in delay, has run: whatever
/// had to run before it had its chance.
void let_pass(asio_service& service, int32 milliseconds) {
    counted last;
    service.schedule(last.task, milliseconds);
    ASSERT_TRUE(last.wait_for(1));
}

}  // namespace

TEST(scheduler, runs_once_after_the_delay_and_not_inline) {
    asio_service service(two_threads());
    counted c;
    const auto before = std::chrono::steady_clock::now();
    service.schedule(c.task, 30);
    ASSERT_TRUE(c.wait_for(1));
    EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(30));
    let_pass(service, 60);
    EXPECT_EQ(c.runs, 1);

    std::thread::id runner;
    watched state;
    timer_task<void>::executor note = [&] {
        state.change([&] { runner = std::this_thread::get_id(); });
    };
    ptr<delayed_task> task = cs_new<timer_task<void>>(note);
    service.schedule(task, -5);  // counts as no delay
    ASSERT_TRUE(state.wait("a run", [&] { return runner != std::thread::id(); }));
    EXPECT_NE(runner, std::this_thread::get_id());
}

TEST(scheduler, a_cancelled_task_does_not_run_until_it_is_scheduled_again) {
    asio_service service(two_threads());
    counted c;
    service.schedule(c.task, 20);
    service.cancel(c.task);
    let_pass(service, 50);
    EXPECT_EQ(c.runs, 0);
    service.schedule(c.task, 1);
    ASSERT_TRUE(c.wait_for(1));
}

TEST(scheduler, scheduling_again_replaces_the_pending_run) {
    asio_service service(two_threads());
    counted c;
    for (int i = 0; i < 20; ++i) service.schedule(c.task, 20);
    ASSERT_TRUE(c.wait_for(1));
    let_pass(service, 50);
    EXPECT_EQ(c.runs, 1);

    service.schedule(c.task, 3600 * 1000);
    service.schedule(c.task, 1);  // sooner counts as well
    ASSERT_TRUE(c.wait_for(2));
}

TEST(scheduler, a_task_may_schedule_itself) {
    asio_service service(two_threads());
    watched state;
    int runs = 0;
    ptr<delayed_task> task;
    timer_task<void>::executor again = [&] {
        bool more = false;
        state.change([&] { more = ++runs < 5; });
        if (more) service.schedule(task, 0);
    };
    task = cs_new<timer_task<void>>(again);
    service.schedule(task, 0);
    ASSERT_TRUE(state.wait("5 runs", [&] { return runs == 5; }));
}

TEST(scheduler, runs_in_order_of_time_not_of_scheduling) {
    asio_service service(two_threads());
    counted late, soon, sooner;
    service.schedule(late.task, 3600 * 1000);
    service.schedule(soon.task, 20);
    service.schedule(sooner.task, 1);
    ASSERT_TRUE(sooner.wait_for(1));
    ASSERT_TRUE(soon.wait_for(1));
    EXPECT_EQ(late.state.read([&] { return late.runs; }), 0);
    service.cancel(late.task);
}

// The timer of the system may run out for a task that is not pending any more.
TEST(scheduler, a_cancelled_task_makes_the_next_one_neither_early_nor_lost) {
    asio_service service(two_threads());
    counted cancelled, next;
    service.schedule(cancelled.task, 1);
    service.cancel(cancelled.task);
    const auto before = std::chrono::steady_clock::now();
    service.schedule(next.task, 40);
    ASSERT_TRUE(next.wait_for(1));
    EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(40));
}

TEST(scheduler, a_task_that_throws_leaves_the_others_alone) {
    asio_service service(two_threads());
    timer_task<void>::executor bad = [] { throw std::runtime_error("bad task"); };
    ptr<delayed_task> task = cs_new<timer_task<void>>(bad);
    for (int i = 0; i < 4; ++i) {
        service.schedule(task, 0);
        let_pass(service, 5);
    }
    EXPECT_EQ(service.get_active_workers(), 2u);
}

TEST(scheduler, stop_lets_go_of_pending_tasks) {
    std::weak_ptr<delayed_task> seen;
    asio_service service(two_threads());
    {
        counted c;
        seen = c.task;
        service.schedule(c.task, 3600 * 1000);
    }
    EXPECT_FALSE(seen.expired());
    service.stop();
    EXPECT_TRUE(seen.expired());
    counted late;
    service.schedule(late.task, 0);
    service.cancel(late.task);
    EXPECT_EQ(late.runs, 0);
}

TEST(scheduler, schedule_and_cancel_from_many_threads) {
    asio_service service(two_threads());
    counted c;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 500; ++i) {
                ptr<delayed_task> task = c.task;
                if ((i + t) % 3 == 0)
                    service.cancel(task);
                else
                    service.schedule(task, i % 2);
            }
        });
    for (std::thread& thread : threads) thread.join();
    service.cancel(c.task);
    let_pass(service, 5);
    const int runs = c.state.read([&] { return c.runs; });
    service.schedule(c.task, 0);
    ASSERT_TRUE(c.wait_for(runs + 1));
    let_pass(service, 5);
    EXPECT_EQ(c.state.read([&] { return c.runs; }), runs + 1);
}

TEST(workers, are_numbered_named_and_counted) {
    watched state;
    std::set<std::string> started;
    std::set<uint32_t> stopped;
    asio_service_options options;
    options.thread_pool_size_ = 3;
    options.worker_start_ = [&](uint32_t number) {
        char name[16] = "";
        pthread_getname_np(pthread_self(), name, sizeof(name));
        state.change([&] { started.insert(std::to_string(number) + "=" + name); });
    };
    options.worker_stop_ = [&](uint32_t number) { state.change([&] { stopped.insert(number); }); };
    asio_service service(options);
    EXPECT_EQ(service.get_active_workers(), 3u);
    ASSERT_TRUE(state.wait("3 workers", [&] { return started.size() == 3; }));
    EXPECT_EQ(started, (std::set<std::string>{"0=nuraft_w_0", "1=nuraft_w_1", "2=nuraft_w_2"}));
    service.stop();
    EXPECT_EQ(service.get_active_workers(), 0u);
    EXPECT_EQ(stopped, (std::set<uint32_t>{0, 1, 2}));
    service.stop();  // harmless
}

TEST(workers, none_of_the_service_with_an_external_context) {
    asio::io_context context;
    auto keep_running = asio::make_work_guard(context);
    std::thread runner([&] { context.run(); });
    {
        asio_service_options options;
        options.custom_io_context_ = &context;
        asio_service service(options);
        EXPECT_EQ(service.get_active_workers(), 0u);
        let_pass(service, 1);
        service.stop();  // nothing to stop
        let_pass(service, 1);
    }
    keep_running.reset();
    runner.join();
}

}  // namespace transport
}  // namespace nuraft
