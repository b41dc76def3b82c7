#include "api/sync_network.hxx"

#include <algorithm>

namespace nuraft {
namespace test {

namespace {

class sync_client : public rpc_client {
public:
    sync_client(ptr<sync_network> network, const std::string& endpoint, uint64_t id)
        : network_(network), endpoint_(endpoint), id_(id) {}

    void send(ptr<req_msg>& req, rpc_handler& when_done, uint64_t) override {
        ptr<resp_msg> resp = network_->deliver(endpoint_, *req);
        ptr<rpc_exception> error;
        if (!resp) error = cs_new<rpc_exception>("no answer from " + endpoint_, req);
        if (resp && resp->has_async_cb()) {
            resp->call_async_cb()->when_ready(cmd_result<ptr<buffer>>::handler_type2(
                [resp, done = when_done](cmd_result<ptr<buffer>>& result, ptr<std::exception>&) {
                    ptr<resp_msg> answer = resp;
                    ptr<rpc_exception> none;
                    answer->set_ctx(result.get());
                    answer->set_result_code(result.get_result_code());
                    done(answer, none);
                }));
            return;
        }
        if (resp && resp->has_cb()) resp = resp->call_cb(resp);
        when_done(resp, error);
    }
    uint64_t get_id() const override { return id_; }
    bool is_abandoned() const override { return false; }

private:
    ptr<sync_network> network_;
    std::string endpoint_;
    uint64_t id_;
};

}  // namespace

void manual_scheduler::schedule(ptr<delayed_task>& task, int32) {
    task->reset();
    std::lock_guard<std::mutex> guard(lock_);
    tasks_.remove(task);
    tasks_.push_back(task);
}

int manual_scheduler::fire(int32 type) {
    std::list<ptr<delayed_task>> due;
    {
        std::lock_guard<std::mutex> guard(lock_);
        for (auto t = tasks_.begin(); t != tasks_.end();) {
            auto next = std::next(t);
            if ((*t)->get_type() == type) due.splice(due.end(), tasks_, t);
            t = next;
        }
    }
    for (ptr<delayed_task>& t : due) t->execute();
    return static_cast<int>(due.size());
}

int manual_scheduler::pending(int32 type) const {
    std::lock_guard<std::mutex> guard(lock_);
    return static_cast<int>(
        std::count_if(tasks_.begin(), tasks_.end(),
                      [type](const ptr<delayed_task>& t) { return t->get_type() == type; }));
}

void manual_scheduler::cancel_impl(ptr<delayed_task>& task) {
    std::lock_guard<std::mutex> guard(lock_);
    tasks_.remove(task);
}

ptr<rpc_client> sync_network::create_client(const std::string& endpoint) {
    // The network outlives the servers of a test.
    ptr<sync_network> self(this, [](sync_network*) {});
    return cs_new<sync_client>(self, endpoint, next_id_++);
}

void sync_network::attach(const std::string& endpoint, const ptr<raft_server>& server) {
    std::lock_guard<std::mutex> guard(lock_);
    servers_[endpoint] = server;
}

void sync_network::detach(const std::string& endpoint) {
    std::lock_guard<std::mutex> guard(lock_);
    servers_.erase(endpoint);
}

void sync_network::cut(const std::string& endpoint, bool on) {
    std::lock_guard<std::mutex> guard(lock_);
    if (on) {
        cut_.insert(endpoint);
    } else {
        cut_.erase(endpoint);
    }
}

namespace {

/// What arrives shares nothing with what was sent, as on a real network.
ptr<req_msg> rebuilt(req_msg& req) {
    auto copy =
        cs_new<req_msg>(req.get_term(), req.get_type(), req.get_src(), req.get_dst(),
                        req.get_last_log_term(), req.get_last_log_idx(), req.get_commit_idx());
    for (const ptr<log_entry>& e : req.log_entries()) {
        copy->log_entries().push_back(cs_new<log_entry>(e->get_term(), buffer::clone(e->get_buf()),
                                                        e->get_val_type(), e->get_timestamp()));
    }
    copy->set_extra_flags(req.get_extra_flags());
    return copy;
}

}  // namespace

ptr<resp_msg> sync_network::deliver(const std::string& endpoint, req_msg& req,
                                    const raft_server::req_ext_params& ext) {
    ptr<raft_server> target;
    {
        std::lock_guard<std::mutex> guard(lock_);
        if (cut_.count(endpoint) == 0) target = servers_[endpoint].lock();
    }
    return target ? process_req(target.get(), *rebuilt(req), ext) : nullptr;
}

raft_params manual_params() {
    raft_params p;
    p.with_election_timeout_lower(0).with_election_timeout_upper(1).with_hb_interval(1000);
    p.with_rpc_failure_backoff(0).with_leadership_expiry(-1).with_client_req_timeout(20000);
    p.use_bg_thread_for_urgent_commit_ = false;
    return p;
}

sync_node::sync_node(int32 id, ptr<sync_network> network)
    : id(id), endpoint("S" + std::to_string(id)), network_(network) {}

sync_node::~sync_node() {
    stop();
}

void sync_node::start(const raft_params& params, cb_func::func_type callback) {
    ptr<rpc_client_factory> factory = network_;
    ptr<delayed_task_scheduler> scheduler = timers;
    ptr<rpc_listener> no_listener;
    ptr<logger> no_logger;
    auto* parts = new context(mgr, sm, no_listener, no_logger, factory, scheduler, params);
    raft_server::init_options opt(false, true, true);
    opt.raft_callback_ = callback;
    server = cs_new<raft_server>(parts, opt);
    network_->attach(endpoint, server);
}

void sync_node::stop() {
    if (!server) return;
    network_->detach(endpoint);
    server->shutdown();
    server.reset();
}

sync_cluster::sync_cluster(int32 servers) {
    std::vector<std::string> endpoints;
    for (int32 id = 1; id <= servers; ++id) {
        nodes_.push_back(std::make_unique<sync_node>(id, network));
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
