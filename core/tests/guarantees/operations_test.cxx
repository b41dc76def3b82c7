#include <chrono>

#include "doubles/asio_cluster.hxx"
#include "guarantees/guarantee.hxx"

// Running a server: guarantees 64 to 67 and 69.

namespace nuraft {
namespace test {

TEST(guarantee, g64a_update_params_takes_effect_without_a_restart) {
    raft_params p = stepped_params();
    stepped_cluster cluster(1);
    cluster.lead(p);
    p.return_method_ = raft_params::blocking;
    p.with_snapshot_enabled(5);
    cluster.server(1).update_params(p);
    EXPECT_EQ(5, cluster.server(1).get_current_params().snapshot_distance_);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(result->has_result()) << "the call blocked";
    for (int i = 0; i < 5; ++i) cluster.append(1, std::to_string(i));
    EXPECT_TRUE(
        eventually("a snapshot", [&] { return cluster.server(1).get_last_snapshot_idx() > 0; }));
}

TEST(guarantee, g64b_invalid_bounds_are_corrected) {
    asio_node node(1);
    node.found(config_of({node.endpoint()}));
    raft_params p = quick_params();
    p.with_hb_interval(40).with_election_timeout_lower(10).with_election_timeout_upper(5);
    node.start(p);
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(80, node.server->get_current_params().election_timeout_lower_bound_);
        EXPECT_EQ(160, node.server->get_current_params().election_timeout_upper_bound_);
        node.server->update_params(p);
    }
}

TEST(guarantee, g64c_test_mode_leaves_bounds_alone) {
    raft_params p = stepped_params();
    p.with_hb_interval(40).with_election_timeout_lower(10).with_election_timeout_upper(11);
    stepped_cluster cluster(1);
    cluster.start(p);  // In test mode.
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(10, cluster.server(1).get_current_params().election_timeout_lower_bound_);
        EXPECT_EQ(11, cluster.server(1).get_current_params().election_timeout_upper_bound_);
        cluster.server(1).update_params(p);
    }
}

TEST(guarantee, g65a_pausing_stops_applying_only) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.server(2).pause_state_machine_execution(10000);
    EXPECT_TRUE(cluster.server(2).is_state_machine_execution_paused());
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    cluster.beat(1);
    const ulong last = cluster.server(1).get_last_log_idx();
    EXPECT_EQ(last, cluster.server(2).get_last_log_idx());
    EXPECT_EQ(last, cluster.server(2).get_target_committed_log_idx());
    EXPECT_FALSE(cluster.node(2).sm->has("a"));

    cluster.network->isolate(1, true);
    EXPECT_TRUE(cluster.elect(2)) << "elections go on";
    EXPECT_FALSE(cluster.node(2).sm->has("a"));
    cluster.server(2).resume_state_machine_execution();
    EXPECT_TRUE(eventually("the entry applied", [&] { return cluster.node(2).sm->has("a"); }));
    EXPECT_FALSE(cluster.server(2).is_state_machine_execution_paused());
}

TEST(guarantee, g65b_shutdown_and_restart_while_paused) {
    stepped_cluster cluster(2);
    cluster.lead();
    cluster.server(2).pause_state_machine_execution(10000);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    cluster.stop(2);
    EXPECT_FALSE(cluster.node(2).sm->has("a"));
    cluster.start(2, stepped_params());
    EXPECT_FALSE(cluster.server(2).is_state_machine_execution_paused());
    EXPECT_TRUE(cluster.beat_until(1, "the entry after the restart",
                                   [&] { return cluster.node(2).sm->has("a"); }));
}

TEST(guarantee, g66_reconnect_request_brings_a_new_connection_after_three_seconds) {
    stepped_cluster cluster(2);
    cluster.lead();
    cluster.beat(1);
    const int clients = cluster.network->clients("S2");
    const auto asked_at = std::chrono::steady_clock::now();
    cluster.server(2).send_reconnect_request();
    cluster.network->run();
    EXPECT_EQ(1, cluster.network->sent(2, msg_type::reconnect_request, 1));
    cluster.beat(1);
    EXPECT_EQ(clients, cluster.network->clients("S2")) << "not yet";
    EXPECT_TRUE(cluster.beat_until(1, "a new connection",
                                   [&] { return cluster.network->clients("S2") > clients; }));
    EXPECT_GE(std::chrono::steady_clock::now() - asked_at, std::chrono::milliseconds(2990));
    cluster.append(1, "a");
    EXPECT_TRUE(cluster.settle(1));
}

TEST(guarantee, g67a_shutdown_cancels_with_unreachable_peers) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.network->hold(2, true);
    cluster.network->isolate(3, true);
    auto pending = cluster.append(1, "a");
    auto watcher =
        cluster.server(1).wait_for_state_machine_commit(cluster.server(1).get_last_log_idx());
    EXPECT_FALSE(pending->has_result());
    cluster.stop(1);
    ASSERT_TRUE(pending->has_result());
    EXPECT_EQ(cmd_result_code::CANCELLED, pending->get_result_code());
    EXPECT_FALSE(pending->get());
    ASSERT_TRUE(watcher->has_result());
    EXPECT_EQ(cmd_result_code::CANCELLED, watcher->get_result_code());
    EXPECT_FALSE(watcher->get());
}

TEST(guarantee, g67b_shutdown_frees_active_transfers) {
    raft_params p = stepped_params();
    p.with_reserved_log_items(0);
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.network->isolate(3, true);
    for (int i = 0; i < 10; ++i) cluster.append(1, std::to_string(i));
    ASSERT_TRUE(eventually("the commit", [&] {
        cluster.network->run();
        return cluster.server(1).get_committed_log_idx() == cluster.server(1).get_last_log_idx();
    }));
    ASSERT_NE(0u, cluster.server(1).create_snapshot());
    ASSERT_TRUE(
        eventually("compaction", [&] { return cluster.node(1).mgr->log->start_index() > 5; }));
    cluster.network->isolate(3, false);
    ASSERT_TRUE(eventually("a transfer under way", [&] {
        cluster.node(1).timers->fire(timer_task_type::heartbeat_timer);
        cluster.network->round();
        return cluster.node(1).sm->open_contexts() == 1;
    }));
    cluster.stop(1);
    EXPECT_EQ(0, cluster.node(1).sm->open_contexts());
}

TEST(guarantee, g67c_shutdown_of_a_real_transport_with_unreachable_peers) {
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
    EXPECT_TRUE(pending->get_accepted());
    leader->stop();
    EXPECT_EQ(cmd_result_code::CANCELLED, pending->get_result_code());
}

OWN_TEST(g69_follower_with_a_commit_quorum_of_one_never_commits_on_its_own) {
    raft_params p = stepped_params();
    stepped_cluster cluster(3);
    cluster.lead(p);
    const ulong committed = cluster.server(2).get_target_committed_log_idx();
    cluster.network->hold(3, true);
    cluster.network->hold_answers(2, true);
    cluster.append(1, "stored at 2, committed nowhere");
    cluster.network->run();
    ASSERT_EQ(committed + 1, cluster.server(2).get_last_log_idx());

    p.with_custom_commit_quorum_size(1);
    cluster.server(2).update_params(p);
    EXPECT_EQ(cmd_result_code::NOT_LEADER, cluster.append(2, "refused")->get_result_code());
    req_msg client(0, msg_type::client_request, 3, 2, 0, 0, 0);
    client.log_entries().push_back(cs_new<log_entry>(0, text_buffer("refused")));
    ptr<resp_msg> resp = cluster.network->deliver("S2", client);
    EXPECT_TRUE(!resp || !resp->get_accepted());
    EXPECT_EQ(committed, cluster.server(2).get_target_committed_log_idx());
}

}  // namespace test
}  // namespace nuraft
