#include <thread>

#include "doubles/asio_cluster.hxx"
#include "doubles/sync_network.hxx"

// Ends of servers (behaviour 34).

namespace nuraft {
namespace test {

TEST(shutdown, with_unreachable_peers_and_pending_requests) {
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    p.with_leadership_expiry(-1);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    for (auto& n : cluster.nodes()) {
        if (n.get() != leader) n->stop();
    }
    auto pending = append(*leader->server, "a");
    ASSERT_TRUE(pending->get_accepted());
    auto watched = leader->server->wait_for_state_machine_commit(1000);
    leader->server->shutdown();
    EXPECT_EQ(cmd_result_code::CANCELLED, pending->get_result_code());
    EXPECT_EQ(cmd_result_code::CANCELLED, watched->get_result_code());
    leader->server->shutdown();  // Again: harmless.
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, append(*leader->server, "b")->get_result_code());
    EXPECT_EQ(leader->id, leader->server->get_id());
    EXPECT_FALSE(leader->server->get_config()->get_servers().empty());
}

TEST(shutdown, wakes_a_blocked_client) {
    raft_params p = quick_params();
    p.with_leadership_expiry(-1).with_client_req_timeout(0);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    for (auto& n : cluster.nodes()) {
        if (n.get() != leader) n->stop();
    }
    ptr<cmd_result<ptr<buffer>>> result;
    const ulong before = leader->server->get_last_log_idx();
    std::thread client([&] { result = append(*leader->server, "a"); });
    EXPECT_TRUE(eventually("the request taken",
                           [&] { return leader->server->get_last_log_idx() > before; }));
    leader->server->shutdown();
    client.join();
    EXPECT_TRUE(result->get_accepted());
    EXPECT_EQ(cmd_result_code::CANCELLED, result->get_result_code());
}

TEST(shutdown, while_paused) {
    asio_cluster cluster(1);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    leader->server->pause_state_machine_execution();
    leader->stop();
    EXPECT_FALSE(leader->running());
}

TEST(shutdown, stop_cancels_without_joining) {
    raft_params p = quick_params();
    p.return_method_ = raft_params::async_handler;
    asio_cluster cluster(1, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    leader->sm->close_gate();
    auto executing = append(*leader->server, "a");
    auto waiting = append(*leader->server, "b");
    leader->server->stop_server();
    EXPECT_EQ(cmd_result_code::CANCELLED, waiting->get_result_code());
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, append(*leader->server, "c")->get_result_code());
    leader->sm->open_gate();
    leader->stop();
    EXPECT_FALSE(leader->sm->has("b")) << "picked up after the stop";
    EXPECT_TRUE(executing->has_result());
}

TEST(shutdown, destruction_alone_is_enough) {
    sync_cluster cluster(1);
    cluster.start(manual_params());
    cluster.elect(1);
    ASSERT_TRUE(cluster.node(1).server->is_leader());
    wptr<manual_scheduler> timers = cluster.node(1).timers;
    cluster.node(1).server.reset();
    EXPECT_EQ(1, timers.use_count()) << "the server let go of its scheduler";
}

TEST(shutdown, lets_go_of_transport_and_timers) {
    sync_cluster cluster(3);
    cluster.start(manual_params());
    cluster.elect(1);
    EXPECT_GT(cluster.node(1).timers->pending(timer_task_type::heartbeat_timer), 0);
    cluster.node(1).server->shutdown();
    EXPECT_EQ(0, cluster.node(1).timers->pending(timer_task_type::heartbeat_timer));
    EXPECT_EQ(0, cluster.node(1).timers->pending(timer_task_type::election_timer));
    EXPECT_EQ(1, cluster.node(1).timers.use_count());
}

TEST(shutdown, frees_open_snapshot_contexts) {
    raft_params p = quick_params();
    p.with_snapshot_enabled(10);
    asio_cluster cluster(3, p);
    asio_node* leader = cluster.wait_for_leader();
    ASSERT_TRUE(leader);
    asio_node& late = cluster.any_follower();
    late.stop();
    for (int i = 0; i < 50; ++i) append(*leader->server, std::to_string(i));
    ASSERT_TRUE(eventually("compaction", [&] { return leader->mgr->log->start_index() > 20; }));
    late.start(p);
    ASSERT_TRUE(eventually("the transfer under way", [&] {
        return leader->sm->open_contexts() > 0 || late.sm->installs() > 0;
    }));
    leader->stop();
    EXPECT_EQ(0, leader->sm->open_contexts());
}

}  // namespace test
}  // namespace nuraft
