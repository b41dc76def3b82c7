#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

namespace nuraft {
namespace transport {

/// How long a test waits for what must happen; far above what it takes.
constexpr std::chrono::seconds patience{30};

/// State that threads change and tests wait for.
class watched {
public:
    template <typename F>
    void change(F&& f) {
        std::lock_guard<std::mutex> guard(lock_);
        f();
        changed_.notify_all();
    }
    template <typename F>
    auto read(F&& f) const {
        std::lock_guard<std::mutex> guard(lock_);
        return f();
    }
    /// Waits until `reached()`; `what` names the condition if it does not come.
    template <typename F>
    testing::AssertionResult wait(const std::string& what, F&& reached) const {
        std::unique_lock<std::mutex> guard(lock_);
        if (changed_.wait_for(guard, patience, reached)) return testing::AssertionSuccess();
        return testing::AssertionFailure() << "in vain waited for: " << what;
    }

private:
    mutable std::mutex lock_;
    mutable std::condition_variable changed_;
};

}  // namespace transport
}  // namespace nuraft
