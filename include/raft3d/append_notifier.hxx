#pragma once

#include <libnuraft/nuraft.hxx>
#include <memory>
#include <mutex>

namespace raft3d {

/// Carries the log's news, "more is durable" or "writing failed", to the server.
///
/// The log exists before the server and outlives its shutdown, so news may come while there is no
/// server to hear it. What comes too early is delivered when the server is attached; nothing is
/// delivered after `detach` has returned. Calls may come from any thread. The core never calls
/// this class, so holding its mutex while calling the server cannot close a circle of locks.
class append_notifier {
public:
    /// Tells the server of progress (`ok`) or of a failure.
    void notify(bool ok) const noexcept;

    /// Starts delivering to `server`.
    void attach(nuraft::ptr<nuraft::raft_server> server);

    /// Stops delivering for good; waits for a delivery under way.
    void detach();

private:
    void deliver(bool ok) const;

    mutable std::mutex mutex_;
    nuraft::ptr<nuraft::raft_server> server_;
    bool detached_ = false;
    mutable bool early_progress_ = false;
    mutable bool early_failure_ = false;
};

/// A notifier with no server yet.
std::shared_ptr<append_notifier> new_append_notifier();

}  // namespace raft3d
