#include "guarantees/guarantee.hxx"

// Removing servers, and changes in flight together: guarantees 42 to 47.

namespace nuraft {
namespace test {

namespace {

size_t members(stepped_cluster& cluster, int32 id) {
    return cluster.server(id).get_config()->get_servers().size();
}

testing::AssertionResult removed(stepped_cluster& cluster, int32 leader, int32 id) {
    return cluster.beat_until(leader, "server " + std::to_string(id) + " gone",
                              [&] { return !cluster.server(leader).get_srv_config(id); });
}

/// Starts to remove a server and stops when the leader has appended the configuration without it.
void begin_removal(stepped_cluster& cluster, int32 leader, int32 id) {
    const ulong last = cluster.server(leader).get_last_log_idx();
    ASSERT_TRUE(cluster.server(leader).remove_srv(id)->get_accepted());
    cluster.network->round();  // The request to leave.
    ASSERT_EQ(last + 1, cluster.server(leader).get_last_log_idx());
}

}  // namespace

TEST(guarantee, g42_remove_srv_codes) {
    stepped_cluster cluster(4);
    cluster.lead();
    raft_server& leader = cluster.server(1);
    EXPECT_EQ(cmd_result_code::NOT_LEADER, cluster.server(2).remove_srv(3)->get_result_code());
    EXPECT_EQ(cmd_result_code::CANNOT_REMOVE_LEADER, leader.remove_srv(1)->get_result_code());
    EXPECT_EQ(cmd_result_code::SERVER_NOT_FOUND, leader.remove_srv(9)->get_result_code());
    req_msg empty(0, msg_type::remove_server_request, 0, 1, 0, 0, 0);
    ptr<resp_msg> resp = cluster.network->deliver("S1", empty);
    ASSERT_TRUE(resp);
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, resp->get_result_code());

    leader.set_priority(2, 10);
    EXPECT_EQ(cmd_result_code::CONFIG_CHANGING, leader.remove_srv(3)->get_result_code());
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(cmd_result_code::OK, leader.remove_srv(3)->get_result_code());
    EXPECT_EQ(cmd_result_code::SERVER_IS_LEAVING, leader.remove_srv(4)->get_result_code());
    EXPECT_TRUE(removed(cluster, 1, 3));
    EXPECT_TRUE(leader.is_leader());
    EXPECT_TRUE(leader.get_srv_config(1));
}

TEST(guarantee, g43_normal_removal) {
    stepped_cluster cluster(3);
    cluster.lead();
    ASSERT_TRUE(cluster.server(1).remove_srv(3)->get_accepted());
    ASSERT_TRUE(cluster.beat_until(1, "the smaller configuration everywhere", [&] {
        return members(cluster, 1) == 2 && members(cluster, 2) == 2 &&
               cluster.count(3, cb_func::RemovedFromCluster) > 0;
    }));
    cluster.timeout(3);
    cluster.timeout(3);
    EXPECT_EQ(0, cluster.node(3).timers->pending(timer_task_type::election_timer));
    EXPECT_EQ(0, cluster.node(3).timers->pending(timer_task_type::heartbeat_timer));
    EXPECT_EQ(1, cluster.count(3, cb_func::RemovedFromCluster));
    EXPECT_EQ(0, cluster.count(2, cb_func::RemovedFromCluster));
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    EXPECT_FALSE(cluster.node(3).sm->has("a"));
}

TEST(guarantee, g44a_silent_server_is_removed_after_some_heartbeats_and_can_come_back) {
    raft_params p = stepped_params();
    p.with_hb_interval(10);
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.network->hold(3, true);
    ASSERT_TRUE(cluster.server(1).remove_srv(3)->get_accepted());
    const int limit = raft_server::get_raft_limits().leave_limit_;
    for (int i = 1; i < limit; ++i) {
        cluster.beat(1);
        EXPECT_TRUE(cluster.server(1).get_srv_config(3)) << "heartbeat " << i;
    }
    EXPECT_TRUE(removed(cluster, 1, 3));

    // Unrelated changes do not stand in the way.
    cluster.server(1).set_priority(2, 5);
    cluster.network->hold(3, false);
    EXPECT_TRUE(cluster.beat_until(1, "its return", [&] {
        if (!cluster.server(1).get_srv_config(3)) cluster.server(1).add_srv(srv_config(3, "S3"));
        cluster.retry(1);
        return members(cluster, 1) == 3 && members(cluster, 3) == 3 &&
               !cluster.server(3).is_catching_up();
    }));
    cluster.append(1, "a");
    EXPECT_TRUE(cluster.settle(1));
    EXPECT_EQ(5, cluster.server(3).get_srv_config(2)->get_priority());
}

TEST(guarantee, g44b_dead_server_is_removed_on_errors_and_can_come_back) {
    raft_params p = stepped_params();
    p.with_hb_interval(10);
    stepped_cluster cluster(3);
    cluster.lead(p);
    cluster.stop(3);
    ASSERT_TRUE(cluster.server(1).remove_srv(3)->get_accepted());
    EXPECT_TRUE(removed(cluster, 1, 3));
    EXPECT_TRUE(eventually("the smaller configuration everywhere", [&] {
        cluster.beat(1);
        return members(cluster, 2) == 2;
    }));

    cluster.start(3, p);
    EXPECT_TRUE(cluster.beat_until(1, "its return", [&] {
        if (!cluster.server(1).get_srv_config(3)) cluster.server(1).add_srv(srv_config(3, "S3"));
        cluster.retry(1);
        return members(cluster, 1) == 3 && members(cluster, 3) == 3 &&
               !cluster.server(3).is_catching_up();
    }));
    cluster.append(1, "a");
    EXPECT_TRUE(cluster.settle(1));
}

TEST(guarantee, g45_another_removal_waits_until_the_first_server_has_caught_up) {
    stepped_cluster cluster(4);
    cluster.lead();
    begin_removal(cluster, 1, 4);
    cluster.network->hold(4, true);
    cluster.network->run();
    EXPECT_EQ(cmd_result_code::SERVER_IS_LEAVING,
              cluster.server(1).remove_srv(3)->get_result_code());
    cluster.network->hold(4, false);
    ASSERT_TRUE(cluster.beat_until(1, "the removed server told", [&] {
        return cluster.count(4, cb_func::RemovedFromCluster) > 0;
    }));
    EXPECT_TRUE(cluster.beat_until(1, "the next removal", [&] {
        return cluster.server(1).remove_srv(3)->get_result_code() == cmd_result_code::OK;
    }));
    EXPECT_TRUE(removed(cluster, 1, 3));
    EXPECT_EQ(2u, members(cluster, 1));
}

TEST(guarantee, g46_uncommitted_removal_is_completed_by_the_next_leader) {
    stepped_cluster cluster(4);
    cluster.lead();
    cluster.network->hold_answers(2, true);
    begin_removal(cluster, 1, 4);
    cluster.network->hold(3, true);
    cluster.network->hold(4, true);
    cluster.network->run();
    ASSERT_EQ(cluster.server(1).get_last_log_idx(), cluster.server(2).get_last_log_idx());
    ASSERT_TRUE(cluster.server(1).get_srv_config(4)) << "not committed";
    cluster.stop(1);
    for (int32 id : {3, 4}) cluster.network->hold(id, false);
    cluster.network->hold_answers(2, false);

    ASSERT_TRUE(cluster.elect(2));
    EXPECT_TRUE(cluster.beat_until(2, "the smaller configuration", [&] {
        return members(cluster, 2) == 3 && members(cluster, 3) == 3;
    }));
    EXPECT_FALSE(cluster.server(2).get_srv_config(4));
}

TEST(guarantee, g47_changes_in_flight_together_all_end_in_the_configuration) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.add_stranger(4);
    cluster.start(4, stepped_params(), true);
    ASSERT_TRUE(cluster.server(1).add_srv(srv_config(4, "S4"))->get_accepted());
    EXPECT_EQ(raft_server::PrioritySetResult::SET, cluster.server(1).set_priority(1, 70));
    EXPECT_EQ(raft_server::PrioritySetResult::SET, cluster.server(1).set_priority(2, 60));
    cluster.network->round();
    EXPECT_EQ(raft_server::PrioritySetResult::SET, cluster.server(1).set_priority(3, 50));
    auto complete = [&](int32 id) {
        raft_server& s = cluster.server(id);
        return members(cluster, id) == 4 && s.get_srv_config(1)->get_priority() == 70 &&
               s.get_srv_config(2)->get_priority() == 60 &&
               s.get_srv_config(3)->get_priority() == 50;
    };
    EXPECT_TRUE(eventually("all changes on all servers", [&] {
        cluster.retry(1);
        return complete(1) && complete(2) && complete(3) && complete(4);
    }));
}

OWN_TEST(g47b_user_context_joins_the_changes_in_flight) {
    stepped_cluster cluster(3);
    cluster.lead();
    cluster.server(1).set_priority(2, 60);
    cluster.server(1).set_user_ctx("context");
    auto updated = cs_new<srv_config>(3, 0, "S3", "aux", false, 50);
    EXPECT_TRUE(cluster.server(1).update_srv_config(*updated));
    ASSERT_TRUE(cluster.settle(1));
    for (int32 id : {1, 2, 3}) {
        EXPECT_EQ("context", cluster.server(id).get_user_ctx());
        EXPECT_EQ(60, cluster.server(id).get_srv_config(2)->get_priority());
        EXPECT_EQ(50, cluster.server(id).get_srv_config(3)->get_priority());
        EXPECT_EQ("aux", cluster.server(id).get_aux(3));
    }
}

}  // namespace test
}  // namespace nuraft
