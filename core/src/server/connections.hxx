#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "protocol/effects.hxx"
#include "rpc_cli.hxx"
#include "rpc_cli_factory.hxx"

namespace nuraft {

/// One RPC client for each other server, made when the server is named; a factory that had none is
/// asked again at the next send. Which connection is worth
/// replacing, and when, is decided by the protocol.
///
/// Not thread-safe: belongs to whoever drains the queue.
class connections {
public:
    explicit connections(ptr<rpc_client_factory> factory) : factory_(std::move(factory)) {}

    void change(const protocol::connection_change& to);
    /// The client for `peer`; null if there is none to be had, or no change has named the peer.
    ptr<rpc_client> client(int32_t peer);
    /// Drops all clients and lets go of the factory.
    void close();

private:
    struct link {
        std::string endpoint;
        ptr<rpc_client> client;  ///< Null: the factory had none.
    };

    ptr<rpc_client_factory> factory_;
    std::map<int32_t, link> links_;
};

}  // namespace nuraft
