#pragma once

#include <cstddef>

#include "basic_types.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

class raft_server;

/// Told by servers when they want work done; see `context::custom_global_mgr_`. Thread-safe.
class global_mgr {
    __interface_body__(global_mgr);

public:
    /// `server` starts.
    virtual void init_raft_server(raft_server* server) = 0;
    /// `server` shuts down or is destroyed; queued work for it must be dropped.
    virtual void close_raft_server(raft_server* server) = 0;
    /// Replication is wanted.
    virtual void request_append(ptr<raft_server> server) = 0;
    /// Committed entries wait to be applied.
    virtual void request_commit(ptr<raft_server> server) = 0;
};

/// Sizes of thread pools shared by the servers of a process.
struct nuraft_global_config {
    nuraft_global_config()
        : num_commit_threads_(1), num_append_threads_(1), max_scheduling_unit_ms_(200) {}

    size_t num_commit_threads_;
    size_t num_append_threads_;
    /// Longest time that one server keeps a commit worker.
    size_t max_scheduling_unit_ms_;
};

}  // namespace nuraft
