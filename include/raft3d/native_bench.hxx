#pragma once

#include <cstdint>
#include <libnuraft/nuraft.hxx>
#include <memory>
#include <vector>

#include "raft3d/append_notifier.hxx"
#include "rust/cxx.h"

namespace raft3d {

struct BenchRun;
struct LogHandle;
struct Member;
struct NodeOptions;

/// The workload of benches/commit driven without the bridge: servers with a state machine in C++
/// that does nothing. They run in this process and talk over TCP on the loopback interface.
class native_cluster {
public:
    /// A cluster of `members`, which are still to be started.
    explicit native_cluster(rust::Slice<const Member> members);
    ~native_cluster();

    native_cluster(const native_cluster&) = delete;
    native_cluster& operator=(const native_cluster&) = delete;

    /// Starts a member. Its log is in C++ memory or, with `use_log`, the given one. Throws if it
    /// does not start.
    void start(const NodeOptions& options, rust::Box<LogHandle> log, bool use_log,
               std::shared_ptr<append_notifier> notifier);

    /// Waits until one of the servers leads; its place in their order. Throws if none does.
    size_t leader() const;

    /// Proposes `payload` at server `leader` for `duration_ms`, with `in_flight` proposals
    /// unanswered at any time, all from this thread. Returns when all are answered. Throws if a
    /// proposal fails.
    BenchRun run(size_t leader, rust::Slice<const uint8_t> payload, uint32_t in_flight,
                 uint32_t duration_ms) const;

private:
    struct member;

    const nuraft::ptr<nuraft::cluster_config> config_;
    std::vector<std::unique_ptr<member>> members_;
};

/// See the constructor.
std::unique_ptr<native_cluster> new_native_cluster(rust::Slice<const Member> members);

/// CPU time that the process has used so far, on all its threads, in nanoseconds.
uint64_t cpu_time_ns() noexcept;

}  // namespace raft3d
