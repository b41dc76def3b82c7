#include <chrono>

#include "guarantees/guarantee.hxx"

// Full consensus and clusters of two: guarantees 60 to 63.

namespace nuraft {
namespace test {

namespace {

using clock = std::chrono::steady_clock;
using milliseconds = std::chrono::milliseconds;

/// So long that nobody counts as silent while a test runs.
constexpr int32 long_heartbeat = 60000;

raft_params full_params(int32 heartbeat) {
    raft_params p = stepped_params();
    p.with_hb_interval(heartbeat);
    p.use_full_consensus_among_healthy_members_ = true;
    return p;
}

/// Server 1 leads three that are all part of full consensus.
void lead_in_full(stepped_cluster& cluster, const raft_params& p) {
    cluster.start(p);
    ASSERT_TRUE(cluster.elect(1));
    ASSERT_TRUE(cluster.beat_until(1, "full consensus", [&] {
        for (int32 id : {1, 2, 3}) {
            raft_server& s = cluster.server(id);
            if (s.get_committed_log_idx() < cluster.server(1).get_last_log_idx()) return false;
            if (!s.is_part_of_full_consensus()) return false;
        }
        return true;
    }));
}

testing::AssertionResult finished(stepped_cluster& cluster, cmd_result<ptr<buffer>>& result) {
    return cluster.beat_until(1, "the commit", [&] { return result.has_result(); });
}

}  // namespace

TEST(guarantee, g60a_silent_follower_blocks_commits_until_it_is_excluded) {
    constexpr milliseconds heartbeat{50};
    stepped_cluster cluster(3);
    lead_in_full(cluster, full_params(static_cast<int32>(heartbeat.count())));
    const auto before_the_last_answer = clock::now();
    cluster.beat(1);
    cluster.network->hold(3, true);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(finished(cluster, *result));
    EXPECT_GE(clock::now() - before_the_last_answer,
              raft_server::get_raft_limits().full_consensus_leader_limit_.load() * heartbeat);
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    auto next = cluster.append(1, "b");
    EXPECT_TRUE(finished(cluster, *next));

    cluster.network->hold(3, false);
    EXPECT_TRUE(cluster.beat_until(1, "server 3 back", [&] {
        return cluster.node(3).sm->has("b") && cluster.server(3).is_part_of_full_consensus();
    }));
}

TEST(guarantee, g60b_silent_majority_blocks_commits_entirely) {
    constexpr int32 heartbeat = 20;
    stepped_cluster cluster(3);
    lead_in_full(cluster, full_params(heartbeat));
    cluster.network->hold(2, true);
    cluster.network->hold(3, true);
    auto result = cluster.append(1, "a");
    ASSERT_TRUE(cluster.beat_until(1, "silence of ten heartbeats", [&] {
        return cluster.server(1).get_peer_info(2).last_succ_resp_us_ > 10u * heartbeat * 1000;
    }));
    EXPECT_FALSE(result->has_result());
    EXPECT_TRUE(cluster.server(1).is_leader());
    cluster.network->hold(2, false);
    cluster.network->hold(3, false);
    EXPECT_TRUE(finished(cluster, *result));
}

TEST(guarantee, g61a_self_mark_down_removes_the_delay) {
    stepped_cluster cluster(3);
    lead_in_full(cluster, full_params(long_heartbeat));
    EXPECT_FALSE(cluster.server(3).set_self_mark_down(true));
    EXPECT_FALSE(cluster.server(3).is_part_of_full_consensus());
    cluster.beat(1);
    cluster.network->hold(3, true);
    auto result = cluster.append(1, "a");
    EXPECT_TRUE(finished(cluster, *result));

    EXPECT_TRUE(cluster.server(3).set_self_mark_down(false)) << "the old flag";
    cluster.network->hold(3, false);
    EXPECT_TRUE(cluster.beat_until(1, "server 3 back",
                                   [&] { return cluster.server(3).is_part_of_full_consensus(); }));
    EXPECT_FALSE(cluster.server(1).set_self_mark_down(true)) << "refused on the leader";
    EXPECT_TRUE(cluster.server(1).is_part_of_full_consensus());
}

TEST(guarantee, g61b_restarted_server_is_no_part_until_appends_are_accepted) {
    const raft_params p = full_params(long_heartbeat);
    stepped_cluster cluster(3);
    lead_in_full(cluster, p);
    cluster.stop(3);
    cluster.start(3, p);
    EXPECT_FALSE(cluster.server(3).is_part_of_full_consensus());
    EXPECT_TRUE(cluster.beat_until(1, "accepted appends",
                                   [&] { return cluster.server(3).is_part_of_full_consensus(); }));
}

TEST(guarantee, g61c_excluded_follower_knows_while_heartbeats_arrive) {
    raft_params p = full_params(20);
    p.with_max_append_size(1);
    stepped_cluster cluster(3);
    lead_in_full(cluster, p);
    cluster.network->hold(3, true);
    cluster.node(3).sm->set_size_hint(-1);  // Heartbeats only, once they get through.
    ptr<cmd_result<ptr<buffer>>> last;
    for (int i = 0; i < 10; ++i) last = cluster.append(1, std::to_string(i));
    ASSERT_TRUE(finished(cluster, *last));

    cluster.network->hold(3, false);
    EXPECT_TRUE(cluster.beat_until(1, "the news",
                                   [&] { return cluster.server(3).is_excluded_by_leader(); }));
    EXPECT_FALSE(cluster.server(3).is_part_of_full_consensus());
    cluster.node(3).sm->set_size_hint(0);
    EXPECT_TRUE(cluster.beat_until(1, "server 3 back", [&] {
        return !cluster.server(3).is_excluded_by_leader() &&
               cluster.server(3).is_part_of_full_consensus();
    }));
    EXPECT_GE(cluster.server(3).get_last_log_idx(),
              cluster.server(1).get_target_committed_log_idx());
}

TEST(guarantee, g61d_late_heartbeat_alone_makes_nobody_part_again) {
    stepped_cluster cluster(3);
    lead_in_full(cluster, full_params(20));
    ASSERT_TRUE(eventually("silence of the leader",
                           [&] { return !cluster.server(3).is_part_of_full_consensus(); }));
    cluster.beat(1);
    EXPECT_FALSE(cluster.server(3).is_part_of_full_consensus());
    EXPECT_TRUE(cluster.beat_until(1, "regular heartbeats",
                                   [&] { return cluster.server(3).is_part_of_full_consensus(); }));
}

TEST(guarantee, g62_snapshot_receiver_does_not_hold_back_commits) {
    raft_params p = full_params(50);
    p.with_reserved_log_items(0).with_max_append_size(1);
    p.with_snapshot_sync_ctx_timeout(600000);
    stepped_cluster cluster(3);
    lead_in_full(cluster, p);
    cluster.network->hold(3, true);
    ptr<cmd_result<ptr<buffer>>> last;
    for (int i = 0; i < 20; ++i) last = cluster.append(1, std::to_string(i));
    ASSERT_TRUE(finished(cluster, *last));
    ASSERT_NE(0u, cluster.server(1).create_snapshot());
    ASSERT_TRUE(
        eventually("compaction", [&] { return cluster.node(1).mgr->log->start_index() > 10; }));
    cluster.network->hold(3, false);
    ASSERT_TRUE(eventually("a transfer under way", [&] {
        cluster.node(1).timers->fire(timer_task_type::heartbeat_timer);
        cluster.network->round();
        return cluster.server(3).is_receiving_snapshot();
    }));
    // Server 3 has just answered, and is not silent by this measure for minutes.
    cluster.network->hold(3, true);
    p.with_hb_interval(long_heartbeat);
    cluster.server(1).update_params(p);
    cluster.server(2).update_params(p);
    ASSERT_EQ(1, cluster.node(1).sm->open_contexts());
    auto result = cluster.append(1, "during the transfer");
    EXPECT_TRUE(finished(cluster, *result));
    EXPECT_TRUE(cluster.server(3).is_receiving_snapshot());
}

namespace {

raft_params pair_params() {
    raft_params p = stepped_params();
    p.with_hb_interval(5);
    p.auto_adjust_quorum_for_small_cluster_ = true;
    return p;
}

/// The leader commits with the other server, and not without.
void expect_quorum_of_two(stepped_cluster& cluster, int32 leader, int32 other) {
    ASSERT_TRUE(cluster.beat_until(leader, "a quorum of two", [&] {
        const raft_params p = cluster.server(leader).get_current_params();
        return p.custom_commit_quorum_size_ == 0 && p.custom_election_quorum_size_ == 0;
    }));
    ASSERT_TRUE(cluster.settle(leader));
    auto result = cluster.append(leader, "both");
    EXPECT_FALSE(result->has_result());
    ASSERT_TRUE(cluster.settle(leader));
    EXPECT_TRUE(cluster.node(other).sm->has("both"));
}

}  // namespace

TEST(guarantee, g63a_leader_of_two_commits_alone_after_the_limit) {
    stepped_cluster cluster(2);
    cluster.lead(pair_params());
    cluster.network->isolate(2, true);
    auto result = cluster.append(1, "alone");
    cluster.network->run();
    EXPECT_FALSE(result->has_result());
    EXPECT_TRUE(finished(cluster, *result));
    EXPECT_GT(cluster.count(1, cb_func::AutoAdjustQuorum), 0);
    cluster.network->isolate(2, false);
    expect_quorum_of_two(cluster, 1, 2);
    EXPECT_TRUE(cluster.node(2).sm->has("alone"));
}

TEST(guarantee, g63b_survivor_of_a_dead_leader_leads_alone) {
    stepped_cluster cluster(2);
    cluster.lead(pair_params());
    cluster.stop(1);
    EXPECT_TRUE(cluster.elect(2));
    EXPECT_GT(cluster.count(2, cb_func::AutoAdjustQuorum), 0);
    auto result = cluster.append(2, "alone");
    EXPECT_TRUE(cluster.beat_until(2, "the commit", [&] { return result->has_result(); }));
    EXPECT_EQ(cmd_result_code::OK, result->get_result_code());
    cluster.start(1, pair_params());
    expect_quorum_of_two(cluster, 2, 1);
    EXPECT_TRUE(cluster.node(1).sm->has("alone"));
}

}  // namespace test
}  // namespace nuraft
