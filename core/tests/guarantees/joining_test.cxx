#include "guarantees/guarantee.hxx"

// Adding servers: guarantees 34 to 41.

namespace nuraft {
namespace test {

namespace {

srv_config stranger(int32 id) {
    return srv_config(id, "S" + std::to_string(id));
}

/// Server 1 leads 1..n, and this server runs alone and passively.
void lead_with_stranger(stepped_cluster& cluster, int32 id,
                        const raft_params& p = stepped_params()) {
    cluster.lead(p);
    cluster.add_stranger(id);
    cluster.start(id, p, true);
}

testing::AssertionResult joined(stepped_cluster& cluster, int32 leader, int32 id) {
    return eventually("server " + std::to_string(id) + " to be a member that knows it", [&] {
        cluster.retry(leader);
        return cluster.server(leader).get_srv_config(id) && cluster.server(id).get_srv_config(id) &&
               !cluster.server(id).is_catching_up();
    });
}

void append_many(stepped_cluster& cluster, int count) {
    for (int i = 0; i < count; ++i) cluster.append(1, "entry " + std::to_string(i));
    ASSERT_TRUE(cluster.settle(1));
}

ptr<resp_msg> invite(stepped_cluster& cluster, int32 from, int32 to, ulong term,
                     const std::vector<int32>& members) {
    auto config = cs_new<cluster_config>(5, 4);
    for (int32 id : members) {
        config->get_servers().push_back(cs_new<srv_config>(id, "S" + std::to_string(id)));
    }
    req_msg req(term, msg_type::join_cluster_request, from, to, 0, 5, 5);
    req.log_entries().push_back(cs_new<log_entry>(term, config->serialize(), log_val_type::conf));
    return cluster.network->deliver("S" + std::to_string(to), req);
}

}  // namespace

TEST(guarantee, g34a_add_srv_refuses_duplicates_and_non_leaders) {
    stepped_cluster cluster(3);
    cluster.lead();
    EXPECT_EQ(cmd_result_code::SERVER_ALREADY_EXISTS,
              cluster.server(1).add_srv(stranger(3))->get_result_code());
    EXPECT_EQ(cmd_result_code::SERVER_ALREADY_EXISTS,
              cluster.server(1).add_srv(stranger(1))->get_result_code());
    auto refused = cluster.server(2).add_srv(stranger(4));
    EXPECT_EQ(cmd_result_code::NOT_LEADER, refused->get_result_code());
    EXPECT_FALSE(refused->get_accepted());
}

TEST(guarantee, g34b_add_srv_refuses_a_malformed_request) {
    stepped_cluster cluster(3);
    cluster.lead();
    req_msg empty(0, msg_type::add_server_request, 0, 1, 0, 0, 0);
    ptr<resp_msg> resp = cluster.network->deliver("S1", empty);
    ASSERT_TRUE(resp);
    EXPECT_FALSE(resp->get_accepted());
    EXPECT_EQ(cmd_result_code::BAD_REQUEST, resp->get_result_code());
}

TEST(guarantee, g34c_add_srv_refuses_while_another_server_joins) {
    stepped_cluster cluster(3);
    lead_with_stranger(cluster, 4);
    EXPECT_EQ(cmd_result_code::OK, cluster.server(1).add_srv(stranger(4))->get_result_code());
    EXPECT_EQ(cmd_result_code::SERVER_IS_JOINING,
              cluster.server(1).add_srv(stranger(5))->get_result_code());
    EXPECT_TRUE(joined(cluster, 1, 4));
}

TEST(guarantee, g34d_add_srv_refuses_while_a_configuration_is_uncommitted) {
    stepped_cluster cluster(3);
    cluster.start();
    ASSERT_TRUE(cluster.elect(1));
    ASSERT_TRUE(cluster.settle(1));
    cluster.network->isolate(1, true);
    ASSERT_TRUE(eventually("another leader, whose first entry is under way", [&] {
        cluster.node(2).timers->fire(timer_task_type::election_timer);
        while (!cluster.server(2).is_leader() && !cluster.network->under_way(2, 3).empty()) {
            cluster.network->round();
        }
        return cluster.server(2).is_leader();
    }));
    EXPECT_EQ(cmd_result_code::CONFIG_CHANGING,
              cluster.server(2).add_srv(stranger(4))->get_result_code());
}

TEST(guarantee, g35_unreachable_invitee_is_reported) {
    stepped_cluster cluster(1);
    cluster.lead();
    EXPECT_TRUE(cluster.server(1).add_srv(stranger(9))->get_accepted());
    ASSERT_TRUE(eventually("the failure", [&] {
        cluster.retry(1);
        return cluster.count(1, cb_func::ServerJoinFailed) > 0;
    }));
    EXPECT_EQ(9, cluster.events(1, cb_func::ServerJoinFailed).front().peer);
    EXPECT_FALSE(cluster.server(1).get_srv_config(9));
}

TEST(guarantee, g36_of_two_single_servers_adding_each_other_the_lower_id_leads) {
    stepped_cluster cluster(1);
    cluster.lead();
    cluster.add_stranger(2);
    cluster.start(2, stepped_params());
    ASSERT_TRUE(cluster.elect(2));
    ASSERT_TRUE(eventually("its configuration committed",
                           [&] { return cluster.server(2).get_committed_log_idx() == 1; }));
    EXPECT_TRUE(cluster.server(2).add_srv(stranger(1))->get_accepted());
    EXPECT_TRUE(cluster.server(1).add_srv(stranger(2))->get_accepted());
    EXPECT_TRUE(eventually("one cluster of two", [&] {
        cluster.retry(1);
        cluster.retry(2);
        return cluster.server(1).get_config()->get_servers().size() == 2 &&
               cluster.server(2).get_config()->get_servers().size() == 2;
    }));
    EXPECT_TRUE(cluster.server(1).is_leader());
    EXPECT_EQ(1, cluster.server(2).get_leader());
}

TEST(guarantee, g37_invitations_of_a_member) {
    stepped_cluster cluster(3);
    cluster.lead();
    const ulong term = cluster.server(2).get_term();
    ptr<resp_msg> resp = invite(cluster, 7, 2, term + 5, {7, 8});
    ASSERT_TRUE(resp);
    EXPECT_FALSE(resp->get_accepted()) << "from a different cluster";

    resp = invite(cluster, 1, 2, term, {1, 2, 3});
    ASSERT_TRUE(resp);
    EXPECT_TRUE(resp->get_accepted()) << "from its own cluster, again";
    EXPECT_FALSE(cluster.server(2).is_catching_up());
    EXPECT_EQ(term, cluster.server(2).get_term());
    EXPECT_EQ(1, cluster.server(2).get_leader());
    EXPECT_EQ(3u, cluster.server(2).get_config()->get_servers().size());
}

TEST(guarantee, g38_joiner_restarted_in_the_middle_completes_the_join) {
    raft_params p = stepped_params();
    p.with_log_sync_stopping_gap(1).with_log_sync_batch_size(5).with_hb_interval(20);
    stepped_cluster cluster(2);
    lead_with_stranger(cluster, 3, p);
    append_many(cluster, 30);
    ASSERT_TRUE(cluster.server(1).add_srv(stranger(3))->get_accepted());
    for (int i = 0; i < 3; ++i) cluster.network->round();
    ASSERT_TRUE(cluster.server(3).is_catching_up());
    ASSERT_GT(cluster.server(3).get_last_log_idx(), 0u);
    ASSERT_LT(cluster.server(3).get_last_log_idx(), 30u);

    cluster.stop(3);
    cluster.network->run();
    cluster.start(3, p);
    EXPECT_TRUE(eventually("the join", [&] {
        // Its operator starts a join again that gave up meanwhile; one under way refuses that.
        if (!cluster.server(1).get_srv_config(3)) cluster.server(1).add_srv(stranger(3));
        cluster.retry(1);
        return cluster.server(1).get_srv_config(3) && cluster.server(3).get_srv_config(3) &&
               !cluster.server(3).is_catching_up();
    }));
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_EQ(cluster.node(1).sm->committed(), cluster.node(3).sm->committed());
    EXPECT_EQ(0, cluster.count(3, cb_func::RemovedFromCluster));
}

TEST(guarantee, g39_empty_node_joins_behind_a_compacted_log_by_snapshot) {
    raft_params p = stepped_params();
    p.with_log_sync_stopping_gap(1).with_reserved_log_items(0);
    stepped_cluster cluster(2);
    lead_with_stranger(cluster, 3, p);
    append_many(cluster, 30);
    ASSERT_NE(0u, cluster.server(1).create_snapshot());
    ASSERT_TRUE(
        eventually("compaction", [&] { return cluster.node(1).mgr->log->start_index() > 20; }));
    trace steps;
    cluster.node(3).sm->record_in(&steps);
    cluster.node(1).sm->fail_read_of(10);
    ASSERT_TRUE(cluster.server(1).add_srv(stranger(3))->get_accepted());
    EXPECT_TRUE(joined(cluster, 1, 3));
    ASSERT_TRUE(cluster.settle(1));
    cluster.node(3).sm->record_in(nullptr);
    EXPECT_EQ(2u, steps.count("save_object 0")) << "from the start after the failed read";
    EXPECT_EQ(1, cluster.node(3).sm->installs());
    EXPECT_EQ(cluster.node(1).sm->committed(), cluster.node(3).sm->committed());
    EXPECT_EQ(0, cluster.node(1).sm->open_contexts());
}

namespace {

/// Servers 1..3, and 4 as a new joiner that hears nothing yet.
void lead_with_new_joiner(stepped_cluster& cluster) {
    raft_params p = stepped_params();
    p.use_new_joiner_type_ = true;
    p.with_log_sync_stopping_gap(1);
    lead_with_stranger(cluster, 4, p);
    append_many(cluster, 5);
    ASSERT_TRUE(cluster.server(1).add_srv(stranger(4))->get_accepted());
    cluster.network->deliver_requests();  // The invitation.
    cluster.network->hold(4, true);
    ASSERT_TRUE(cluster.beat_until(1, "the new joiner in the configuration",
                                   [&] { return cluster.server(2).get_srv_config(4) != nullptr; }));
}

testing::AssertionResult promoted(stepped_cluster& cluster, int32 leader) {
    return eventually("the promotion", [&] {
        cluster.retry(leader);
        ptr<srv_config> joiner = cluster.server(leader).get_srv_config(4);
        return joiner && !joiner->is_new_joiner() && !cluster.server(4).is_catching_up();
    });
}

}  // namespace

TEST(guarantee, g40a_new_joiner_counts_for_nothing_until_promoted) {
    stepped_cluster cluster(3);
    lead_with_new_joiner(cluster);
    EXPECT_TRUE(cluster.server(1).get_srv_config(4)->is_new_joiner());

    // Two of three voters are a majority; of four they would not be.
    cluster.network->isolate(3, true);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(cluster.beat_until(1, "the commit", [&] { return result->has_result(); }));
    cluster.network->isolate(3, false);

    cluster.network->forget_sent();
    cluster.timeout(4);
    EXPECT_EQ(0, cluster.network->sent(4, msg_type::pre_vote_request));
    EXPECT_EQ(0, cluster.network->sent(4, msg_type::request_vote_request));

    cluster.network->hold(4, false);
    EXPECT_TRUE(promoted(cluster, 1));
    EXPECT_TRUE(eventually("all entries at the new member", [&] {
        cluster.beat(1);
        return cluster.node(4).sm->has("a");
    }));
}

TEST(guarantee, g40b_new_joiner_is_asked_for_no_vote_and_promoted_by_the_next_leader) {
    stepped_cluster cluster(3);
    lead_with_new_joiner(cluster);
    cluster.network->isolate(1, true);
    cluster.network->forget_sent();
    ASSERT_TRUE(cluster.elect(2));
    EXPECT_EQ(0, cluster.network->sent(2, msg_type::pre_vote_request, 4));
    EXPECT_EQ(0, cluster.network->sent(2, msg_type::request_vote_request, 4));
    EXPECT_TRUE(cluster.server(2).get_srv_config(4)->is_new_joiner());
    cluster.network->hold(4, false);
    EXPECT_TRUE(promoted(cluster, 2));
}

TEST(guarantee, g41_learner_takes_no_part_in_elections_until_it_is_none_any_more) {
    stepped_cluster cluster({cs_new<srv_config>(1, "S1"), cs_new<srv_config>(2, "S2"),
                             cs_new<srv_config>(3, 0, "S3", "", true)});
    cluster.lead();
    cluster.append(1, "a");
    ASSERT_TRUE(cluster.settle(1));
    EXPECT_TRUE(cluster.node(3).sm->has("a"));
    cluster.timeout(3);
    EXPECT_EQ(0, cluster.network->sent(3, msg_type::pre_vote_request));
    for (int32 from : {1, 2}) {
        cluster.timeout(from);
        EXPECT_EQ(0, cluster.network->sent(from, msg_type::pre_vote_request, 3));
        EXPECT_EQ(0, cluster.network->sent(from, msg_type::request_vote_request, 3));
    }
    ASSERT_TRUE(cluster.elect(1));
    ASSERT_TRUE(cluster.settle(1));
    // It counts for no quorum either.
    cluster.network->isolate(2, true);
    auto waits = cluster.append(1, "b");
    cluster.beat(1);
    EXPECT_FALSE(waits->has_result());
    cluster.network->isolate(2, false);
    ASSERT_TRUE(cluster.beat_until(1, "the commit", [&] { return waits->has_result(); }));
    ASSERT_TRUE(cluster.settle(1));

    EXPECT_EQ(cmd_result_code::OK,
              cluster.server(1).flip_learner_flag(3, false)->get_result_code());
    ASSERT_TRUE(cluster.settle(1));
    cluster.network->isolate(1, true);
    EXPECT_TRUE(cluster.elect(3));
}

}  // namespace test
}  // namespace nuraft
