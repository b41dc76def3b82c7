#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

namespace nuraft {
namespace test {

/// How long a test waits for what must happen; far above what it takes.
constexpr std::chrono::seconds patience{60};

/// Waits until `reached()`; `what` names the condition if it does not come. For conditions that
/// only the public API shows, and that nothing announces.
template <typename F>
testing::AssertionResult eventually(const std::string& what, F&& reached) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!reached()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return testing::AssertionFailure() << "in vain waited for: " << what;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return testing::AssertionSuccess();
}

}  // namespace test
}  // namespace nuraft
