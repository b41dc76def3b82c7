#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace nuraft {

/// What the append thread is woken for. Signals of one kind that come before it looks are one.
/// Thread-safe; holds no lock when it calls, so that the program may signal with its own locks
/// held.
class append_signal {
public:
    struct work {
        bool replicate = false;       ///< Proposals wait to be sent.
        bool drain = false;           ///< Somebody queued effects that he must not run himself.
        bool sample_durable = false;  ///< The log store has news of its disk.
        bool write_failed = false;    ///< Bad news.
    };

    void want_replication() {
        set([](work& w) { w.replicate = true; });
    }
    void want_drain() {
        set([](work& w) { w.drain = true; });
    }
    void log_completion(bool ok) {
        set([ok](work& w) { (ok ? w.sample_durable : w.write_failed) = true; });
    }

    /// Waits for work; nothing once stopped.
    std::optional<work> wait() {
        std::unique_lock<std::mutex> guard(lock_);
        wake_.wait(guard, [this] { return stopped_ || pending_; });
        return take_locked();
    }

    /// Work, if there is any now.
    std::optional<work> take() {
        std::lock_guard<std::mutex> guard(lock_);
        return take_locked();
    }

    /// `tell` is called for each first signal: for a worker that does not sleep in `wait`. Before
    /// the server starts.
    void on_work(std::function<void()> tell) {
        std::lock_guard<std::mutex> guard(lock_);
        tell_ = std::move(tell);
    }

    void stop() {
        std::lock_guard<std::mutex> guard(lock_);
        stopped_ = true;
        wake_.notify_all();
    }

private:
    template <typename F>
    void set(F change) {
        std::function<void()> tell;
        bool news;
        {
            std::lock_guard<std::mutex> guard(lock_);
            change(work_);
            news = !std::exchange(pending_, true);
            if (news) tell = tell_;
        }
        if (news) wake_.notify_one();
        if (tell) tell();
    }

    std::optional<work> take_locked() {
        if (stopped_ || !pending_) return std::nullopt;
        pending_ = false;
        work taken = work_;
        work_ = work();
        return taken;
    }

    std::mutex lock_;
    std::condition_variable wake_;
    work work_;  ///< Guarded by `lock_`, as all below.
    bool pending_ = false;
    bool stopped_ = false;
    std::function<void()> tell_;
};

}  // namespace nuraft
