#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace nuraft {

/// What the append thread is woken for. Signals of one kind that come before it looks are one.
/// Thread-safe; takes no other lock, so that the program may signal with its own locks held.
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
        if (stopped_) return std::nullopt;
        pending_ = false;
        work taken = work_;
        work_ = work();
        return taken;
    }

    void stop() {
        std::lock_guard<std::mutex> guard(lock_);
        stopped_ = true;
        wake_.notify_all();
    }

private:
    template <typename F>
    void set(F change) {
        bool news;
        {
            std::lock_guard<std::mutex> guard(lock_);
            change(work_);
            news = !std::exchange(pending_, true);
        }
        if (news) wake_.notify_one();
    }

    std::mutex lock_;
    std::condition_variable wake_;
    work work_;  ///< Guarded by `lock_`, as all below.
    bool pending_ = false;
    bool stopped_ = false;
};

}  // namespace nuraft
