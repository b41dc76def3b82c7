#pragma once

#include <asio/execution.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

namespace nuraft {
namespace transport {

/// Runs the steps of one connection one at a time on the threads of a context, as `asio::strand`
/// does, and lets any other thread run a step of its own at once if none is running. With a strand
/// such a thread would have to wake one of the context's, which takes longer than to write a
/// message.
///
/// Copies are the same executor. Any thread. The context must outlive them all.
class serial_executor {
public:
    explicit serial_executor(asio::io_context& context) : turn_(std::make_shared<turn>(context)) {}

    /// Runs `step` before it returns, if none is running or this is called from within one. Else
    /// false, and nothing was done.
    template <typename F>
    bool try_run_here(F&& step) const {
        if (turn_->runner == std::this_thread::get_id()) return step(), true;
        if (!turn_->try_begin()) return false;
        const running now(turn_);
        step();
        return true;
    }

    // What asio asks of an executor. One with `blocking.never` leaves every step to the context.
    asio::io_context& query(asio::execution::context_t) const noexcept { return turn_->context; }
    serial_executor require(asio::execution::blocking_t::never_t) const { return {turn_, true}; }
    serial_executor require(asio::execution::blocking_t::possibly_t) const {
        return {turn_, false};
    }
    template <typename F>
    void execute(F&& step) const {
        if (!later_ && try_run_here(step)) return;
        using held = waiting_step<std::decay_t<F>>;
        if (turn_->add(std::make_unique<held>(std::forward<F>(step)))) run_next_later(turn_);
    }
    friend bool operator==(const serial_executor& a, const serial_executor& b) noexcept {
        return a.turn_ == b.turn_ && a.later_ == b.later_;
    }
    friend bool operator!=(const serial_executor& a, const serial_executor& b) noexcept {
        return !(a == b);
    }

private:
    struct any_step {
        virtual ~any_step() = default;
        virtual void run() = 0;
    };
    template <typename F>
    struct waiting_step : any_step {
        explicit waiting_step(F from) : step(std::move(from)) {}
        void run() override { step(); }
        F step;
    };
    using waiting_steps = std::deque<std::unique_ptr<any_step>>;

    struct turn {
        explicit turn(asio::io_context& c) : context(c) {}

        bool try_begin() {
            std::lock_guard<std::mutex> guard(lock);
            if (busy) return false;
            runner = std::this_thread::get_id();
            return busy = true;
        }
        /// True: a step waits, and the turn is still taken, for it.
        bool end() {
            std::lock_guard<std::mutex> guard(lock);
            runner = std::thread::id();
            return busy = !waiting.empty();
        }
        /// True: nobody had the turn, and it is taken for the step.
        bool add(std::unique_ptr<any_step> step) {
            std::lock_guard<std::mutex> guard(lock);
            waiting.push_back(std::move(step));
            return !std::exchange(busy, true);
        }
        std::unique_ptr<any_step> next() {
            std::lock_guard<std::mutex> guard(lock);
            runner = std::this_thread::get_id();
            std::unique_ptr<any_step> first = std::move(waiting.front());
            waiting.pop_front();
            return first;
        }
        waiting_steps take_all() {
            std::lock_guard<std::mutex> guard(lock);
            return std::move(waiting);
        }

        asio::io_context& context;
        std::atomic<std::thread::id> runner{std::thread::id()};
        std::mutex lock;
        bool busy = false;      // A step is running, or the context will run one.
        waiting_steps waiting;  // Empty unless `busy`.
    };
    using turn_ptr = std::shared_ptr<turn>;

    /// Passes the turn on when a step is over, however it ended.
    struct running {
        explicit running(turn_ptr t) : held(std::move(t)) {}
        ~running() {
            if (held->end()) run_next_later(held);
        }
        running(const running&) = delete;
        running& operator=(const running&) = delete;
        const turn_ptr held;
    };

    /// What the context keeps while steps wait. If it is destroyed instead of being run, so are
    /// they, since they may keep what keeps the executor.
    struct next_run {
        explicit next_run(turn_ptr t) : held(std::move(t)) {}
        next_run(next_run&&) = default;
        ~next_run() {
            if (held) held->take_all();
        }
        void operator()() {
            const running now(std::move(held));
            now.held->next()->run();
        }
        turn_ptr held;
    };

    serial_executor(turn_ptr t, bool later) : turn_(std::move(t)), later_(later) {}

    static void run_next_later(const turn_ptr& t) { asio::post(t->context, next_run(t)); }

    turn_ptr turn_;
    bool later_ = false;
};

}  // namespace transport
}  // namespace nuraft
