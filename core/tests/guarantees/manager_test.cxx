#include "doubles/asio_cluster.hxx"
#include "guarantees/guarantee.hxx"

// Many servers of a process on shared threads: guarantee 68.

namespace nuraft {
namespace test {

namespace {

/// The process's manager, while this object lives. Outlives the servers.
class shared_manager {
public:
    explicit shared_manager(size_t workers) {
        nuraft_global_config config;
        config.num_commit_threads_ = workers;
        config.num_append_threads_ = workers;
        config.max_scheduling_unit_ms_ = 10;
        nuraft_global_mgr::init(config);
    }
    ~shared_manager() { nuraft_global_mgr::shutdown(); }
    shared_manager(const shared_manager&) = delete;
    shared_manager& operator=(const shared_manager&) = delete;
};

}  // namespace

TEST(guarantee, g68a_many_servers_make_progress_on_few_shared_workers) {
    shared_manager manager(2);
    constexpr int clusters = 3;
    std::vector<std::unique_ptr<asio_cluster>> all;
    for (int i = 0; i < clusters; ++i) all.push_back(std::make_unique<asio_cluster>(3));
    for (auto& c : all) {
        asio_node* leader = c->wait_for_leader();
        ASSERT_TRUE(leader);
        for (int i = 0; i < 10; ++i) {
            auto result = append(*leader->server, "entry " + std::to_string(i));
            EXPECT_EQ("entry " + std::to_string(i),
                      value_of(*result).substr(0, value_of(*result).find('@')));
        }
    }
    for (auto& c : all) EXPECT_TRUE(c->all_have("entry 9"));
}

TEST(guarantee, g68b_slow_state_machine_does_not_starve_the_others) {
    shared_manager manager(1);
    constexpr size_t others = 5;
    constexpr size_t slow_commands = 200;
    stepped_cluster slow(1);
    slow.lead();
    std::vector<std::unique_ptr<stepped_cluster>> quick;
    for (size_t i = 0; i < others; ++i) {
        quick.push_back(std::make_unique<stepped_cluster>(1));
        quick.back()->lead();
    }
    slow.node(1).sm->slow_down(std::chrono::milliseconds(5));
    for (size_t i = 0; i < slow_commands; ++i) slow.append(1, std::to_string(i));
    for (auto& c : quick) {
        for (int i = 0; i < 20; ++i) c->append(1, std::to_string(i));
    }
    for (auto& c : quick) EXPECT_TRUE(c->settle(1));
    EXPECT_LT(slow.node(1).sm->committed().size(), slow_commands)
        << "the only worker served the others in between";
    EXPECT_TRUE(slow.settle(1));
    EXPECT_EQ(slow_commands, slow.node(1).sm->committed().size());
}

}  // namespace test
}  // namespace nuraft
