#pragma once

#include "basic_types.hxx"
#include "cluster_config.hxx"
#include "log_store.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "srv_state.hxx"

namespace nuraft {

/// Keeps what a server must find again after a restart; the program implements it. Must not call
/// back into the server.
class state_mgr {
    __interface_body__(state_mgr);

public:
    /// The configuration saved last; never null. On first start it holds at least this server.
    virtual ptr<cluster_config> load_config() = 0;

    virtual void save_config(const cluster_config& config) = 0;

    /// Must be durable before it returns: votes and terms depend on it.
    virtual void save_state(const srv_state& state) = 0;

    /// What was saved last; null on first start.
    virtual ptr<srv_state> read_state() = 0;

    /// Never null, and the same instance for the life of the server.
    virtual ptr<log_store> load_log_store() = 0;

    virtual int32 server_id() = 0;

    /// A fatal condition; `exit_code` is a `raft_err`. Any thread, locks possibly held.
    virtual void system_exit(const int exit_code) = 0;
};

}  // namespace nuraft
