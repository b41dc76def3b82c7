#pragma once

#include "pp_util.hxx"
#include "ptr.hxx"

namespace nuraft {

class raft_server;

typedef raft_server msg_handler;

/// Takes requests in for one server. For one thread; the server itself never calls it.
class rpc_listener {
    __interface_body__(rpc_listener);

public:
    /// Keeps the handler and starts to deliver requests to it.
    virtual void listen(ptr<msg_handler>& handler) = 0;
    /// Stops accepting connections.
    virtual void stop() = 0;
    /// Closes sessions and lets go of the handler.
    virtual void shutdown() {}
};

}  // namespace nuraft
