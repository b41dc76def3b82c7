#include "doubles/stepped_cluster.hxx"

#include <stdexcept>

namespace nuraft {
namespace test {

namespace {

/// The index or term that this kind of callback carries (API reference, section 15.2).
uint64_t value_of(cb_func::Type type, const cb_func::Param* param) {
    switch (type) {
        case cb_func::GotAppendEntryRespFromPeer:
        case cb_func::AppendLogs:
        case cb_func::HeartBeat:
        case cb_func::BecomeLeader:
        case cb_func::NewConfig:
        case cb_func::BecomeFollower:
        case cb_func::StateMachineExecution:
        case cb_func::SnapshotCreationBegin:
        case cb_func::LeaderSmCatchingUp:
            return *static_cast<uint64_t*>(param->ctx);
        case cb_func::OutOfLogRangeWarning:
            return static_cast<cb_func::OutOfLogRangeWarningArgs*>(param->ctx)->startIdxOfLeader;
        default:
            return 0;
    }
}

}  // namespace

raft_params stepped_params() {
    raft_params p = manual_params();
    p.return_method_ = raft_params::async_handler;
    return p;
}

ptr<srv_config> server_of(int32 id, int32 priority) {
    return cs_new<srv_config>(id, 0, "S" + std::to_string(id), "", false, priority);
}

stepped_cluster::stepped_cluster(int32 servers) {
    std::vector<std::string> endpoints;
    for (int32 id = 1; id <= servers; ++id) {
        nodes_.push_back(std::make_unique<manual_node>(id, network));
        endpoints.push_back(nodes_.back()->endpoint);
    }
    for (auto& n : nodes_) n->mgr = cs_new<memory_state_mgr>(n->id, config_of(endpoints));
}

stepped_cluster::stepped_cluster(const std::vector<ptr<srv_config>>& servers) {
    auto config = cs_new<cluster_config>();
    for (const ptr<srv_config>& s : servers) config->get_servers().push_back(s);
    for (const ptr<srv_config>& s : servers) {
        nodes_.push_back(std::make_unique<manual_node>(s->get_id(), network));
        nodes_.back()->mgr = cs_new<memory_state_mgr>(s->get_id(), config);
    }
}

stepped_cluster::~stepped_cluster() {
    for (auto& n : nodes_) {
        n->sm->open_gate();
        n->stop();
    }
}

void stepped_cluster::start(const raft_params& params) {
    for (auto& n : nodes_) {
        if (!n->server) start(n->id, params);
    }
}

void stepped_cluster::start(int32 id, const raft_params& params, bool skip_election_timer) {
    node(id).start(
        params,
        [this, id](cb_func::Type type, cb_func::Param* param) { return on_event(id, type, param); },
        skip_election_timer);
}

void stepped_cluster::add_stranger(int32 id) {
    nodes_.push_back(std::make_unique<manual_node>(id, network));
    auto alone = cs_new<cluster_config>();
    alone->get_servers().push_back(cs_new<srv_config>(id, nodes_.back()->endpoint));
    nodes_.back()->mgr = cs_new<memory_state_mgr>(id, alone);
}

void stepped_cluster::lead(const raft_params& params) {
    start(params);
    ASSERT_TRUE(elect(1));
    ASSERT_TRUE(settle(1));
}

manual_node& stepped_cluster::node(int32 id) {
    for (auto& n : nodes_) {
        if (n->id == id) return *n;
    }
    throw std::out_of_range("no server " + std::to_string(id));
}

void stepped_cluster::timeout(int32 id) {
    node(id).timers->fire(timer_task_type::election_timer);
    network->run();
}

void stepped_cluster::beat(int32 id) {
    node(id).timers->fire(timer_task_type::heartbeat_timer);
    network->run();
}

void stepped_cluster::retry(int32 id) {
    beat(id);
    node(id).timers->fire(0);
    network->run();
}

testing::AssertionResult stepped_cluster::elect(int32 id) {
    return eventually("server " + std::to_string(id) + " to lead", [&] {
        if (!server(id).is_leader()) timeout(id);
        return server(id).is_leader();
    });
}

testing::AssertionResult stepped_cluster::settle(int32 leader) {
    return eventually("everything applied everywhere", [&] {
        network->run();
        const ulong last = server(leader).get_last_log_idx();
        for (auto& n : nodes_) {
            if (!n->server || !server(leader).get_srv_config(n->id)) continue;
            if (n->server->get_committed_log_idx() < last) return false;
        }
        return true;
    });
}

ptr<cmd_result<ptr<buffer>>> stepped_cluster::append(int32 id, const std::string& text) {
    return server(id).append_entries({text_buffer(text)});
}

ptr<cmd_result<ptr<buffer>>> stepped_cluster::append_batch(int32 id,
                                                           const std::vector<std::string>& texts) {
    std::vector<ptr<buffer>> entries;
    for (const std::string& t : texts) entries.push_back(text_buffer(t));
    return server(id).append_entries(entries);
}

void stepped_cluster::decide(answer a) {
    std::lock_guard<std::mutex> guard(lock_);
    answer_ = a;
}

cb_func::ReturnCode stepped_cluster::on_event(int32 id, cb_func::Type type, cb_func::Param* param) {
    answer a;
    {
        std::lock_guard<std::mutex> guard(lock_);
        events_.push_back({id, type, param->peerId, value_of(type, param)});
        a = answer_;
    }
    return a ? a(id, type, param) : cb_func::Ok;
}

std::vector<stepped_cluster::event> stepped_cluster::events(int32 id, cb_func::Type type) const {
    std::lock_guard<std::mutex> guard(lock_);
    std::vector<event> found;
    for (const event& e : events_) {
        if (e.server == id && e.type == type) found.push_back(e);
    }
    return found;
}

void stepped_cluster::forget_events() {
    std::lock_guard<std::mutex> guard(lock_);
    events_.clear();
}

std::vector<std::string> content_of(memory_log_store& log) {
    std::vector<std::string> found;
    for (ulong i = log.start_index(); i < log.next_slot(); ++i) {
        ptr<log_entry> e = log.entry_at(i);
        found.push_back(std::to_string(i) + ":" + std::to_string(e->get_term()) + ":" +
                        text_of(e->get_buf()));
    }
    return found;
}

}  // namespace test
}  // namespace nuraft
