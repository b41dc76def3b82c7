#pragma once

#include <cstdint>

#include "async.hxx"
#include "pp_util.hxx"
#include "ptr.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"
#include "rpc_exception.hxx"

namespace nuraft {

using rpc_result = async_result<ptr<resp_msg>, ptr<rpc_exception>>;
using rpc_handler = rpc_result::handler_type;

/// A connection to one server. After an error it is dropped and replaced, never used again.
class rpc_client {
    __interface_body__(rpc_client);

public:
    /// Starts sending and returns. Calls a copy of `when_done` exactly once, with a response or an
    /// exception, normally from another thread. `send_timeout_ms` 0: no limit.
    virtual void send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t send_timeout_ms = 0) = 0;

    /// Not zero, and different for each client of the process.
    virtual uint64_t get_id() const = 0;

    /// The connection is unusable.
    virtual bool is_abandoned() const = 0;
};

}  // namespace nuraft
