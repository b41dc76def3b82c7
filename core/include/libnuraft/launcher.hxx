#pragma once

#include <cstddef>

#include "asio_service.hxx"
#include "logger.hxx"
#include "ptr.hxx"
#include "raft_params.hxx"
#include "raft_server.hxx"
#include "rpc_listener.hxx"
#include "state_machine.hxx"
#include "state_mgr.hxx"

namespace nuraft {

/// Puts a server together with a transport of its own. For one application thread; shut it down
/// before it goes.
class raft_launcher {
public:
    raft_launcher() {}

    /// Starts a server that listens on `port_number`. Null if the port cannot be had. Blocks for
    /// the server's start-up delay only; ask `raft_server::is_initialized` whether it is ready.
    ptr<raft_server> init(ptr<state_machine> sm, ptr<state_mgr> smgr, ptr<logger> lg,
                          int port_number, const asio_service::options& asio_options,
                          const raft_params& params,
                          const raft_server::init_options& opt = raft_server::init_options());

    /// Stops everything and waits up to the limit until no worker is active. False: some still are,
    /// or there was nothing to stop.
    bool shutdown(size_t time_limit_sec = 5);

    ptr<asio_service> get_asio_service() const { return asio_svc_; }
    ptr<rpc_listener> get_rpc_listener() const { return asio_listener_; }
    /// Null after shutdown.
    ptr<raft_server> get_raft_server() const { return raft_instance_; }

private:
    ptr<asio_service> asio_svc_;
    ptr<rpc_listener> asio_listener_;
    ptr<raft_server> raft_instance_;
};

}  // namespace nuraft
