#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nuraft {

class raft_server;

/// Readings of snapshot objects that wait for the process's snapshot thread; one for each server
/// and peer at most. Thread-safe; no lock is held while one runs.
class snapshot_io_queue {
public:
    /// With its thread made at the first call; the API demands one for the process.
    static snapshot_io_queue& instance();

    snapshot_io_queue();
    ~snapshot_io_queue();

    /// Takes the place of one that waits for the same server and peer. False: shut down.
    bool push(const raft_server* server, int32_t peer, std::function<void()> read);
    bool has(const raft_server* server, int32_t peer) const;
    void drop(const raft_server* server);
    void wake();
    void shutdown();

private:
    struct element {
        const raft_server* server;
        int32_t peer;
        std::function<void()> read;
    };

    void run();

    mutable std::mutex lock_;
    std::condition_variable wake_;
    std::deque<element> waiting_;  ///< Guarded by `lock_`, as the next.
    bool stopped_ = false;
    std::mutex join_lock_;
    std::thread thread_;  ///< Guarded by `join_lock_`.
};

}  // namespace nuraft
