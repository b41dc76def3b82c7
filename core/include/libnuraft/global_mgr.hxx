#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "asio_service_options.hxx"
#include "basic_types.hxx"
#include "logger.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

class asio_service;
class raft_server;

/// Told by servers when they want work done; see `context::custom_global_mgr_`. Thread-safe.
///
/// A server that has a manager starts no commit and append threads of its own: the manager must see
/// to it that the requests reach the process-wide `nuraft_global_mgr`, whose workers do the work.
class global_mgr {
    __interface_body__(global_mgr);

public:
    /// `server` starts. It may be under construction: nothing but its address may be used.
    virtual void init_raft_server(raft_server* server) = 0;
    /// `server` shuts down, or is destroyed without that; queued work for it must be dropped.
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
    /// Longest time that one server keeps a commit worker, but for the one entry it applies in any
    /// case.
    size_t max_scheduling_unit_ms_;
};

static nuraft_global_config __DEFAULT_NURAFT_GLOBAL_CONFIG;

/// Workers, and a transport, that the servers of a process share. Servers use it if it exists when
/// they start. The workers apply one server's entries in turn, and never two at the same time for
/// one server.
class nuraft_global_mgr : public global_mgr {
public:
    /// Without workers; only `init` makes those. For derived classes that pass on to the instance.
    nuraft_global_mgr();
    virtual ~nuraft_global_mgr();

    __nocopy__(nuraft_global_mgr);

public:
    /// Makes the process's instance and starts its workers, or returns the one that exists,
    /// whatever the configuration. Before servers are created; one thread at a time, as for
    /// `shutdown`.
    static nuraft_global_mgr* init(
        const nuraft_global_config& config = __DEFAULT_NURAFT_GLOBAL_CONFIG);
    /// Joins the workers, destroys the instance and lets go of the shared transport. All servers
    /// must have been shut down.
    static void shutdown();
    /// Null: there is none.
    static nuraft_global_mgr* get_instance();
    /// Makes the shared transport, or returns the one that exists. Null without an instance.
    static ptr<asio_service> init_asio_service(
        const asio_service_options& asio_opt = asio_service_options(),
        ptr<logger> logger_inst = nullptr);
    /// Null: there is none.
    static ptr<asio_service> get_asio_service();

    virtual void init_raft_server(raft_server* server) override;
    virtual void close_raft_server(raft_server* server) override;
    virtual void request_append(ptr<raft_server> server) override;
    virtual void request_commit(ptr<raft_server> server) override;

private:
    class workers;

    std::mutex asio_lock_;
    ptr<asio_service> asio_service_;    ///< Guarded by `asio_lock_`; null: none.
    std::unique_ptr<workers> workers_;  ///< Null: none. Goes first.
};

}  // namespace nuraft
