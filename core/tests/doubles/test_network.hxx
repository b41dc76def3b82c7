#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "libnuraft/nuraft.hxx"
#include "libnuraft/raft_server_handler.hxx"

namespace nuraft {
namespace test {

/// Servers by endpoint, and the way into them. How messages travel is up to the class derived.
/// It must outlive the servers.
class test_network : public rpc_client_factory, public raft_server_handler {
public:
    virtual void attach(const std::string& endpoint, const ptr<raft_server>& server);
    virtual void detach(const std::string& endpoint);
    /// Requests to this endpoint fail from now on.
    void cut(const std::string& endpoint, bool on);
    /// Null if there is no way, or no answer. What arrives shares nothing with `req`.
    ptr<resp_msg> deliver(const std::string& endpoint, req_msg& req,
                          const raft_server::req_ext_params& ext = raft_server::req_ext_params());

private:
    std::mutex lock_;
    std::map<std::string, wptr<raft_server>> servers_;  ///< Guarded by `lock_`, as the next.
    std::set<std::string> cut_;
};

/// The same message, sharing nothing with `req`, as after a real network.
ptr<req_msg> rebuilt(req_msg& req);

/// Tells the result of a request to `when_done`, now or when it is there.
void complete(const ptr<req_msg>& req, ptr<resp_msg> resp, const rpc_handler& when_done);

}  // namespace test
}  // namespace nuraft
