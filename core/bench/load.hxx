#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <libnuraft/nuraft.hxx>

#include "options.hxx"

namespace bench {

/// What one process has used so far.
struct resources {
    int64_t user_us = 0;
    int64_t system_us = 0;
    int64_t switches = 0;  ///< Context switches, of both kinds.
};
resources used_by_this_process();
resources operator-(const resources& a, const resources& b);
resources operator+(const resources& a, const resources& b);

/// The requests that were answered within the measurement.
struct load_result {
    int64_t ops = 0;
    int64_t failed = 0;  ///< Of these, those that were not committed.
    // Latencies of those that were, in nanoseconds.
    int64_t p50 = 0;
    int64_t p99 = 0;
    int64_t p999 = 0;
    int64_t max = 0;
    resources used;  ///< By this process.
};

struct load {
    mode how = mode::blocking;
    int threads = 1;
    int payload_bytes = 256;
    int async_window = 1;
    std::chrono::milliseconds warmup{0};
    std::chrono::milliseconds measure{0};
};

/// Runs `what` on the leader `server`. `began` and `ended` are called in the calling thread at the
/// two ends of the measurement.
load_result run_load(nuraft::raft_server& server, const load& what,
                     const std::function<void()>& began, const std::function<void()>& ended);

}  // namespace bench
