#pragma once

#include <mutex>

#include "callback.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "raft_params.hxx"

namespace nuraft {

class delayed_task_scheduler;
class global_mgr;
class logger;
class rpc_client_factory;
class rpc_listener;
class state_machine;
class state_mgr;

/// Everything that a server is made from. Create it with `new`: the server takes ownership. The
/// global manager is not owned and must outlive the server.
struct context {
public:
    context(ptr<state_mgr> mgr, ptr<state_machine> m, ptr<rpc_listener> listener, ptr<logger> l,
            ptr<rpc_client_factory> cli_factory, ptr<delayed_task_scheduler> scheduler,
            const raft_params& params, global_mgr* custom_global_mgr = nullptr);

    /// Before the server is created.
    void set_cb_func(cb_func::func_type func);

    /// Shared; do not modify. Thread-safe, as is `set_params`.
    ptr<raft_params> get_params() const;
    void set_params(ptr<raft_params>& to);

    __nocopy__(context);

public:
    ptr<state_mgr> state_mgr_;
    ptr<state_machine> state_machine_;
    ptr<rpc_listener> rpc_listener_;
    ptr<logger> logger_;
    ptr<rpc_client_factory> rpc_cli_factory_;
    ptr<delayed_task_scheduler> scheduler_;
    ptr<raft_params> params_;  ///< Guarded by `ctx_lock_`.
    cb_func cb_func_;
    global_mgr* custom_global_mgr_;
    mutable std::mutex ctx_lock_;
};

}  // namespace nuraft
