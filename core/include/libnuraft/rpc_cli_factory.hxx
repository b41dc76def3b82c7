#pragma once

#include <string>

#include "pp_util.hxx"
#include "ptr.hxx"
#include "rpc_cli.hxx"

namespace nuraft {

class rpc_client_factory {
    __interface_body__(rpc_client_factory);

public:
    /// Must not wait for the network. Null: unreachable for now.
    virtual ptr<rpc_client> create_client(const std::string& endpoint) = 0;
};

}  // namespace nuraft
