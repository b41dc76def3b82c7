#pragma once

#include "pp_util.hxx"
#include "ptr.hxx"
#include "raft_server.hxx"
#include "req_msg.hxx"
#include "resp_msg.hxx"

namespace nuraft {

/// Base of everything that delivers requests to a server.
class raft_server_handler {
protected:
    /// Any thread, without locks that sending takes too. Null: give no answer, and let the sender
    /// see an error. If the answer has a completion (`has_async_cb`, `has_cb`), what to send comes
    /// from there.
    static ptr<resp_msg> process_req(
        raft_server* srv, req_msg& req,
        const raft_server::req_ext_params& ext_params = raft_server::req_ext_params()) {
        return srv->process_req(req, ext_params);
    }
};

}  // namespace nuraft
