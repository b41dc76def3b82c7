#include "doubles/manual_node.hxx"

#include <algorithm>

namespace nuraft {
namespace test {

void manual_scheduler::schedule(ptr<delayed_task>& task, int32) {
    task->reset();
    std::lock_guard<std::mutex> guard(lock_);
    tasks_.remove(task);
    tasks_.push_back(task);
    ++scheduled_[task->get_type()];
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

int manual_scheduler::scheduled(int32 type) const {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = scheduled_.find(type);
    return found == scheduled_.end() ? 0 : found->second;
}

void manual_scheduler::cancel_impl(ptr<delayed_task>& task) {
    std::lock_guard<std::mutex> guard(lock_);
    tasks_.remove(task);
}

raft_params manual_params() {
    raft_params p;
    p.with_election_timeout_lower(0).with_election_timeout_upper(1).with_hb_interval(1000);
    p.with_rpc_failure_backoff(0).with_leadership_expiry(-1).with_client_req_timeout(20000);
    p.use_bg_thread_for_urgent_commit_ = false;
    return p;
}

manual_node::manual_node(int32 id, ptr<test_network> network)
    : id(id), endpoint("S" + std::to_string(id)), network_(network) {}

manual_node::~manual_node() {
    stop();
}

void manual_node::start(const raft_params& params, cb_func::func_type callback,
                        bool skip_election_timer) {
    ptr<rpc_client_factory> factory = network_;
    ptr<delayed_task_scheduler> scheduler = timers;
    ptr<rpc_listener> no_listener;
    ptr<logger> no_logger;
    auto* parts = new context(mgr, sm, no_listener, no_logger, factory, scheduler, params, manager);
    raft_server::init_options opt(skip_election_timer, true, true);
    opt.raft_callback_ = callback;
    server = make_server ? make_server(parts, opt) : cs_new<raft_server>(parts, opt);
    network_->attach(endpoint, server);
}

void manual_node::stop() {
    if (!server) return;
    network_->detach(endpoint);
    server->shutdown();
    server.reset();
}

}  // namespace test
}  // namespace nuraft
