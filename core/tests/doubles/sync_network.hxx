#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "doubles/manual_node.hxx"
#include "doubles/test_network.hxx"

namespace nuraft {
namespace test {

/// A network that delivers a request, and its answer, before `send` returns: everything happens in
/// one call stack, in an order that a test can predict.
class sync_network : public test_network {
public:
    ptr<rpc_client> create_client(const std::string& endpoint) override;

private:
    std::atomic<uint64_t> next_id_{1};
};

/// Servers 1..n. Server 1 is made leader by `elect`.
class sync_cluster {
public:
    explicit sync_cluster(int32 servers);
    ~sync_cluster();
    manual_node& node(int32 id) { return *nodes_[static_cast<size_t>(id - 1)]; }
    /// Starts all that do not run yet.
    void start(const raft_params& params,
               std::function<cb_func::ReturnCode(int32, cb_func::Type, cb_func::Param*)> callback =
                   nullptr);
    void elect(int32 id);

    const ptr<sync_network> network = cs_new<sync_network>();

private:
    std::vector<std::unique_ptr<manual_node>> nodes_;
};

}  // namespace test
}  // namespace nuraft
