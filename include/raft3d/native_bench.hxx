#pragma once

#include <cstdint>
#include <memory>

#include "raft3d/append_notifier.hxx"
#include "rust/cxx.h"

namespace raft3d {

struct BenchRun;
struct LogHandle;
struct NodeOptions;

/// The workload of benches/commit.rs driven without the bridge: a server with a state machine in
/// C++ that does nothing, a log in C++ memory or, with `use_log`, the given one.
///
/// Proposes `payload` for `duration_ms`, with `in_flight` proposals unanswered at any time, all
/// from one thread. Blocks until all are answered. Throws if the server does not start or a
/// proposal fails.
BenchRun run_native_bench(const NodeOptions& options, rust::Box<LogHandle> log, bool use_log,
                          std::shared_ptr<append_notifier> notifier,
                          rust::Slice<const uint8_t> payload, uint32_t in_flight,
                          uint32_t duration_ms);

/// CPU time that the process has used so far, on all its threads, in nanoseconds.
uint64_t cpu_time_ns() noexcept;

}  // namespace raft3d
