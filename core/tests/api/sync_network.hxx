#pragma once

#include <atomic>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "api/doubles.hxx"
#include "nuraft.hxx"
#include "raft_server_handler.hxx"

namespace nuraft {
namespace test {

/// Timers that run out when the test says so, in the test's thread.
class manual_scheduler : public delayed_task_scheduler {
public:
    void schedule(ptr<delayed_task>& task, int32 milliseconds) override;
    /// Runs what is pending of this type now; returns how many.
    int fire(int32 type);
    int pending(int32 type) const;

private:
    void cancel_impl(ptr<delayed_task>& task) override;

    mutable std::mutex lock_;
    std::list<ptr<delayed_task>> tasks_;  ///< Guarded by `lock_`.
};

/// A network that delivers a request, and its answer, before `send` returns: everything happens in
/// one call stack, in an order that a test can predict.
class sync_network : public rpc_client_factory, public raft_server_handler {
public:
    ptr<rpc_client> create_client(const std::string& endpoint) override;
    void attach(const std::string& endpoint, const ptr<raft_server>& server);
    void detach(const std::string& endpoint);
    /// Requests to this endpoint fail from now on.
    void cut(const std::string& endpoint, bool on);
    /// Null if there is no way, or no answer.
    ptr<resp_msg> deliver(const std::string& endpoint, req_msg& req,
                          const raft_server::req_ext_params& ext = raft_server::req_ext_params());

private:
    std::atomic<uint64_t> next_id_{1};
    std::mutex lock_;
    std::map<std::string, wptr<raft_server>> servers_;  ///< Guarded by `lock_`, as the next.
    std::set<std::string> cut_;
};

/// Parameters without a will of their own: nothing happens unless a timer is fired.
raft_params manual_params();

/// A server on a synchronous network, driven by hand.
class sync_node {
public:
    sync_node(int32 id, ptr<sync_network> network);
    ~sync_node();

    void start(const raft_params& params, cb_func::func_type callback = nullptr);
    void stop();

    const int32 id;
    const std::string endpoint;
    ptr<memory_state_mgr> mgr;
    ptr<memory_state_machine> sm = cs_new<memory_state_machine>();
    ptr<manual_scheduler> timers = cs_new<manual_scheduler>();
    ptr<raft_server> server;

private:
    ptr<sync_network> network_;
};

/// Servers 1..n. Server 1 is made leader by `elect`.
class sync_cluster {
public:
    explicit sync_cluster(int32 servers);
    ~sync_cluster();
    sync_node& node(int32 id) { return *nodes_[static_cast<size_t>(id - 1)]; }
    /// Starts all that do not run yet.
    void start(const raft_params& params,
               std::function<cb_func::ReturnCode(int32, cb_func::Type, cb_func::Param*)> callback =
                   nullptr);
    void elect(int32 id);

    const ptr<sync_network> network = cs_new<sync_network>();

private:
    std::vector<std::unique_ptr<sync_node>> nodes_;
};

}  // namespace test
}  // namespace nuraft
