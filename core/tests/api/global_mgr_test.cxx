#include <atomic>
#include <fstream>
#include <thread>

#include "doubles/asio_cluster.hxx"
#include "doubles/sync_network.hxx"
#include "server/work_slot.hxx"

#ifdef __linux__
#include <dirent.h>
#endif

// Servers that share the workers of a manager.

namespace nuraft {
namespace test {

namespace {

/// Threads of this process whose name begins like this; -1: the system does not tell.
int threads_named(const std::string& prefix) {
#ifdef __linux__
    int found = 0;
    DIR* tasks = ::opendir("/proc/self/task");
    if (!tasks) return -1;
    while (const dirent* task = ::readdir(tasks)) {
        std::string name;
        std::ifstream("/proc/self/task/" + std::string(task->d_name) + "/comm") >> name;
        if (name.rfind(prefix, 0) == 0) ++found;
    }
    ::closedir(tasks);
    return found;
#else
    (void)prefix;
    return -1;
#endif
}

struct shared_workers : testing::Test {
    void init(size_t commit_workers, size_t slice_ms = 200) {
        nuraft_global_config config;
        config.num_commit_threads_ = commit_workers;
        config.max_scheduling_unit_ms_ = slice_ms;
        ASSERT_TRUE(nuraft_global_mgr::init(config));
    }
    ~shared_workers() override {
        clusters.clear();
        nuraft_global_mgr::shutdown();
        EXPECT_EQ(nullptr, nuraft_global_mgr::get_instance());
    }

    /// A cluster of one that leads.
    manual_node& lonely_leader(ptr<memory_state_machine> sm = nullptr,
                               global_mgr* manager = nullptr) {
        clusters.push_back(std::make_unique<sync_cluster>(1));
        manual_node& node = clusters.back()->node(1);
        if (sm) node.sm = sm;
        node.manager = manager;
        raft_params p = manual_params();
        p.return_method_ = raft_params::async_handler;
        clusters.back()->start(p);
        clusters.back()->elect(1);
        EXPECT_TRUE(node.server->is_leader());
        return node;
    }

    std::vector<std::unique_ptr<sync_cluster>> clusters;
};

/// Each commit takes longer than a worker's time slice.
class slow_machine : public memory_state_machine {
public:
    explicit slow_machine(std::chrono::milliseconds slice) : slice_(slice) {}
    ptr<buffer> commit_ext(const ext_op_params& params) override {
        const auto begun = std::chrono::steady_clock::now();
        while (std::chrono::steady_clock::now() - begun <= slice_) std::this_thread::yield();
        return memory_state_machine::commit_ext(params);
    }

private:
    const std::chrono::milliseconds slice_;
};

/// Watches, and passes on.
class watching_manager : public global_mgr {
public:
    void init_raft_server(raft_server* server) override {
        ++inits;
        nuraft_global_mgr::get_instance()->init_raft_server(server);
    }
    void close_raft_server(raft_server* server) override {
        ++closes;
        nuraft_global_mgr::get_instance()->close_raft_server(server);
    }
    void request_append(ptr<raft_server> server) override {
        ++appends;
        server->is_leader();  // The getters may be used here.
        nuraft_global_mgr::get_instance()->request_append(server);
    }
    void request_commit(ptr<raft_server> server) override {
        ++commits;
        server->get_committed_log_idx();
        server->is_leader();
        nuraft_global_mgr::get_instance()->request_commit(server);
    }
    std::atomic<int> inits{0}, closes{0}, appends{0}, commits{0};
};

}  // namespace

TEST_F(shared_workers, there_is_one_instance_until_its_shutdown) {
    EXPECT_FALSE(nuraft_global_mgr::get_instance());
    EXPECT_FALSE(nuraft_global_mgr::init_asio_service());
    init(1);
    nuraft_global_mgr* first = nuraft_global_mgr::get_instance();
    EXPECT_EQ(first, nuraft_global_mgr::init());
    EXPECT_FALSE(nuraft_global_mgr::get_asio_service());
    asio_service_options options;
    options.thread_pool_size_ = 1;
    ptr<asio_service> service = nuraft_global_mgr::init_asio_service(options);
    ASSERT_TRUE(service);
    EXPECT_EQ(service, nuraft_global_mgr::init_asio_service());
    EXPECT_EQ(service, nuraft_global_mgr::get_asio_service());
    nuraft_global_mgr::shutdown();
    EXPECT_FALSE(nuraft_global_mgr::get_asio_service());
    EXPECT_EQ(1u, service->get_active_workers()) << "whoever holds it may go on using it";
    service->stop();
}

TEST_F(shared_workers, serve_many_servers_that_have_no_threads_of_their_own) {
    init(2);
    const int servers = 20, entries = 10;
    for (int s = 0; s < servers; ++s) lonely_leader();
    if (threads_named("") >= 0) {
        EXPECT_EQ(0, threads_named("nuraft_commit"));
        EXPECT_EQ(0, threads_named("nuraft_append"));
        EXPECT_TRUE(eventually("the workers have their names", [] {
            return threads_named("nuraft_g_c") == 2 && threads_named("nuraft_g_a") == 1;
        }));
    }
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int e = 0; e < entries; ++e) {
        for (auto& c : clusters) results.push_back(append(*c->node(1).server, std::to_string(e)));
    }
    for (auto& r : results) EXPECT_NE("", value_of(*r));
    for (auto& c : clusters) {
        EXPECT_EQ(static_cast<size_t>(entries), c->node(1).sm->committed().size());
    }
}

TEST_F(shared_workers, slow_state_machine_leaves_others_their_turn) {
    init(1, 1);
    const std::chrono::milliseconds slice(1);
    manual_node& slow = lonely_leader(cs_new<slow_machine>(slice));
    manual_node& quick = lonely_leader();
    trace order;
    slow.sm->record_in(&order);
    quick.sm->record_in(&order);
    slow.sm->close_gate();
    std::vector<ptr<cmd_result<ptr<buffer>>>> results;
    for (int i = 0; i < 50; ++i)
        results.push_back(append(*slow.server, "slow " + std::to_string(i)));
    results.push_back(append(*quick.server, "quick"));
    slow.sm->open_gate();
    for (auto& r : results) r->get();
    const int last = order.find("commit slow 49"), turn = order.find("commit quick");
    ASSERT_NE(-1, last);
    ASSERT_NE(-1, turn);
    EXPECT_LT(turn, last) << "the only worker stayed with one server to the end";
    slow.sm->record_in(nullptr);
    quick.sm->record_in(nullptr);
}

TEST_F(shared_workers, shutdown_waits_for_the_worker_that_is_at_it) {
    init(1);
    manual_node& node = lonely_leader();
    trace order;
    node.sm->record_in(&order);
    node.sm->close_gate();
    append(*node.server, "a");
    ptr<raft_server> server = node.server;
    std::thread closing([&] {
        server->shutdown();
        order.add("shutdown returns");
    });
    ASSERT_TRUE(eventually("the server refuses requests", [&] {
        return append(*server, "b")->get_result_code() == cmd_result_code::BAD_REQUEST;
    }));
    node.sm->open_gate();
    closing.join();
    EXPECT_LT(order.find("commit a"), order.find("shutdown returns"));
    node.sm->record_in(nullptr);
}

TEST_F(shared_workers, closed_servers_leave_the_rest_alone) {
    init(1);
    manual_node& stays = lonely_leader();
    for (int i = 0; i < 10; ++i) {
        manual_node& goes = lonely_leader();
        append(*goes.server, "x");
        goes.stop();
        auto result = append(*stays.server, std::to_string(i));
        EXPECT_NE("", value_of(*result));
    }
    EXPECT_EQ(10u, stays.sm->committed().size());
}

TEST_F(shared_workers, custom_manager_comes_first) {
    init(1);
    watching_manager watching;
    manual_node& node = lonely_leader(nullptr, &watching);
    auto result = append(*node.server, "a");
    EXPECT_NE("", value_of(*result));
    EXPECT_EQ(1, watching.inits);
    EXPECT_GT(watching.commits, 0);
    EXPECT_EQ(0, watching.closes);
    node.stop();
    EXPECT_EQ(1, watching.closes);
}

TEST_F(shared_workers, replicate_and_take_snapshots_for_a_cluster) {
    init(2);
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    asio_node& late = cluster.any_follower();
    late.stop();
    for (int i = 0; i < 50; ++i)
        ASSERT_NE("", value_of(*append(*leader->server, std::to_string(i))));
    ASSERT_TRUE(eventually("compaction", [&] { return leader->mgr->log->start_index() > 20; }));
    late.start(p);
    ASSERT_TRUE(cluster.all_have("49"));
    EXPECT_EQ(leader->sm->committed(), late.sm->committed());
    for (auto& n : cluster.nodes()) n->stop();
}

TEST(slot_of_work, tells_the_worker_of_those_it_turned_away) {
    work_slot slot;
    ASSERT_TRUE(slot.enter());
    EXPECT_FALSE(slot.enter());
    EXPECT_TRUE(slot.leave());
    ASSERT_TRUE(slot.enter());
    EXPECT_FALSE(slot.leave());
    ASSERT_TRUE(slot.enter());
    slot.close();  // Its own worker does not wait for itself.
    EXPECT_FALSE(slot.leave());
    EXPECT_FALSE(slot.enter());
}

}  // namespace test
}  // namespace nuraft
