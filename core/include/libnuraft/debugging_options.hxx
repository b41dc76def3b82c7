#pragma once

#include <atomic>
#include <cstddef>

namespace nuraft {

/// Switches for tests of programs, one set for the process.
struct debugging_options {
    debugging_options() : disable_reconn_backoff_(false), handle_cli_req_sleep_us_(0) {}

    static debugging_options& get_instance();

    /// Reconnect to peers without a growing delay.
    std::atomic<bool> disable_reconn_backoff_;
    /// Sleep so long after a client's entries were appended, with the client lock held.
    std::atomic<size_t> handle_cli_req_sleep_us_;
};

}  // namespace nuraft
