#include "doubles/sync_network.hxx"

namespace nuraft {
namespace test {

namespace {

class sync_client : public rpc_client {
public:
    sync_client(ptr<sync_network> network, const std::string& endpoint, uint64_t id)
        : network_(network), endpoint_(endpoint), id_(id) {}

    void send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t) override {
        complete(req, network_->deliver(endpoint_, *req), when_done);
    }
    uint64_t get_id() const override { return id_; }
    bool is_abandoned() const override { return false; }

private:
    ptr<sync_network> network_;
    std::string endpoint_;
    uint64_t id_;
};

}  // namespace

ptr<rpc_client> sync_network::create_client(const std::string& endpoint) {
    // The network outlives the servers of a test.
    ptr<sync_network> self(this, [](sync_network*) {});
    return cs_new<sync_client>(self, endpoint, next_id_++);
}

sync_cluster::sync_cluster(int32 servers) {
    std::vector<std::string> endpoints;
    for (int32 id = 1; id <= servers; ++id) {
        nodes_.push_back(std::make_unique<manual_node>(id, network));
        endpoints.push_back(nodes_.back()->endpoint);
    }
    for (auto& n : nodes_) n->mgr = cs_new<memory_state_mgr>(n->id, config_of(endpoints));
}

sync_cluster::~sync_cluster() {
    for (auto& n : nodes_) n->stop();
}

void sync_cluster::start(
    const raft_params& params,
    std::function<cb_func::ReturnCode(int32, cb_func::Type, cb_func::Param*)> callback) {
    for (auto& n : nodes_) {
        if (n->server) continue;
        cb_func::func_type own;
        if (callback) {
            own = [callback, id = n->id](cb_func::Type type, cb_func::Param* param) {
                return callback(id, type, param);
            };
        }
        n->start(params, own);
    }
}

void sync_cluster::elect(int32 id) {
    node(id).timers->fire(timer_task_type::election_timer);
}

}  // namespace test
}  // namespace nuraft
