#include "transport/serial_executor.hxx"

#include <gtest/gtest.h>

#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace nuraft {
namespace transport {
namespace {

/// A context with threads of its own.
class serial_executor_test : public ::testing::Test {
protected:
    serial_executor_test() {
        for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { context_.run(); });
    }
    ~serial_executor_test() override {
        work_.reset();
        for (std::thread& t : threads_) t.join();
    }

    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
    serial_executor executor_{context_};

private:
    std::vector<std::thread> threads_;
};

TEST_F(serial_executor_test, runs_a_step_of_any_thread_at_once_if_none_is_running) {
    std::thread::id ran_on;
    EXPECT_TRUE(executor_.try_run_here([&] { ran_on = std::this_thread::get_id(); }));
    EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(serial_executor_test, runs_a_step_of_a_step_within_it) {
    bool nested = false;
    executor_.try_run_here([&] { EXPECT_TRUE(executor_.try_run_here([&] { nested = true; })); });
    EXPECT_TRUE(nested);
}

TEST_F(serial_executor_test, refuses_a_step_while_another_thread_runs_one) {
    std::promise<void> begun;
    std::promise<void> end;
    asio::post(executor_, [&] {
        begun.set_value();
        end.get_future().wait();
    });
    begun.get_future().wait();
    EXPECT_FALSE(executor_.try_run_here([] { FAIL() << "two at once"; }));
    std::promise<void> later;
    asio::post(executor_, [&] { later.set_value(); });
    end.set_value();
    later.get_future().wait();
}

TEST_F(serial_executor_test, hands_what_came_during_a_step_of_another_thread_to_the_context) {
    std::promise<std::thread::id> ran_on;
    executor_.try_run_here(
        [&] { asio::post(executor_, [&] { ran_on.set_value(std::this_thread::get_id()); }); });
    EXPECT_NE(ran_on.get_future().get(), std::this_thread::get_id());
}

TEST_F(serial_executor_test, posts_nothing_within_the_call) {
    std::promise<void> done;
    bool returned = false;
    executor_.try_run_here([&] {
        asio::post(executor_, [&] {
            EXPECT_TRUE(returned);
            done.set_value();
        });
        returned = true;
    });
    done.get_future().wait();
}

TEST_F(serial_executor_test, goes_on_after_a_step_that_throws) {
    EXPECT_THROW(executor_.try_run_here([] { throw std::bad_alloc(); }), std::bad_alloc);
    EXPECT_TRUE(executor_.try_run_here([] {}));
}

TEST_F(serial_executor_test, runs_completions_of_what_is_bound_to_it) {
    asio::steady_timer timer(executor_);
    std::promise<bool> in_turn;
    timer.expires_after(std::chrono::milliseconds(0));
    timer.async_wait(
        [&](const asio::error_code&) { in_turn.set_value(executor_.try_run_here([] {})); });
    EXPECT_TRUE(in_turn.get_future().get());
}

TEST_F(serial_executor_test, never_runs_two_steps_at_once_and_keeps_the_order_of_what_waits) {
    constexpr int each = 2000;
    int running = 0;  // Not atomic: the executor is all that guards these.
    int done = 0;
    std::vector<int> posted;
    std::promise<void> all;
    const auto step = [&] {
        EXPECT_EQ(++running, 1);
        --running;
        if (++done == 3 * each) all.set_value();
    };
    std::thread poster([&] {
        for (int i = 0; i < each; ++i)
            asio::post(executor_, [&, i] { posted.push_back(i), step(); });
    });
    std::vector<std::thread> strangers;
    for (int t = 0; t < 2; ++t) {
        strangers.emplace_back([&] {
            for (int i = 0; i < each; ++i) {
                if (!executor_.try_run_here(step)) asio::post(executor_, step);
            }
        });
    }
    poster.join();
    for (std::thread& t : strangers) t.join();
    all.get_future().wait();
    std::promise<void> behind;
    asio::post(executor_, [&] { behind.set_value(); });
    behind.get_future().wait();
    EXPECT_TRUE(std::is_sorted(posted.begin(), posted.end()));
    EXPECT_EQ(posted.size(), static_cast<size_t>(each));
}

TEST(serial_executor, lets_go_of_steps_that_wait_when_the_context_is_destroyed) {
    const auto kept = std::make_shared<int>(0);
    {
        asio::io_context context;
        const serial_executor executor(context);
        for (int i = 0; i < 2; ++i) asio::post(executor, [kept, executor] {});
        EXPECT_EQ(kept.use_count(), 3);
    }
    EXPECT_EQ(kept.use_count(), 1);
}

}  // namespace
}  // namespace transport
}  // namespace nuraft
